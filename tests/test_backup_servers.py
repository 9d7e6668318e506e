"""Backup and restore on all backends: the servers' own tools, and JSON lines between them."""

import os
import re
import shlex
import shutil
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import inspect
from sqlalchemy.engine import make_url

from cardlink_sql import (
    DatabaseConfig,
    DatabaseError,
    DatabaseManager,
    MigrationError,
    StateError,
    ValidationError,
)
from cardlink_sql.dialect import Dialect
from cardlink_sql.transfer.backup import (
    Method,
    check_backup,
    create_backup,
    restore_backup,
)
from cardlink_sql.transfer.backup.tools import Tool, lines
from tests.conftest import ANOTHER, MakeDatabase, Migrated, Restore, Run
from tests.roles import database_user, execute
from tests.test_backup import LOGS, change, content, fill, rewritten, writers

SERVERS = (Dialect.POSTGRESQL, Dialect.MYSQL)
on_servers = pytest.mark.parametrize("dialect", SERVERS)
METHODS = (Method.NATIVE, Method.JSONL)


@pytest.fixture(scope="session")
def migrated(owners: Migrated) -> Migrated:
    """A backup and a restore make tables, so the owner of the database runs them."""
    return owners


@pytest.fixture
def filled(manager: DatabaseManager) -> DatabaseManager:
    """A database with rows in every table, on each backend in turn."""
    fill(manager)
    return manager


@pytest.fixture
def new(dialect: Dialect, make_database: MakeDatabase) -> Iterator[DatabaseManager]:
    """An empty database on the same backend."""
    with DatabaseManager(DatabaseConfig(make_database(dialect))) as made:
        yield made


def table_names(manager: DatabaseManager) -> set[str]:
    return set(inspect(manager.engine).get_table_names())


@pytest.mark.parametrize("method", METHODS)
def test_what_is_restored_is_what_was_backed_up(
    method: Method, filled: DatabaseManager, restored: Restore, tmp_path: Path
) -> None:
    schema = filled.migrator.status().applied
    made = create_backup(filled, tmp_path / "one.backup", method=method)
    assert made.obstacle is None
    assert made.manifest.contents.tables["comm_logs"] == 2 * LOGS
    assert check_backup(made.file) == made.manifest

    # A dump goes into its own backend, JSON lines into another.
    lines = method is Method.JSONL
    new = restored(ANOTHER[filled.dialect] if lines else filled.dialect, made.file)
    assert content(new) == content(filled)
    status = new.migrator.status()
    assert status.is_current
    assert [one.id for one in status.applied] == [one.id for one in schema]
    if method is Method.NATIVE:
        assert status.applied == schema
    # The numbers of log entries go on after the restored ones; foreign keys hold.
    change(new)
    assert len(content(new)["comm_logs"]) == LOGS


@on_servers
def test_a_servers_database_with_rows_is_not_restored_into(
    filled: DatabaseManager, run: Run, tmp_path: Path
) -> None:
    before = content(filled)
    for method in METHODS:
        made = create_backup(filled, tmp_path / f"{method}.backup", method=method)
        with pytest.raises(StateError, match="already has rows in the table") as refused:
            restore_backup(filled, made.file)
    assert content(filled) == before

    # What the remedy tells to do works.
    remedy = refused.value.remedy or ""
    told = re.fullmatch(
        r"nothing was changed; as an administrator run: (?P<make>.*); "
        r"then: cardlink-db (?P<command>restore \S+ -d \S+); "
        r"then point DATABASE_URL at that database",
        remedy,
    )
    assert told is not None, remedy
    name = f"{filled.config.engine_url.database}_restored"
    try:
        execute(filled, *told["make"].split("; "))
        (target,) = shlex.split(told["command"])[3:]
        url = filled.config.engine_url.set(database=name).render_as_string(hide_password=False)
        assert target.split("@")[-1].partition("?")[0].endswith(f"/{name}")
        done = run("restore", str(made.file), "-d", url)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("Restored ")
        with DatabaseManager(DatabaseConfig(url)) as new:
            assert content(new) == before
    finally:
        execute(filled, f"DROP DATABASE IF EXISTS {name}")


