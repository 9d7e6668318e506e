"""Who may back up and restore, what a role is told that may not, and what a restore leaves."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cardlink_sql import ConnectionError, DatabaseConfig, DatabaseError, DatabaseManager, UnitOfWork
from cardlink_sql.database.driver_errors import translate
from cardlink_sql.dialect import Dialect
from cardlink_sql.review.grants import Role, grants
from cardlink_sql.transfer.backup import Method, create_backup, restore_backup
from tests.conftest import Run, delete_rows, device, dump
from tests.roles import database_user, execute, manager_as
from tests.test_backup import fill

METHODS = [Method.NATIVE, Method.JSONL]
SERVERS = [Dialect.POSTGRESQL, Dialect.MYSQL]
MakeDatabase = Callable[[Dialect], str]


@contextmanager
def own_database(make: MakeDatabase, dialect: Dialect) -> Iterator[DatabaseManager]:
    """A manager that may do anything with an empty database of the test's own."""
    with DatabaseManager(DatabaseConfig(make(dialect))) as owner:
        yield owner


@pytest.fixture
def filled(owner: DatabaseManager) -> Iterator[DatabaseManager]:
    """A database with rows on each server in turn, as its owner."""
    fill(owner)
    yield owner
    delete_rows(owner)


# Backing up


@pytest.mark.parametrize("dialect", SERVERS)
@pytest.mark.parametrize("method", METHODS)
def test_the_reader_may_back_up(method: Method, filled: DatabaseManager, tmp_path: Path) -> None:
    with manager_as(filled, Role.READER) as reader:
        made = create_backup(reader, tmp_path / "one.backup", method=method)
    assert made.manifest.contents.tables["devices"] == 2


@pytest.mark.parametrize("dialect", SERVERS)
def test_a_role_that_may_not_dump_makes_json_lines(filled: DatabaseManager, tmp_path: Path) -> None:
    with manager_as(filled, Role.APP) as app:
        made = create_backup(app, tmp_path / "one.backup")
        if filled.config.is_mysql:
            assert made.manifest.kind == "mysqldump"
            return
        right = "GRANT SELECT ON SEQUENCE comm_logs_id_seq"
        assert made.manifest.kind == "jsonl"
        assert right in (made.obstacle or "")
        with pytest.raises(DatabaseError, match=right) as refused:
            create_backup(app, tmp_path / "two.backup", method=Method.NATIVE)
        assert "--method jsonl" in (refused.value.remedy or "")
        execute(filled, f"{right} TO {app.config.engine_url.username}")
        made = create_backup(app, tmp_path / "two.backup", method=Method.NATIVE)
        assert made.manifest.kind == "pg_dump"


@pytest.mark.parametrize("dialect", SERVERS)
def test_a_role_that_may_not_read_is_told_so(owner: DatabaseManager, tmp_path: Path) -> None:
    with manager_as(owner, Role.READER) as reader:
        name = reader.config.engine_url.username
        user = f"'{name}'@'%'" if owner.config.is_mysql else name
        execute(owner, f"REVOKE SELECT ON comm_logs FROM {user}")
        for method in METHODS:
            with pytest.raises(DatabaseError) as refused:
                create_backup(reader, tmp_path / "one.backup", method=method)
            assert "comm_logs" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


# Restoring


@pytest.mark.parametrize("method", METHODS)
def test_postgresqls_owner_of_the_tables_is_told_which_rights_are_missing(
    method: Method, make_database: MakeDatabase, tmp_path: Path
) -> None:
    with own_database(make_database, Dialect.POSTGRESQL) as owner, database_user(owner) as named:
        role, manager = named
        execute(owner, f"GRANT CREATE ON SCHEMA public TO {role}")
        manager.create_tables()
        fill(manager)
        made = create_backup(manager, tmp_path / "one.backup", method=method)
        before = dump(manager)
        delete_rows(manager)
        execute(owner, f"REVOKE CREATE ON SCHEMA public FROM {role}")
        database = owner.config.engine_url.database
        on_database = f"GRANT CREATE ON DATABASE {database} TO {role}"
        on_schema = f"GRANT CREATE ON SCHEMA public TO {role}"
        for needed in ([on_database, on_schema], [on_schema]):
            with pytest.raises(DatabaseError) as refused:
                restore_backup(manager, made.file)
            told = (refused.value.remedy or "").removeprefix("nothing was changed; let it: ")
            assert told.split("; ") == needed
            execute(owner, needed[0])
            assert sum(map(len, dump(manager).values())) == 0
        restore_backup(manager, made.file)
        assert dump(manager) == before
        manager.close()


