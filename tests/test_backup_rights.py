"""Who may back up and restore, and what a role without the right is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cardlink_sql import ConnectionError, DatabaseConfig, DatabaseError, DatabaseManager, StateError
from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.keyring import Keyring
from cardlink_sql.dialect import Dialect
from cardlink_sql.review.grants import Role, grants
from cardlink_sql.transfer.backup import Method, create_backup, restore_backup
from tests.conftest import MakeDatabase, delete_rows
from tests.roles import database_user, execute, manager_as
from tests.test_backup import content, fill

METHODS = [Method.NATIVE, Method.JSONL]
SERVERS = [Dialect.POSTGRESQL, Dialect.MYSQL]


@contextmanager
def own_database(make: MakeDatabase, dialect: Dialect) -> Iterator[DatabaseManager]:
    """A manager that may do anything with an empty database of the test's own."""
    keyring = Keyring([Keyring.generate()])
    with DatabaseManager(DatabaseConfig(make(dialect)), keyring=keyring) as owner:
        yield owner


@pytest.fixture
def filled(owner: DatabaseManager) -> Iterator[DatabaseManager]:
    """A database with rows on each server in turn, as its owner."""
    fill(owner)
    yield owner
    delete_rows(owner)


# Backing up


@pytest.mark.parametrize("dialect", SERVERS)
def test_the_reader_may_back_up(filled: DatabaseManager, tmp_path: Path) -> None:
    with manager_as(filled, Role.READER) as reader:
        for method in METHODS:
            made = create_backup(reader, tmp_path / f"{method}.backup", method=method)
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


@pytest.mark.parametrize("dialect", SERVERS)
@pytest.mark.parametrize("method", METHODS)
def test_a_role_restores_into_a_database_that_it_may_migrate(
    method: Method, filled: DatabaseManager, make_database: MakeDatabase, tmp_path: Path
) -> None:
    server = filled.dialect
    made = create_backup(filled, tmp_path / "one.backup", method=method)
    with own_database(make_database, server) as owner, database_user(owner) as (user, role):
        if server is Dialect.POSTGRESQL:
            with pytest.raises(DatabaseError, match="permission denied"):
                restore_backup(role, made.file)
            execute(owner, f"GRANT CREATE ON SCHEMA public TO {user}")
        else:
            database = owner.config.engine_url.database or ""
            for grant in grants(Role.DBA, server, user.replace("'", ""), database):
                execute(owner, grant.statement)
        restore_backup(role, made.file)
        assert content(role) == content(filled)
        role.close()


def test_mysqls_denied_database_is_a_missing_right_behind_the_connecting(
    make_database: MakeDatabase,
) -> None:
    import pymysql

    denied = pymysql.err.OperationalError(1044, "Access denied for user 'a'@'%' to database 'b'")
    fault = backend_of(Dialect.MYSQL).translate(denied, None)
    assert "the database role may not do this" in fault.what
    with (
        own_database(make_database, Dialect.MYSQL) as owner,
        database_user(owner) as (_, nobody),
        pytest.raises(ConnectionError, match="cannot connect: Access denied"),
    ):
        nobody.create_tables()


@pytest.mark.parametrize("dialect", SERVERS)
@pytest.mark.parametrize("method", METHODS)
def test_a_database_may_have_any_name(
    method: Method, owner: DatabaseManager, tmp_path: Path
) -> None:
    name = f'{owner.config.engine_url.database}%a-`"x'
    quote = "`" if owner.dialect is Dialect.MYSQL else '"'
    quoted = f"{quote}{name.replace(quote, quote * 2)}{quote}"
    execute(owner, f"CREATE DATABASE {quoted}")
    url = owner.config.engine_url.set(database=name).render_as_string(hide_password=False)
    made = create_backup(owner, tmp_path / "one.backup", method=method)
    try:
        with DatabaseManager(DatabaseConfig(url)) as manager:
            restore_backup(manager, made.file)
            assert manager.migrator.status().is_current
            create_backup(manager, tmp_path / "two.backup", method=method)
            with pytest.raises(StateError) as refused:
                restore_backup(manager, tmp_path / "one.backup")
            if method is Method.NATIVE:
                start, end = quoted[:-1], f"_restored{quote}"
                assert f"CREATE DATABASE {start}{end}" in (refused.value.remedy or "")
    finally:
        execute(owner, f"DROP DATABASE {quoted}")


# What is written of the rights


def test_the_guides_list_the_rights_that_are_granted() -> None:
    guides = Path(__file__).parent.parent / "cardlink_sql" / "guides"
    dba, events = (
        " ".join((guides / f"{name}.md").read_text("utf-8").split()) for name in ("dba", "events")
    )
    (one,) = grants(Role.DBA, Dialect.MYSQL, "dba", "cardlink")
    rights = one.statement.partition("GRANT ")[2].partition(" ON ")[0]
    of_schema = rights.removesuffix(", SELECT, INSERT, UPDATE, DELETE")
    assert f"`{of_schema}` and the four below" in dba
    app = {one.on: one.needs for one in grants(Role.APP, Dialect.MYSQL, "app", "cardlink")}
    for table in ("event_counter", "event_outbox"):
        assert f"`{', '.join(app[table])}` on `{table}`" in events
