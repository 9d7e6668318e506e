"""The tables of the layer and the migrated databases, held against each other."""

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.engine import make_engine
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConnectionError
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries.resources import folder as resource_folder
from cardlink_sql.schema.drift import _squeezed, differences, readable
from cardlink_sql.schema.migrator import Migrator

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL


@contextmanager
def migrated(url: str, folder: Traversable | None = None) -> Iterator[Engine]:
    config = DatabaseConfig(url)
    engine = make_engine(config)
    try:
        Migrator(engine, config.dialect, folder=folder).migrate()
        yield engine
    finally:
        engine.dispose()


def edited_migrations(target: Path, dialect: Dialect, old: str, new: str) -> Path:
    """A copy of the migrations with one more edit, which must find its place.

    On SQLite a later migration rebuilds the table of the sessions, so both get the edit.
    """
    if not target.exists():
        shutil.copytree(Path(str(resource_folder("migrations"))), target)
    edits = 0
    rebuild = ["0004_session_metadata"] if dialect is SQLITE else []
    for name in ("0001_initial_schema", *rebuild):
        file = target / dialect.value / f"{name}.sql"
        before = file.read_text(encoding="utf-8")
        after = re.sub(old, new, before, count=1)
        edits += after != before
        file.write_text(after, encoding="utf-8")
    assert edits, f"{old!r} is not in the migrations of {dialect}"
    return target


def test_an_empty_database_lacks_every_table(empty_url: str) -> None:
    engine = make_engine(DatabaseConfig(empty_url))
    assert differences(engine) == [
        f"the table {table.name} is missing" for table in metadata.sorted_tables
    ]
    engine.dispose()