@pytest.mark.parametrize("method", METHODS)
def test_postgresqls_tables_go_back_to_a_group_that_owned_them(
    method: Method, make_database: MakeDatabase, tmp_path: Path
) -> None:
    with (
        own_database(make_database, Dialect.POSTGRESQL) as owner,
        database_user(owner) as (group, as_group),
        database_user(owner) as (role, manager),
    ):
        database = owner.config.engine_url.database
        execute(
            owner,
            f"GRANT CREATE ON SCHEMA public TO {group}",
            f"GRANT CREATE ON DATABASE {database} TO {role}",
            f"GRANT {group} TO {role}",
        )
        as_group.create_tables()
        made = create_backup(manager, tmp_path / "one.backup", method=method)
        execute(
            owner,
            f"GRANT CREATE ON SCHEMA public TO {role}",
            f"REVOKE CREATE ON SCHEMA public FROM {group}",
        )
        with pytest.raises(DatabaseError) as refused:
            restore_backup(manager, made.file)
        told = (refused.value.remedy or "").removeprefix("nothing was changed; let it: ")
        assert told == f"GRANT CREATE ON SCHEMA public TO {group}"
        execute(owner, told)
        done = restore_backup(manager, made.file).replaced
        assert done is not None
        execute(manager, done.removal)
        with UnitOfWork(as_group) as uow:
            uow.devices.create(device())
            uow.commit()
        manager.close()
        as_group.close()


@pytest.mark.parametrize("method", METHODS)
def test_postgresqls_role_that_does_not_own_the_tables_is_told_who_does(
    method: Method, make_database: MakeDatabase, tmp_path: Path
) -> None:
    with own_database(make_database, Dialect.POSTGRESQL) as owner, database_user(owner) as named:
        role, manager = named
        owner.create_tables()
        made = create_backup(owner, tmp_path / "one.backup", method=method)
        execute(owner, f"GRANT CREATE ON SCHEMA public TO {role}")
        with pytest.raises(DatabaseError, match="they belong to cardlink") as refused:
            restore_backup(manager, made.file)
        assert "restore as their owner, with: GRANT CREATE ON DATABASE" in str(refused.value)


@pytest.mark.parametrize("method", METHODS)
def test_mysqls_role_that_migrates_restores_with_the_right_that_it_is_told(
    method: Method, make_database: MakeDatabase, tmp_path: Path
) -> None:
    with own_database(make_database, Dialect.MYSQL) as owner, manager_as(owner, Role.DBA) as dba:
        dba.create_tables()
        fill(dba)
        made = create_backup(dba, tmp_path / "one.backup", method=method)
        before = dump(dba)
        delete_rows(dba)
        with pytest.raises(DatabaseError, match="may not make a database aside") as refused:
            restore_backup(dba, made.file)
        assert "connection" not in refused.value.what
        told = (refused.value.remedy or "").removeprefix("nothing was changed; let it: ")
        database = (owner.config.engine_url.database or "").replace("_", r"\_")
        assert told.startswith("GRANT CREATE, ALTER, DROP, REFERENCES, SELECT, INSERT, UPDATE, ")
        assert rf" ON `{database}\_re%`.* TO `{dba.config.engine_url.username}`@`%`" in told
        execute(owner, told)
        done = restore_backup(dba, made.file).replaced
        assert done is not None
        execute(dba, done.removal)
        assert dump(dba) == before
        dba.close()


def test_mysqls_denied_database_is_a_missing_right_behind_the_connecting(
    make_database: MakeDatabase,
) -> None:
    import pymysql

    denied = pymysql.err.OperationalError(1044, "Access denied for user 'a'@'%' to database 'b'")
    fault = translate(Dialect.MYSQL, denied, None)
    assert "the database role may not do this" in fault.what
    with (
        own_database(make_database, Dialect.MYSQL) as owner,
        database_user(owner) as (_, nobody),
        pytest.raises(ConnectionError, match="cannot connect: Access denied"),
    ):
        nobody.create_tables()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("server", SERVERS)