@on_servers
def test_tables_without_rows_take_json_lines_and_no_dump(
    filled: DatabaseManager, new: DatabaseManager, tmp_path: Path
) -> None:
    native = create_backup(filled, tmp_path / "native.backup", method=Method.NATIVE)
    lines = create_backup(filled, tmp_path / "lines.backup", method=Method.JSONL)
    new.create_tables()
    with pytest.raises(StateError, match="already has the table"):
        restore_backup(new, native.file)
    restore_backup(new, lines.file)
    assert content(new) == content(filled)


@on_servers
def test_a_backup_while_others_write_is_of_one_moment(
    manager: DatabaseManager, restored: Restore, tmp_path: Path
) -> None:
    with writers(manager.config.url, 1):
        for method in METHODS:
            create_backup(manager, tmp_path / f"{method}.backup", method=method)
    for method, dialect in zip(METHODS, (manager.dialect, Dialect.SQLITE), strict=True):
        rows = content(restored(dialect, tmp_path / f"{method}.backup"))["comm_logs"]
        assert set(Counter(row[1] for row in rows).values()) == {50}


def test_an_older_schema_is_restored_and_then_migrated(
    empty_url: str, new: DatabaseManager, tmp_path: Path
) -> None:
    with DatabaseManager(DatabaseConfig(empty_url)) as manager:
        manager.migrator.migrate("0001")
        pending = manager.migrator.status().pending
        made = create_backup(manager, tmp_path / "old.backup")
        assert made.manifest.contents.migrations == ("0001_initial_schema",)
        with pytest.raises(MigrationError, match="JSON lines are of the current schema"):
            create_backup(manager, tmp_path / "lines.backup", method=Method.JSONL)
    done = restore_backup(new, made.file)
    assert done.pending == pending == new.migrator.status().pending != []
    new.create_tables()
    assert new.migrator.status().is_current


def test_an_interrupt_leaves_nothing(
    filled: DatabaseManager, new: DatabaseManager, tmp_path: Path
) -> None:
    def interrupt(_done: int) -> None:
        raise KeyboardInterrupt

    for method in METHODS:
        made = create_backup(filled, tmp_path / f"{method}.backup", method=method)
        with pytest.raises(KeyboardInterrupt):
            restore_backup(new, made.file, on_progress=interrupt)
        assert table_names(new) == set()
        new.close()
        with pytest.raises(KeyboardInterrupt):
            create_backup(filled, tmp_path / "two.backup", method=method, on_progress=interrupt)
        assert not (tmp_path / "two.backup").exists()
    restore_backup(new, made.file)


@on_servers
def test_only_the_tables_of_cardlink_are_taken(
    manager: DatabaseManager, new: DatabaseManager, tmp_path: Path
) -> None:
    try:
        for each in (manager, new):
            execute(each, "CREATE TABLE theirs (a INTEGER)")
        made = create_backup(manager, tmp_path / "one.backup")
        assert "theirs" not in made.manifest.contents.tables
        restore_backup(new, made.file)
        assert new.migrator.status().is_current
    finally:
        execute(manager, "DROP TABLE theirs")


# Tools


