"""Settings of the server, the role and the database that could turn the layer's meaning."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from cardlink_sql import ConnectionError, DatabaseConfig, DatabaseManager, Dialect, UnitOfWork
from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.engine import make_engine
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.transfer.backup import mysql
from cardlink_sql.transfer.backup.tools import Tool
from tests.conftest import SERVER_URLS, Run, cannot_run, device, wait_until
from tests.roles import ask, execute
from tests.test_servers import SCRIPT

ODD = {
    Dialect.POSTGRESQL: [
        "datestyle=SQL,DMY",
        "timezone=Asia/Kathmandu",
        "intervalstyle=iso_8601",
        "quote_all_identifiers=on",
        "default_transaction_isolation=serializable",
        "default_transaction_deferrable=on",
        "standard_conforming_strings=off",
        "backslash_quote=on",
        "transform_null_equals=on",
        "bytea_output=escape",
        "extra_float_digits=-10",
        "client_min_messages=debug1",
        "row_security=off",
    ],
    Dialect.MYSQL: [
        "sql-mode=ORACLE,ANSI,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES",
        "autocommit=0",
        "completion-type=CHAIN",
        "transaction-isolation=SERIALIZABLE",
        "default-time-zone=+05:45",
        "character-set-server=latin1",
        "collation-server=latin1_german2_ci",
        "div-precision-increment=0",
        "loose-sql-safe-updates=1",
        "max-sort-length=8",
        "default-storage-engine=MyISAM",
        "innodb-lock-wait-timeout=1",
        "lower-case-table-names=1",
    ],
}
CORE = ["devices", "cards", "sessions", "logs", "settings", "results", "unit_of_work"]
CORE += ["retention", "export", "backup_servers", "review_check", "round_trips", "cli_stats"]
# Of the backups, what the tools write and read; the rest is about rights, kills and faults.
BACKUP = "what_is_restored"
# What is about many rows or several writers meets each setting with the few rows of others, too,
# and a query that is broken on purpose is refused by any server.
MANY = "add_up or purges_at_once or more_rows_than_a_page or of_any_size or broken_query"
WHICH = f"(mysql or postgresql or {BACKUP}) and not ({MANY}) and ({BACKUP} or not backup_servers)"


# The connection to a server, of which only a URL of several hosts asks anything.
UNASKED = InternalStatements(Dialect.MYSQL, None)


def test_odd_settings_of_a_server_change_nothing(tmp_path: Path) -> None:
    """The core of the suite passes on servers with all of them at once."""
    options = {
        f"CARDLINK_TEST_{dialect.name}_OPTIONS": " ".join(
            f"{'-c ' if dialect is Dialect.POSTGRESQL else '--'}'{setting}'" for setting in settings
        )
        for dialect, settings in ODD.items()
    }
    kept = {name: value for name, value in os.environ.items() if name not in SERVER_URLS.values()}
    tests = [str(SCRIPT.parent.parent / "tests" / f"test_{part}.py") for part in CORE]
    chosen = ["-k", WHICH, "-n0", f"--basetemp={tmp_path / 'core'}"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--", sys.executable, "-m", "pytest", *chosen, *tests],
        env={**kept, **options},
        capture_output=True,
        text=True,
        check=False,
    )
    if "NOT TESTED" in done.stderr:
        cannot_run("a server program of PostgreSQL or MariaDB is missing on this machine")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def owner(owners: Callable[[Dialect], DatabaseManager]) -> DatabaseManager:
    """Who made a migrated database on PostgreSQL."""
    return owners(Dialect.POSTGRESQL)


def test_a_transaction_that_the_server_ended_is_a_connection_error(owner: DatabaseManager) -> None:
    url = make_url(owner.config.url).update_query_dict(
        {"options": "-c idle_in_transaction_session_timeout=200", "application_name": "idle"}
    )
    left = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'idle'"
    with DatabaseManager(url.render_as_string(hide_password=False)) as one, UnitOfWork(one) as uow:
        uow.devices.create(device(1))
        assert uow.devices.count() == 1  # the server does not count from the end of a pipeline
        wait_until(lambda: not ask(owner, left))
        with pytest.raises(ConnectionError, match="idle-in-transaction timeout") as broken:
            uow.devices.create(device(2))
        assert broken.value.remedy == "run the unit of work again; nothing of it was committed"


def test_a_database_that_cannot_keep_all_text_is_named(owner: DatabaseManager, run: Run) -> None:
    execute(owner, "CREATE DATABASE odd_latin1 ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
    try:
        url = make_url(owner.config.url).set(database="odd_latin1")
        shown = url.render_as_string(hide_password=False)
        made, status = run("init", "-d", shown), run("status", "--json", "-d", shown)
    finally:
        execute(owner, "DROP DATABASE odd_latin1 WITH (FORCE)")
    assert "the database is LATIN1" in made.stdout
    assert "the database is LATIN1" in json.loads(status.stdout)["hint"]
    assert owner.health_check()["hint"] is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("ssl_verify_identity=true", {"check_hostname": True}),
        ("ssl_verify_identity=false", {"check_hostname": False}),
        ("ssl_verify_cert=false", {"verify_mode": False, "check_hostname": False}),
    ],
)
def test_verifying_the_server_keeps_the_ca(options: str, expected: dict[str, bool]) -> None:
    config = DatabaseConfig(f"mysql://ann@127.0.0.1/cards?ssl_ca=ca.pem&{options}")
    _, given = make_engine(config).dialect.create_connect_args(config.engine_url)
    backend_of(Dialect.MYSQL).prepare(config, given, read_only=False)
    assert given["ssl"] == {"ca": "ca.pem", **expected}
    assert not {"ssl_verify_identity", "ssl_verify_cert"} & given.keys()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {'loose-ssl-verify-server-cert = "0"'}),
        ("?ssl_disabled=true", {'loose-ssl = "0"', 'loose-ssl-mode = "DISABLED"'}),
        (
            "?ssl_ca=ca.pem&ssl_verify_identity=true",
            {'ssl-ca = "ca.pem"', 'loose-ssl-mode = "VERIFY_IDENTITY"', 'loose-ssl = "1"'},
        ),
    ],
)
def test_a_tool_asks_for_tls_where_the_url_does(options: str, expected: set[str]) -> None:
    """MariaDB's from 11.4 on would ask a server without TLS for it, too."""
    with (
        DatabaseManager(f"mysql://ann@127.0.0.1/cards{options}") as manager,
        mysql._connecting(Tool("mariadb-dump", ""), manager, UNASKED) as (_, argument),
    ):
        lines = Path(argument.partition("=")[2]).read_text().splitlines()
    asked = {line for line in lines if "ssl" in line}
    assert expected <= asked
    assert bool(options) or asked == expected