def test_a_database_may_have_any_name(
    server: Dialect, method: Method, make_database: MakeDatabase, tmp_path: Path
) -> None:
    with own_database(make_database, server) as other:
        name = f'{other.config.engine_url.database}%a-`"x'
        quote = "`" if server is Dialect.MYSQL else '"'
        quoted = f"{quote}{name.replace(quote, quote * 2)}{quote}"
        execute(other, f"CREATE DATABASE {quoted}")
        url = other.config.engine_url.set(database=name).render_as_string(hide_password=False)
        try:
            with DatabaseManager(DatabaseConfig(url)) as manager:
                manager.create_tables()
                made = create_backup(manager, tmp_path / "one.backup", method=method)
                done = restore_backup(manager, made.file).replaced
                assert done is not None
                if server is Dialect.MYSQL:
                    assert done.name.startswith(f"database {name[:38]}_replaced_")
                assert manager.migrator.status().is_current
                execute(manager, done.removal)
        finally:
            execute(other, f"DROP DATABASE {quoted}")


# What PostgreSQL leaves with the replaced tables

OTHERS = [
    ("row level security of settings", "ALTER TABLE settings ENABLE ROW LEVEL SECURITY"),
    ("policy p of settings", "CREATE POLICY p ON settings USING (true)"),
    ("trigger t of devices",
     "CREATE TRIGGER t BEFORE UPDATE ON devices FOR EACH ROW"
     " EXECUTE FUNCTION suppress_redundant_updates_trigger()"),
    ("publication theirs of devices", "CREATE PUBLICATION theirs FOR TABLE devices, settings"),
    ("view names of devices", "CREATE VIEW names AS SELECT name FROM devices"),
    ("foreign key theirs_device_fkey of theirs to devices",
     "CREATE TABLE theirs (device VARCHAR(64) REFERENCES devices)"),
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_what_others_made_of_the_tables_is_named(
    method: Method, make_database: MakeDatabase, run: Run, tmp_path: Path
) -> None:
    with own_database(make_database, Dialect.POSTGRESQL) as manager:
        manager.create_tables()
        before = create_backup(manager, tmp_path / "before.backup", method=method).file
        execute(manager, *(statement for _, statement in OTHERS))
        behind = create_backup(manager, tmp_path / "behind.backup", method=method).file
        done = run("restore", "--yes", str(behind), "-d", manager.config.url, "--json")
        # A dump brings along what is on its own tables.
        brought = [what for what, _ in OTHERS[:3]] if method is Method.NATIVE else []
        named = {what for what, _ in OTHERS} | {"publication theirs of settings"}
        assert set(json.loads(done.stdout)["replaced"]["attached"]) == named - set(brought)
        done = run("restore", "--yes", str(before), "-d", manager.config.url)
        told = "It keeps what the new tables lack; make it anew: "
        lines = [line for line in done.stdout.splitlines() if line.startswith(told)]
        assert {line.removeprefix(told) for line in lines} == set(brought)
        again = restore_backup(manager, before).replaced
        assert again is not None
        assert again.attached == ()


def test_rights_on_what_an_older_backup_lacks_are_passed_over(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    with own_database(make_database, Dialect.POSTGRESQL) as manager:
        manager.migrator.migrate("0001")
        made = create_backup(manager, tmp_path / "old.backup")
        manager.create_tables()
        with manager_as(manager, Role.APP) as app:
            restore_backup(manager, made.file)
            assert len(app.migrator.status().applied) == 1
            app.close()


# What is written of the rights


def test_the_guides_list_the_rights_that_are_granted() -> None:
    from cardlink_sql.guides import dba, events

    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    (one,) = grants(Role.DBA, Dialect.MYSQL, "dba", "cardlink")
    rights = one.statement.partition("GRANT ")[2].partition(" ON ")[0]
    of_schema = rights.removesuffix(", SELECT, INSERT, UPDATE, DELETE")
    for text in (readme, dba.__doc__ or ""):
        assert f"`{of_schema}` and the four below" in " ".join(text.split())
    app = {one.on: one.needs for one in grants(Role.APP, Dialect.MYSQL, "app", "cardlink")}
    text = " ".join((events.__doc__ or "").split())
    for table in ("event_counter", "event_outbox"):
        assert f"`{', '.join(app[table])}` on `{table}`" in text
