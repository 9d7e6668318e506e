"""Backup and restore on all backends: the servers' own tools, and JSON lines between them."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cardlink_sql import (
    ConflictError,
    DatabaseConfig,
    DatabaseError,
    DatabaseManager,
    MigrationError,
    ValidationError,
)
from cardlink_sql.database import engine
from cardlink_sql.dialect import Dialect
from cardlink_sql.transfer.backup import (
    Method,
    Replaced,
    check_backup,
    connections,
    create_backup,
    mysql_scratch,
    pg_restore,
    pg_scratch,
    restore_backup,
    statements,
)
from cardlink_sql.transfer.backup.mysql_scratch import MySQLScratch
from cardlink_sql.transfer.backup.pg_scratch import PgScratch
from cardlink_sql.transfer.backup.pg_swap import PgSwap
from cardlink_sql.transfer.backup.sqlite_scratch import SQLiteScratch
from tests.conftest import ALL_DIALECTS, Restore, delete_rows, dump, remove
from tests.test_backup import LOGS, change, fill, rewritten, writers

SERVERS = (Dialect.POSTGRESQL, Dialect.MYSQL)
METHODS = [Method.NATIVE, Method.JSONL]


@pytest.fixture(scope="session")
def migrated(owners: Callable[[Dialect], DatabaseManager]) -> Callable[[Dialect], DatabaseManager]:
    """A backup and a restore make tables, so the owner of the database runs them."""
    return owners


def replaced_manager(manager: DatabaseManager, replaced: Replaced) -> DatabaseManager:
    """Of the database that was replaced."""
    url = manager.config.engine_url
    name = replaced.name.rpartition(" ")[2]
    if manager.dialect is Dialect.SQLITE:
        url = url.set(database=replaced.name)
    elif manager.dialect is Dialect.MYSQL:
        url = url.set(database=name)
    else:
        url = url.update_query_dict({"options": f"-csearch_path={name}"})
    return DatabaseManager(DatabaseConfig(url.render_as_string(hide_password=False)))


def asides(manager: DatabaseManager) -> set[str]:
    """The databases and schemas that restores have made."""
    if manager.config.is_sqlite:
        file = Path(manager.config.engine_url.database or "")
        return {path.name for path in file.parent.glob(f"{file.name}.*")}
    query = {
        Dialect.MYSQL: "SELECT schema_name FROM information_schema.schemata"
        " WHERE LEFT(schema_name, CHAR_LENGTH(DATABASE()) + 3) = CONCAT(DATABASE(), '_re')",
        Dialect.POSTGRESQL: "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'cardlink%'",
    }[manager.dialect]
    with manager.engine.connect() as connection:
        return set(connection.scalars(text(query)).all())


@pytest.mark.parametrize("method", METHODS)
def test_what_is_restored_is_what_was_backed_up(
    method: Method, manager: DatabaseManager, restore: Restore, tmp_path: Path
) -> None:
    fill(manager)
    before, schema = dump(manager), manager.migrator.status().applied
    made = create_backup(manager, tmp_path / "one.backup", method=method)
    assert made.obstacle is None
    assert made.manifest.contents.tables["comm_logs"] == 2 * LOGS
    assert check_backup(made.file) == made.manifest

    change(manager)
    changed = dump(manager)
    done = restore(manager, made.file)
    assert dump(manager) == before
    assert done.replaced is not None
    with replaced_manager(manager, done.replaced) as replaced:
        assert dump(replaced) == changed
    status = manager.migrator.status()
    assert status.is_current
    assert [one.id for one in status.applied] == [one.id for one in schema]
    if method is Method.NATIVE:
        assert status.applied == schema
    # The numbers of log entries go on behind the restored ones; foreign keys hold.
    change_back = [table.rows for table in manager.table_sizes()]
    assert sum(change_back) == sum(len(rows) for rows in before.values())
    change(manager)
    assert len(dump(manager)["comm_logs"]) == LOGS
    assert asides(manager) == {Path(done.replaced.name.rpartition(" ")[2]).name}


@pytest.mark.parametrize("source", ALL_DIALECTS)
def test_json_lines_go_from_every_backend_into_every_other(
    source: Dialect,
    manager: DatabaseManager,
    migrated: Callable[[Dialect], DatabaseManager],
    restore: Restore,
    tmp_path: Path,
) -> None:
    origin = migrated(source)
    fill(origin)
    before = dump(origin)
    made = create_backup(origin, tmp_path / "one.backup", method=Method.JSONL)
    delete_rows(origin)
    restore(manager, made.file)
    assert dump(manager) == before


def test_an_empty_database_is_restored_into(
    manager: DatabaseManager, make_database: Callable[[Dialect], str], tmp_path: Path
) -> None:
    fill(manager)
    for method in METHODS:
        made = create_backup(manager, tmp_path / f"{method}.backup", method=method)
        with DatabaseManager(DatabaseConfig(make_database(manager.dialect))) as other:
            assert restore_backup(other, made.file).replaced is None
            assert dump(other) == dump(manager)
            assert asides(other) == set()


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("method", METHODS)
def test_a_backup_while_others_write_is_of_one_moment(
    server: Dialect,
    method: Method,
    migrated: Callable[[Dialect], DatabaseManager],
    make_database: Callable[[Dialect], str],
    tmp_path: Path,
) -> None:
    source = migrated(server)
    try:
        with writers(source.config.url, 1):
            made = create_backup(source, tmp_path / "one.backup", method=method)
    finally:
        delete_rows(source)
    with DatabaseManager(DatabaseConfig(make_database(server))) as other:
        restore_backup(other, made.file)
        counts = "SELECT COUNT(*) FROM comm_logs GROUP BY session_id"
        with other.engine.connect() as connection:
            assert set(connection.scalars(text(counts)).all()) == {50}


def test_an_older_schema_is_restored_and_then_migrated(empty_url: str, tmp_path: Path) -> None:
    with DatabaseManager(DatabaseConfig(empty_url)) as manager:
        manager.migrator.migrate("0001")
        pending = manager.migrator.status().pending
        made = create_backup(manager, tmp_path / "old.backup")
        assert made.manifest.contents.migrations == ("0001_initial_schema",)
        with pytest.raises(MigrationError, match="JSON lines are of the current schema"):
            create_backup(manager, tmp_path / "lines.backup", method=Method.JSONL)
        manager.create_tables()
        done = restore_backup(manager, made.file)
        assert done.pending == pending == manager.migrator.status().pending != []
        manager.create_tables()
        assert manager.migrator.status().is_current
        assert done.replaced is not None
        remove(manager, done.replaced)


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupt_leaves_nothing_aside(
    method: Method,
    manager: DatabaseManager,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    fill(manager)
    made = create_backup(manager, tmp_path / "one.backup", method=method)
    before = dump(manager)

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_backup(manager, made.file, on_progress=interrupt)
    # Later, with everything unpacked and loaded aside.
    for scratch in (SQLiteScratch, MySQLScratch, PgScratch):
        monkeypatch.setattr(scratch, "replace", interrupt)
    monkeypatch.setattr(PgSwap, "after", property(interrupt))
    with pytest.raises(KeyboardInterrupt):
        restore_backup(manager, made.file)
    assert dump(manager) == before
    assert not [name for name in asides(manager) if "scratch" in name or "replaced" in name]
    with pytest.raises(KeyboardInterrupt):
        create_backup(manager, tmp_path / "two.backup", method=method, on_progress=interrupt)
    assert {path.name for path in tmp_path.iterdir()} == {"one.backup"}


def test_only_the_tables_of_cardlink_are_taken_and_replaced(
    manager: DatabaseManager, restore: Restore, tmp_path: Path
) -> None:
    if manager.config.is_sqlite:
        return  # there the backup is the file, with all that is in it
    with manager.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (a INTEGER)")
        connection.exec_driver_sql("INSERT INTO theirs VALUES (1)")
    try:
        made = create_backup(manager, tmp_path / "one.backup")
        assert "theirs" not in made.manifest.contents.tables
        with manager.engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO theirs VALUES (2)")
        restore(manager, made.file)
        with manager.engine.begin() as connection:
            assert connection.scalars(text("SELECT a FROM theirs")).all() == [1, 2]
    finally:
        with manager.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE theirs")


# Tools


@pytest.mark.parametrize("server", SERVERS)
def test_without_tools_it_is_json_lines(
    server: Dialect,
    migrated: Callable[[Dialect], DatabaseManager],
    restore: Restore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    manager = migrated(server)
    native = create_backup(manager, tmp_path / "native.backup").file
    monkeypatch.setenv("PATH", str(tmp_path))
    made = create_backup(manager, tmp_path / "one.backup")
    assert made.obstacle is not None
    assert "on the PATH" in made.obstacle
    assert made.manifest.kind == "jsonl"
    with pytest.raises(DatabaseError, match="on the PATH"):
        create_backup(manager, tmp_path / "two.backup", method=Method.NATIVE)
    with pytest.raises(DatabaseError, match="on the PATH"):
        restore_backup(manager, native)
    restore(manager, made.file)
    check_backup(native)
    assert not (tmp_path / "two.backup").exists()


@pytest.mark.parametrize(
    ("server", "name", "says", "obstacle"),
    [
        (Dialect.POSTGRESQL, "pg_dump", "pg_dump (PostgreSQL) 9.6.24", "older than the server"),
        (Dialect.MYSQL, "mysqldump", "mysqldump  Ver 8.0.36 for Linux", "of MariaDB's on the PATH"),
    ],
)
def test_a_tool_that_will_not_do_is_not_taken(
    server: Dialect,
    name: str,
    says: str,
    obstacle: str,
    migrated: Callable[[Dialect], DatabaseManager],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    script(tmp_path / "bin" / name, f"echo '{says}'")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    made = create_backup(migrated(server), tmp_path / "one.backup")
    assert obstacle in (made.obstacle or "")


def script(path: Path, line: str) -> None:
    """A program of one line."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("server", SERVERS)