@on_servers
def test_without_tools_it_is_json_lines(
    manager: DatabaseManager, restored: Restore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    native = create_backup(manager, tmp_path / "native.backup").file
    monkeypatch.setenv("PATH", str(tmp_path))
    made = create_backup(manager, tmp_path / "one.backup")
    assert made.obstacle is not None
    assert "on the PATH" in made.obstacle
    assert made.manifest.kind == "jsonl"
    with pytest.raises(DatabaseError, match="on the PATH"):
        create_backup(manager, tmp_path / "two.backup", method=Method.NATIVE)
    with pytest.raises(DatabaseError, match="on the PATH"):
        restored(manager.dialect, native)
    restored(manager.dialect, made.file)
    check_backup(native)
    assert not (tmp_path / "two.backup").exists()


@pytest.mark.parametrize(
    ("dialect", "name", "says", "obstacle"),
    [
        (Dialect.POSTGRESQL, "pg_dump", "pg_dump (PostgreSQL) 9.6.24", "older than the server"),
        (Dialect.MYSQL, "mysqldump", "mysqldump  Ver 8.0.36 for Linux", "of MariaDB's on the PATH"),
    ],
)
def test_a_tool_that_will_not_do_is_not_taken(
    name: str, says: str, obstacle: str, manager: DatabaseManager,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    if tools_of(manager)[0] == "mysqldump":
        name, says = "mariadb-dump", "mariadb-dump from 11.8.9-MariaDB"
        obstacle = "of MySQL's on the PATH"
    script(tmp_path / "bin" / name, f"echo '{says}'")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    made = create_backup(manager, tmp_path / "one.backup")
    assert obstacle in (made.obstacle or "")


def script(path: Path, line: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def tools_of(manager: DatabaseManager) -> tuple[str, str]:
    """The programs of the server's own product that write a dump and load it."""
    if manager.dialect is Dialect.POSTGRESQL:
        return "pg_dump", "psql"
    version = str(manager.health_check()["server_version"])
    return ("mariadb-dump", "mariadb") if "MariaDB" in version else ("mysqldump", "mysql")


@on_servers
def test_a_tool_that_fails_leaves_nothing(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tools_of(manager)[0]
    version = f"[ $1 = --version ] && exec {shutil.which(tool)} $1"
    script(tmp_path / "bin" / tool, f'{version}; echo "error: no" >&2; exit 3')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(DatabaseError, match=f"{tool} failed: error: no"):
        create_backup(manager, tmp_path / "one.backup")
    script(tmp_path / "bin" / tool, f"{version}; exit 0")
    if manager.dialect is Dialect.MYSQL:
        with pytest.raises(DatabaseError, match="wrote no end"):
            create_backup(manager, tmp_path / "one.backup")
    assert {path.name for path in tmp_path.iterdir()} == {"bin"}


@pytest.mark.parametrize("dialect", [Dialect.POSTGRESQL])
def test_the_url_counts_for_a_tool_and_not_libpqs_variables(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where the URL says what libpq takes by itself."""
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    url = manager.config.engine_url.update_query_dict({"sslmode": "prefer"})
    with DatabaseManager(url.render_as_string(hide_password=False)) as other:
        made = create_backup(other, tmp_path / "one.backup", method=Method.NATIVE)
    assert made.obstacle is None


PASSWORD = "p w'\"\\s#=;%é\\n"


@pytest.fixture
def with_password(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[DatabaseManager, Path]]:
    """A manager that connects by a password, and a file with the command line of each tool."""
    log = tmp_path / "commands"
    for tool in ("pg_restore", *tools_of(manager)):
        script(tmp_path / "bin" / tool, f'echo "$0 $@" >> {log}; exec {shutil.which(tool)} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    quoted = PASSWORD_SQL[manager.dialect]
    with database_user(manager) as (user, plain):
        if manager.dialect is Dialect.POSTGRESQL:
            execute(manager, f"ALTER ROLE {user} SUPERUSER PASSWORD '{quoted}'")
        else:
            execute(manager, f"ALTER USER {user} IDENTIFIED BY '{quoted}'")
            execute(manager, f"GRANT ALL ON *.* TO {user}")
        url = plain.config.engine_url.set(password=PASSWORD)
        with DatabaseManager(url.render_as_string(hide_password=False)) as other:
            yield other, log


PASSWORD_SQL = {
    Dialect.POSTGRESQL: PASSWORD.replace("'", "''"),
    Dialect.MYSQL: PASSWORD.replace("\\", "\\\\").replace("'", "''"),
}


@on_servers
def test_no_password_is_on_a_command_line_or_in_an_error(
    with_password: tuple[DatabaseManager, Path],
    manager: DatabaseManager,
    make_database: MakeDatabase,
    tmp_path: Path,
) -> None:
    other, log = with_password
    fill(manager)
    made = create_backup(other, tmp_path / "one.backup", method=Method.NATIVE)
    database = make_url(make_database(manager.dialect)).database
    url = other.config.engine_url.set(database=database).render_as_string(hide_password=False)
    with DatabaseManager(DatabaseConfig(url)) as new:
        tool = tools_of(manager)[1]
        working = (tmp_path / "bin" / tool).read_text()
        real = shutil.which(tool, path=os.environ["PATH"].partition(os.pathsep)[2])
        leak = 'echo "error: $PGPASSWORD" >&2; cat ${1#--defaults-file=} >&2; exit 1'
        script(tmp_path / "bin" / tool, f"[ $1 = --version ] && exec {real} $1; {leak}")
        with pytest.raises(DatabaseError) as failed:
            restore_backup(new, made.file)
        assert f"{tool} failed" in str(failed.value)
        assert PASSWORD not in str(failed.value)

        (tmp_path / "bin" / tool).write_text(working)
        restore_backup(new, made.file)
        assert content(new) == content(manager)
        with pytest.raises(StateError) as refused:
            restore_backup(new, made.file)
        assert PASSWORD[:5] not in str(refused.value)
    commands = log.read_text()
    assert "--version" in commands
    assert PASSWORD not in commands
    assert PASSWORD[:5] not in commands


# What refuses


def test_another_dialects_own_backup_is_refused(
    manager: DatabaseManager, migrated: Migrated, tmp_path: Path
) -> None:
    made = create_backup(migrated(ANOTHER[manager.dialect]), tmp_path / "one.backup")
    with pytest.raises(ValidationError, match="this is a backup of") as refused:
        restore_backup(manager, made.file)
    assert "--method jsonl" in (refused.value.remedy or "")


def test_a_manifest_that_lies_about_rows_is_refused(
    filled: DatabaseManager, new: DatabaseManager, tmp_path: Path
) -> None:
    for method in METHODS:
        assert table_names(new) == set()
        made = create_backup(filled, tmp_path / f"{method}.backup", method=method)
        forged = rewritten(
            made.file, tmp_path / "two.backup", lambda m: m["tables"].update(comm_logs=3)
        )
        for read in (check_backup, partial(restore_backup, new)):
            with pytest.raises(ValidationError, match="rows of comm_logs: 80"):
                read(forged)


# Schemas and rights


@pytest.mark.parametrize("dialect", [Dialect.POSTGRESQL])
def test_a_dump_of_another_schema_is_refused_and_json_lines_are_not(
    filled: DatabaseManager, tmp_path: Path
) -> None:
    native = create_backup(filled, tmp_path / "native.backup")
    lines = create_backup(filled, tmp_path / "lines.backup", method=Method.JSONL)
    assert native.manifest.schema == "public"
    url = filled.config.engine_url.update_query_dict({"options": "-csearch_path=cl_other"})
    make, drop = "CREATE SCHEMA cl_other", "DROP SCHEMA cl_other CASCADE"
    execute(filled, make)
    try:
        with DatabaseManager(DatabaseConfig(url.render_as_string(hide_password=False))) as other:
            with pytest.raises(ValidationError, match="new tables of this role are made in"):
                restore_backup(other, native.file)
            restore_backup(other, lines.file)
            assert content(other) == content(filled)
            made = create_backup(other, tmp_path / "other.backup")
            assert made.manifest.schema == "cl_other"
            execute(filled, drop, make)
            restore_backup(other, made.file)
            assert content(other) == content(filled)
    finally:
        execute(filled, drop)


# A kill


@pytest.mark.parametrize("line", [200, 300])
@on_servers
def test_a_kill_while_a_dump_is_loaded_leaves_no_migrated_database(
    line: int, filled: DatabaseManager, new: DatabaseManager, tmp_path: Path
) -> None:
    made = create_backup(filled, tmp_path / "one.backup", method=Method.NATIVE)
    child = os.fork()
    if child == 0:
        try:
            kill_at_line(line)
            restore_backup(new, made.file)
        finally:
            os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    if new.dialect is Dialect.POSTGRESQL:
        assert table_names(new) == set()
        assert not new.migrator.status().applied
    else:
        with pytest.raises(MigrationError, match="no record of migrations"):
            new.migrator.status()


def kill_at_line(last: int) -> None:
    """Let this process be killed when it has given a tool so many lines of a dump."""

    def cut(script: Iterable[bytes]) -> Iterator[bytes]:
        for number, line in enumerate(script):
            if number == last:
                os.kill(os.getpid(), signal.SIGKILL)
            yield line

    feed = Tool.feed
    Tool.feed = lambda tool, arguments, pieces, remedy: feed(  # type: ignore[method-assign]
        tool, arguments, cut(lines(pieces, "")), remedy
    )
