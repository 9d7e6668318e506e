"""Each migration and its rollback undo each other, and keep the rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.engine import make_engine
from cardlink_sql.schema.ddl.model import Table
from cardlink_sql.schema.ddl.reflect import read_some
from cardlink_sql.schema.migrator import Migrator
from cardlink_sql.schema.migrator.bookkeeping import BOOKKEEPING_TABLES
from tests.conftest import MIGRATIONS, iccid, session_id

T1, T2, T3, T4 = (f"2026-03-01 10:00:0{second}.123456" for second in range(1, 5))
ROWS: dict[str, dict[str, Any]] = {
    "devices": {
        "id": "modem", "name": "n", "device_type": "modem", "manufacturer": "a", "model": "b",
        "firmware_version": "c", "imei": "490154203237518", "imsi": "262010000000001",
        "iccid": iccid(), "last_seen": T3, "notes": "d", "created_at": T1, "updated_at": T2,
    },
    "card_profiles": {
        "iccid": iccid(), "imsi": "262010000000001", "card_type": "USIM", "atr": "3B00",
        "psk_identity": "card_1", "admin_url": "https://a", "notes": "n", "created_at": T1,
        "updated_at": T2,
    },
    "ota_sessions": {
        "id": session_id(1), "device_id": "modem", "card_iccid": iccid(), "session_type": "polled",
        "status": "failed", "started_at": T3, "ended_at": T4, "duration_ms": 1000,
        "tls_cipher_suite": "suite", "tls_psk_identity": "card_1", "error_code": "e",
        "error_message": "m", "created_at": T1, "updated_at": T2,
    },
    "comm_logs": {
        "session_id": session_id(1), "timestamp": T3, "direction": "response", "raw_data": "9000",
        "decoded_data": "d", "status_word": "9000", "status_message": "ok", "latency_ms": 1.5,
    },
    "test_results": {
        "id": session_id(2), "run_id": "run", "suite_name": "s", "test_name": "t",
        "device_id": "modem", "card_iccid": iccid(), "started_at": T3, "ended_at": T4,
        "duration_ms": 1000, "status": "failed", "error_message": "m", "created_at": T1,
        "updated_at": T2,
    },
    "settings": {
        "key": "a.b", "value": "1", "description": "d", "category": "a", "created_at": T1,
        "updated_at": T2,
    },
}  # fmt: skip
# What a newer schema holds and an older one cannot: the rollback has to decide.
UNTYPED = {**ROWS["ota_sessions"], "id": session_id(9), "session_type": None}


@dataclass
class State:
    """The schema, and the rows of each table."""

    schema: list[Table]
    rows: dict[str, dict[str, Any]]


@pytest.fixture
def connected(empty_url: str) -> Iterator[tuple[Migrator, Connection]]:
    config = DatabaseConfig(empty_url)
    engine = make_engine(config)
    try:
        with engine.connect() as connection:
            yield Migrator(engine, config.dialect), connection
    finally:
        engine.dispose()


def insert(connection: Connection, table: str, row: dict[str, Any]) -> None:
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    # SQLAlchemy quotes nothing here, and key is a word of MySQL's.
    quoted = names.replace("key,", "`key`,") if connection.dialect.name == "mysql" else names
    connection.execute(text(f"INSERT INTO {table} ({quoted}) VALUES ({marks})"), row)


def tables_of(connection: Connection) -> list[Table]:
    names = {*inspect(connection).get_table_names()} - {*BOOKKEEPING_TABLES}
    found, unknown = read_some(connection, sorted(names))
    assert unknown == []
    return list(found.values())


def state_of(connection: Connection) -> State:
    schema = tables_of(connection)
    rows = {
        table: dict(
            connection.execute(text(f"SELECT * FROM {table} ORDER BY 1")).mappings().first() or {}
        )
        for table in ROWS
    }
    connection.rollback()
    return State(schema, rows)


def test_each_migration_and_its_rollback_undo_each_other_and_keep_the_rows(
    connected: tuple[Migrator, Connection],
) -> None:
    check_rollbacks(*connected)


def check_rollbacks(migrator: Migrator, connection: Connection) -> None:
    """Go up, down step by step, and up again, and compare schema and rows at each step."""
    migrator.migrate(MIGRATIONS[0])
    for table, row in ROWS.items():
        insert(connection, table, row)
    connection.commit()
    states = [state_of(connection)]
    for migration in MIGRATIONS[1:]:
        migrator.migrate(migration)
        states.append(state_of(connection))
        for table, row in states[-2].rows.items():
            kept = {name: states[-1].rows[table][name] for name in row}
            assert kept == row, f"{migration}: {table}"
    insert(connection, "ota_sessions", UNTYPED)
    connection.commit()

    for before, migration in zip(reversed(states[:-1]), reversed(MIGRATIONS[:-1]), strict=True):
        migrator.rollback(migration)
        found = state_of(connection)
        assert found.schema == before.schema, f"back to {migration}"
        assert found.rows == before.rows, f"back to {migration}"

    migrator.rollback("base")
    assert tables_of(connection) == []
    connection.rollback()
    migrator.migrate()
    assert tables_of(connection) == states[-1].schema