def test_a_tool_that_fails_leaves_nothing(
    server: Dialect,
    migrated: Callable[[Dialect], DatabaseManager],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    tool = {Dialect.POSTGRESQL: "pg_dump", Dialect.MYSQL: "mariadb-dump"}[server]
    version = f"[ $1 = --version ] && exec {shutil.which(tool)} $1"
    script(tmp_path / "bin" / tool, f'{version}; echo "error: no" >&2; exit 3')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(DatabaseError, match=f"{tool} failed: error: no"):
        create_backup(migrated(server), tmp_path / "one.backup")
    script(tmp_path / "bin" / tool, f"{version}; exit 0")
    if server is Dialect.MYSQL:
        with pytest.raises(DatabaseError, match="wrote no end"):
            create_backup(migrated(server), tmp_path / "one.backup")
    assert {path.name for path in tmp_path.iterdir()} == {"bin"}


PASSWORD = "p w'\"\\s#=;%é\\n"


@pytest.fixture
def with_password(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[DatabaseManager, Path]]:
    """A manager that connects by a password, and a file with the command line of each tool."""
    name = f"cl_{manager.config.engine_url.database}"[:30]
    log = tmp_path / "commands"
    for tool in ("pg_dump", "pg_restore", "psql", "mariadb-dump", "mariadb"):
        script(tmp_path / "bin" / tool, f'echo "$0 $@" >> {log}; exec {shutil.which(tool)} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    grants = {
        Dialect.POSTGRESQL: [
            f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{PASSWORD_SQL[manager.dialect]}'",
        ],
        Dialect.MYSQL: [
            f"CREATE USER {name}@'%' IDENTIFIED BY '{PASSWORD_SQL[manager.dialect]}'",
            f"GRANT ALL ON *.* TO {name}@'%'",
        ],
    }[manager.dialect]
    with manager.engine.begin() as connection:
        for grant in grants:
            connection.exec_driver_sql(grant.replace("%", "%%"))
    url = manager.config.engine_url.set(username=name, password=PASSWORD)
    config = DatabaseConfig(url.render_as_string(hide_password=False))
    try:
        with DatabaseManager(config) as other:
            yield other, log
    finally:
        with manager.engine.begin() as connection:
            if manager.dialect is Dialect.POSTGRESQL:
                connection.exec_driver_sql(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
                connection.exec_driver_sql(f"DROP OWNED BY {name}")
                connection.exec_driver_sql(f"DROP ROLE {name}")
            else:
                connection.exec_driver_sql(f"DROP USER {name}@'%%'")


PASSWORD_SQL = {
    Dialect.POSTGRESQL: PASSWORD.replace("'", "''"),
    Dialect.MYSQL: PASSWORD.replace("\\", "\\\\").replace("'", "''"),
}


@pytest.mark.parametrize("dialect", SERVERS, indirect=False)
def test_no_password_is_on_a_command_line_or_in_an_error(
    with_password: tuple[DatabaseManager, Path],
    manager: DatabaseManager,
    restore: Restore,
    tmp_path: Path,
) -> None:
    other, log = with_password
    fill(manager)
    before = dump(manager)
    made = create_backup(other, tmp_path / "one.backup", method=Method.NATIVE)
    change(manager)
    restore(other, made.file)
    assert dump(manager) == before
    commands = log.read_text()
    assert "--version" in commands
    assert PASSWORD not in commands
    assert PASSWORD[:5] not in commands

    tool = {Dialect.POSTGRESQL: "psql", Dialect.MYSQL: "mariadb"}[manager.dialect]
    real = shutil.which(tool, path="/usr/bin:/usr/local/bin")
    leak = 'echo "error: $PGPASSWORD" >&2; cat ${1#--defaults-file=} >&2; exit 1'
    script(tmp_path / "bin" / tool, f"[ $1 = --version ] && exec {real} $1; {leak}")
    with pytest.raises(DatabaseError) as failed:
        restore_backup(other, made.file)
    assert f"{tool} failed" in str(failed.value)
    assert PASSWORD not in str(failed.value)
    assert dump(manager) == before


# What refuses


def test_another_dialects_own_backup_is_refused(
    manager: DatabaseManager, migrated: Callable[[Dialect], DatabaseManager], tmp_path: Path
) -> None:
    for dialect in ALL_DIALECTS:
        if dialect is not manager.dialect:
            made = create_backup(migrated(dialect), tmp_path / f"{dialect}.backup")
            with pytest.raises(ValidationError, match="this is a backup of") as refused:
                restore_backup(manager, made.file)
            assert "--method jsonl" in (refused.value.remedy or "")


@pytest.mark.parametrize("method", METHODS)
def test_a_manifest_that_lies_about_rows_changes_nothing(
    method: Method, manager: DatabaseManager, tmp_path: Path
) -> None:
    fill(manager)
    made = create_backup(manager, tmp_path / "one.backup", method=method)
    forged = rewritten(
        made.file, tmp_path / "two.backup", lambda m: m["tables"].update(comm_logs=3)
    )
    before = dump(manager)
    with pytest.raises(ValidationError, match="rows of comm_logs: 80"):
        check_backup(forged)
    with pytest.raises(ValidationError, match="rows of comm_logs: 80"):
        restore_backup(manager, forged)
    assert dump(manager) == before
    assert asides(manager) == set()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("server", SERVERS)
def test_tables_that_are_in_use_are_not_replaced(
    server: Dialect,
    method: Method,
    migrated: Callable[[Dialect], DatabaseManager],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    shared = migrated(server)
    settings = (*engine._SETTINGS[Dialect.MYSQL], "SET lock_wait_timeout = 1")
    monkeypatch.setitem(engine._SETTINGS, Dialect.MYSQL, settings)
    monkeypatch.setattr(statements, "POSTGRESQL_LOCK_TIMEOUT", "SET LOCAL lock_timeout = 100")
    fill(shared)
    before = dump(shared)
    try:
        with DatabaseManager(shared.config) as manager:
            made = create_backup(manager, tmp_path / "one.backup", method=method)
            with shared.engine.begin() as reader:
                reader.execute(text("SELECT * FROM devices"))
                with pytest.raises(ConflictError, match="the tables are in use"):
                    restore_backup(manager, made.file)
            assert dump(manager) == before
            assert asides(manager) == set()
    finally:
        delete_rows(shared)


# PostgreSQL's schemas and rights


@pytest.fixture
def postgresql(migrated: Callable[[Dialect], DatabaseManager]) -> Iterator[DatabaseManager]:
    """The migrated database on PostgreSQL."""
    yield migrated(Dialect.POSTGRESQL)
    delete_rows(migrated(Dialect.POSTGRESQL))


@pytest.mark.parametrize("method", METHODS)
def test_the_new_tables_have_the_rights_and_the_owner_of_the_old(
    method: Method, postgresql: DatabaseManager, restore: Restore, tmp_path: Path
) -> None:
    fill(postgresql)
    database = postgresql.config.engine_url.database
    roles = (f"{database}_owner", f"{database}_runs")
    rights = text(
        "SELECT relname, relowner, attname, a.*"
        " FROM pg_class CROSS JOIN LATERAL (SELECT NULL AS attname, relacl AS acl UNION ALL"
        " SELECT attname, attacl FROM pg_attribute WHERE attrelid = pg_class.oid) AS c"
        " LEFT JOIN LATERAL aclexplode(acl) AS a ON a.grantee <> relowner"
        " WHERE relkind IN ('r', 'S') AND relnamespace = 'public'::regnamespace"
        " ORDER BY relname, attname, grantee, privilege_type"
    )
    with postgresql.engine.begin() as connection:
        me = connection.scalar(text("SELECT CURRENT_USER"))
        for role in roles:
            connection.exec_driver_sql(f"DROP ROLE IF EXISTS {role}")
            connection.exec_driver_sql(f"CREATE ROLE {role}")
        connection.exec_driver_sql(f"GRANT SELECT, INSERT ON devices TO {roles[1]}")
        connection.exec_driver_sql(f"GRANT SELECT ON comm_logs TO {roles[1]} WITH GRANT OPTION")
        connection.exec_driver_sql("GRANT SELECT ON comm_logs TO PUBLIC")
        connection.exec_driver_sql(f"ALTER TABLE devices OWNER TO {roles[0]}")
        connection.exec_driver_sql(f"GRANT SELECT, UPDATE ON comm_logs_id_seq TO {roles[1]}")
        connection.exec_driver_sql(
            f"GRANT SELECT (iccid), UPDATE (notes) ON card_profiles TO {roles[1]}"
        )
        # New tables get rights that these have not.
        connection.exec_driver_sql(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {roles[1]}"
        )
        connection.exec_driver_sql(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT UPDATE ON SEQUENCES TO {roles[0]}"
        )
        before = connection.execute(rights).all()
    try:
        made = create_backup(postgresql, tmp_path / "one.backup", method=method)
        restore(postgresql, made.file)
        with postgresql.engine.begin() as connection:
            assert connection.execute(rights).all() == before
    finally:
        with postgresql.engine.begin() as connection:
            connection.exec_driver_sql(f"REASSIGN OWNED BY {roles[0]} TO {me}")
            for role in roles:
                connection.exec_driver_sql(f"DROP OWNED BY {role}")
                connection.exec_driver_sql(f"DROP ROLE {role}")
            connection.exec_driver_sql("REVOKE ALL ON comm_logs FROM PUBLIC")


def test_a_dump_of_another_schema_is_refused_and_json_lines_are_not(
    postgresql: DatabaseManager, restore: Restore, tmp_path: Path
) -> None:
    fill(postgresql)
    native = create_backup(postgresql, tmp_path / "native.backup")
    lines = create_backup(postgresql, tmp_path / "lines.backup", method=Method.JSONL)
    assert native.manifest.schema == "public"
    url = postgresql.config.engine_url.update_query_dict({"options": "-csearch_path=cl_other"})
    with postgresql.engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA cl_other")
    try:
        with DatabaseManager(DatabaseConfig(url.render_as_string(hide_password=False))) as other:
            with pytest.raises(ValidationError, match="of the schema public, and those of this"):
                restore_backup(other, native.file)
            assert restore_backup(other, lines.file).replaced is None
            assert dump(other) == dump(postgresql)
            made = create_backup(other, tmp_path / "other.backup")
            assert made.manifest.schema == "cl_other"
            restore(other, made.file)
            assert dump(other) == dump(postgresql)
    finally:
        with postgresql.engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA cl_other CASCADE")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("server", SERVERS)
def test_a_role_that_may_not_is_told_what_it_needs(
    server: Dialect,
    method: Method,
    migrated: Callable[[Dialect], DatabaseManager],
    tmp_path: Path,
) -> None:
    owner = migrated(server)
    fill(owner)
    before = dump(owner)
    database = owner.config.engine_url.database
    role = f"{database}_weak"
    make = {
        Dialect.POSTGRESQL: [f"DROP ROLE IF EXISTS {role}",
                             f"CREATE ROLE {role} LOGIN PASSWORD 'weak'",
                             f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"],
        Dialect.MYSQL: [f"DROP USER IF EXISTS {role}",
                        f"CREATE USER {role} IDENTIFIED BY 'weak'",
                        f"GRANT ALL ON {database}.* TO {role}"],
    }[server]  # fmt: skip
    with owner.engine.begin() as connection:
        for statement in make:
            connection.exec_driver_sql(statement)
    try:
        made = create_backup(owner, tmp_path / "one.backup", method=method)
        url = owner.config.engine_url.set(username=role, password="weak")
        with DatabaseManager(DatabaseConfig(url.render_as_string(hide_password=False))) as weak:
            with pytest.raises(DatabaseError) as refused:
                restore_backup(weak, made.file)
            assert "GRANT" in (refused.value.remedy or "")
            assert "nothing was changed" in (refused.value.remedy or "")
        assert dump(owner) == before
        assert asides(owner) == set()
    finally:
        delete_rows(owner)
        with owner.engine.begin() as connection:
            if server is Dialect.POSTGRESQL:
                connection.exec_driver_sql(f"DROP OWNED BY {role}")
                connection.exec_driver_sql(f"DROP ROLE {role}")
            else:
                connection.exec_driver_sql(f"DROP USER {role}")


# A kill

KILLS = [
    (Dialect.MYSQL, "RENAME TABLE", "before"),
    (Dialect.MYSQL, "RENAME TABLE", "after"),
    (Dialect.MYSQL, "CREATE DATABASE", "after"),
    (Dialect.POSTGRESQL, "CREATE SCHEMA", "after"),
    (Dialect.POSTGRESQL, "ALTER TABLE", "after"),
    (Dialect.POSTGRESQL, "COMMIT", "before"),
    (Dialect.POSTGRESQL, "COMMIT", "after"),
]


@pytest.mark.parametrize(("server", "statement", "when"), KILLS)
def test_a_kill_around_the_replacing_leaves_the_old_or_the_new_database(
    server: Dialect,
    statement: str,
    when: str,
    migrated: Callable[[Dialect], DatabaseManager],
    restore: Restore,
    tmp_path: Path,
) -> None:
    manager = migrated(server)
    fill(manager)
    new = dump(manager)
    made = create_backup(manager, tmp_path / "one.backup", method=Method.JSONL)
    change(manager)
    old = dump(manager)
    try:
        kill_at(manager, made.file, statement, when)
        is_done = when == "after" and statement in ("RENAME TABLE", "COMMIT")
        assert dump(manager) == (new if is_done else old)
        done = restore(manager, made.file)
        assert dump(manager) == new
        left = asides(manager) - {(done.replaced or Replaced("", "")).name.rpartition(" ")[2]}
        # Only a restore that was done keeps what it has replaced.
        assert len(left) == is_done
        for name in left:
            kind = "DATABASE" if server is Dialect.MYSQL else "SCHEMA"
            cascade = "" if server is Dialect.MYSQL else " CASCADE"
            remove(manager, Replaced(name, f"DROP {kind} {name}{cascade}"))
    finally:
        delete_rows(manager)


def kill_at(manager: DatabaseManager, backup: Path, statement: str, when: str) -> None:
    """Restore in a child that is killed before or after a statement."""
    child = os.fork()
    if child == 0:
        real = connections.rows

        def rows(connection: Any, sent: str, values: Any = None) -> list[Any]:
            meant = sent.startswith(statement)
            if meant and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(connection, sent, values)
            if meant:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        for module in (mysql_scratch, pg_scratch):
            module.rows = rows  # type: ignore[attr-defined]
        restore_backup(manager, backup)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def test_a_kill_while_psql_works_rolls_all_of_it_back(
    postgresql: DatabaseManager, restore: Restore, tmp_path: Path
) -> None:
    fill(postgresql)
    new = dump(postgresql)
    made = create_backup(postgresql, tmp_path / "one.backup")
    change(postgresql)
    old = dump(postgresql)
    for line in (1, 60, 200, 300):
        child = os.fork()
        if child == 0:
            real = pg_restore.without_unknown_settings

            def script(lines: Any, known: Any, last: int = line, real: Any = real) -> Any:
                for number, each in enumerate(real(lines, known)):
                    if number == last:
                        os.kill(os.getpid(), signal.SIGKILL)
                    yield each

            pg_restore.without_unknown_settings = script
            restore_backup(postgresql, made.file)
            os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert dump(postgresql) == old
        assert asides(postgresql) == set()
    restore(postgresql, made.file)
    assert dump(postgresql) == new