def test_comparing_makes_no_sqlite_file(tmp_path: Path) -> None:
    engine = make_engine(DatabaseConfig(f"sqlite:///{tmp_path}/none.db"))
    assert len(differences(engine)) == len(metadata.tables)
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_reads_what_a_table_has_once(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = Counter[str]()
    rows = InternalStatements.rows

    def counted(statements: InternalStatements, title: str, **given: Any) -> list[Any]:
        if title.startswith("catalog."):
            sent[f"{title} {given}"] += 1
        return rows(statements, title, **given)

    with migrated(empty_url) as engine:
        monkeypatch.setattr(InternalStatements, "rows", counted)
        assert differences(engine) == []
    assert set(sent.values()) == {1}
    assert sent.total() <= 5 * len(metadata.tables)


def test_a_database_that_cannot_be_reached_is_a_connection_error() -> None:
    engine = make_engine(DatabaseConfig("mysql://nobody:secret@127.0.0.1:1/none"))
    with pytest.raises(ConnectionError) as caught:
        differences(engine)
    assert "secret" not in str(caught.value)


# (dialects, what is edited, by what, what the comparison says); the edits of a part do not touch
# each other.
Edit = tuple[Iterable[Dialect], str, str, str]
PARTS: list[list[Edit]] = [
    [
        (Dialect, r"(?m)^ +model .*\n", "", "devices: the column model is missing"),
        (Dialect, r"(imei .*),\n", r"\1 NOT NULL,\n", "NULL in imei is refused, not allowed"),
        (Dialect, r"(device_type .*)NOT NULL", r"\1", "devices: NULL in device_type is allowed"),
        (Dialect, "DEFAULT 'UICC'", "DEFAULT 'USIM'", "card_profiles: the default of card_type is"),
        (Dialect, "NOT NULL DEFAULT TRUE", "NOT NULL DEFAULT FALSE", "of is_active is FALSE"),
        (Dialect, " DEFAULT 'pending'", "", "default of status is missing; it should be 'pending'"),
        (Dialect, "'phone', 'modem'", "'phone', 'Modem'", "the check ck_devices_device_type is"),
        (Dialect, "duration_ms >= 0", "duration_ms > 0", "check ck_ota_sessions_duration_ms is"),
        (Dialect, r"UNIQUE \(psk_identity\)", "UNIQUE (psk_identity, iccid)", "uq_card_profiles"),
        (Dialect, r"\(session_id, id\)", "(session_id, direction)", "ix_comm_logs_session_id_id"),
        (Dialect, r"INDEX ix_devices_iccid", "UNIQUE INDEX ix_devices_iccid", "ix_devices_iccid"),
        (Dialect, "ix_settings_category", "ix_category", "ix_settings_category is missing"),
        ([SQLITE], "KEY AUTOINCREMENT", "KEY", "comm_logs: the numbering of id is missing"),
        ([SQLITE, POSTGRESQL], "CONSTRAINT pk_settings", "CONSTRAINT pk_other", "key pk_settings"),
        ([POSTGRESQL], "GENERATED BY DEFAULT AS IDENTITY", "NOT NULL", "numbering of id is"),
        ([POSTGRESQL], r'VARCHAR\(128\) COLLATE "C"', "VARCHAR(128)", "the collation of name is"),
        (
            [POSTGRESQL],
            r"(last_seen +)TIMESTAMPTZ",
            r"\1TIMESTAMP",
            "of last_seen is TIMESTAMP, not",
        ),
        ([POSTGRESQL], r"JSONB,", "JSON,", "type of connection_settings is JSON,"),
        ([MYSQL], "AUTO_INCREMENT", "", "comm_logs: the numbering of id is missing"),
        ([MYSQL], r"\b(name +VARCHAR\(128\))", r"\1 COLLATE utf8mb4_bin", "the collation of name"),
        ([MYSQL], r"DATETIME\(6\),", "DATETIME,", "type of last_seen is DATETIME, not DATETIME(6)"),
        ([MYSQL], "MEDIUMTEXT,", "TEXT,", "the type of notes is TEXT, not MEDIUMTEXT"),
    ],
    [
        (Dialect, r"(?m)^( +)(model .*\n)", r"\1\2\1extra INTEGER,\n", "column extra is not in"),
        (
            Dialect,
            r"(?m)^ +CONSTRAINT ck_card_profiles_card_type .*\n",
            "",
            "card_type is missing; it should be card_type IN ('UICC', 'USIM', 'eUICC', 'ISIM')",
        ),
        (Dialect, r"ON DELETE CASCADE", "", "on delete NO ACTION, not"),
        (Dialect, "ck_ota_sessions_status", "ck_status", "check ck_ota_sessions_status is missing"),
    ],
    [
        (Dialect, r"(?m)^( +model .*\n)( +firmware_version .*\n)", r"\2\1", "order of columns"),
        (Dialect, "fk_comm_logs_session_id", "fk_other", "fk_comm_logs_session_id is missing"),
        (
            Dialect,
            r"\(created_at, id, status, duration_ms\)",
            "(created_at, id, duration_ms, status)",
            "ix_ota_sessions_created_at_id_status_duration_ms is",
        ),
    ],
    [
        (Dialect, r"model( +)VARCHAR\(64\)", r"model\1VARCHAR(65)", "type of model is VARCHAR(65)"),
        (
            Dialect,
            "ON DELETE CASCADE",
            "ON DELETE CASCADE ON UPDATE CASCADE",
            "on delete CASCADE on update CASCADE, not",
        ),
    ],
]


@pytest.mark.parametrize("part", PARTS)
def test_a_difference_is_seen(
    part: list[Edit], dialect: Dialect, empty_url: str, tmp_path: Path
) -> None:
    edits = [edit for edit in part if dialect in edit[0]]
    for _, old, new, _ in edits:
        folder = edited_migrations(tmp_path / "edited", dialect, old, new)
    with migrated(empty_url, folder) as engine:
        found = differences(engine)
    for *_, said in edits:
        assert any(said in sentence for sentence in found), found


@pytest.mark.parametrize(
    "written",
    [
        "status IN ('new', 'eUICC')",
        "(`status` in (_utf8mb4'new',_utf8mb4'eUICC'))",
        "(`status` in (_utf8mb4\\'new\\',_utf8mb4\\'eUICC\\'))",
        "`status` in ('new','eUICC')",
        "((status)::text = ANY ((ARRAY['new'::character varying, "
        "'eUICC'::character varying])::text[]))",
        "status::text = ANY (ARRAY['new'::character varying, 'eUICC'::character varying]::text[])",
    ],
)
def test_a_condition_is_one_however_a_server_writes_it(written: str) -> None:
    assert "status" in readable(written)
    assert "IN (" in readable(written)
    assert "'new', 'eUICC'" in readable(written)
    assert _squeezed(readable(written)) == _squeezed("status IN ('new', 'eUICC')")
    assert _squeezed(readable(written)) != _squeezed("status IN ('new', 'euicc')")


EXTRAS = {
    Dialect.SQLITE: {
        "CREATE TRIGGER t BEFORE INSERT ON comm_logs BEGIN SELECT RAISE(IGNORE); END":
            "comm_logs: the schema does not have the trigger t",
    },
    Dialect.MYSQL: {
        "CREATE TRIGGER t BEFORE DELETE ON comm_logs FOR EACH ROW SET @gone = 1":
            "comm_logs: the schema does not have the trigger t",
        "ALTER TABLE devices DROP INDEX ix_devices_iccid, ADD INDEX ix_devices_iccid (iccid(5))":
            "devices.ix_devices_iccid: the schema does not have an index on the first 5 characters "
            "of iccid",
    },
    Dialect.POSTGRESQL: {
        "CREATE FUNCTION nop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'": None,
        "CREATE TRIGGER t BEFORE INSERT ON comm_logs FOR EACH ROW EXECUTE FUNCTION nop()":
            "comm_logs: the schema does not have the trigger t",
        "CREATE RULE r AS ON DELETE TO test_results DO INSTEAD NOTHING":
            "test_results: the schema does not have the rule r",
        "ALTER TABLE card_profiles ENABLE ROW LEVEL SECURITY":
            "card_profiles: the schema does not have row level security",
        "ALTER TABLE settings SET UNLOGGED":
            "settings: the schema does not have UNLOGGED, which a crash empties",
    },
}  # fmt: skip


def test_what_else_changes_or_hides_rows_is_a_difference(dialect: Dialect, empty_url: str) -> None:
    with migrated(empty_url) as engine:
        assert differences(engine) == []
        with engine.begin() as connection:
            for statement in EXTRAS[dialect]:
                connection.exec_driver_sql(statement)
        assert sorted(differences(engine)) == sorted(filter(None, EXTRAS[dialect].values()))


def test_an_invalid_index_is_named_as_such(make_database: Callable[[Dialect], str]) -> None:
    with migrated(make_database(Dialect.POSTGRESQL)) as engine:
        with engine.begin() as connection:
            for name in ("leftover", "ix_devices_iccid"):
                connection.execute(text(f"CREATE INDEX IF NOT EXISTS {name} ON devices (imei)"))
                spoil = f"indisvalid = FALSE WHERE indexrelid = '{name}'::regclass"
                connection.execute(text(f"UPDATE pg_index SET {spoil}"))
        found = differences(engine)
    assert found == [
        *(
            f"devices: the index {name} is invalid, left by a build that broke off; "
            f"drop it: DROP INDEX CONCURRENTLY {name};"
            for name in ("ix_devices_iccid", "leftover")
        ),
        "devices: the index ix_devices_iccid is missing; it should be (iccid)",
    ]


def test_the_migrations_make_the_declared_tables_next_to_those_of_others(empty_url: str) -> None:
    with migrated(empty_url) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE somebody_elses (id INTEGER)"))
        assert differences(engine) == []
