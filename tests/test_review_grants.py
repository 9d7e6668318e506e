"""The rights of the roles: enough for what each does, and no more.

The behaviour tests run as ``app`` (see ``conftest.migrated``); here each query runs as each role.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query, Rows, load_library
from cardlink_sql.review.databases.backend import Refused, review_backend
from cardlink_sql.review.grants import Role, grants
from cardlink_sql.review.statements.access import Access, Columns
from cardlink_sql.review.statements.footprint import footprints
from cardlink_sql.review.statements.variants import as_written
from cardlink_sql.schema.migrator.bookkeeping import BOOKKEEPING_TABLES
from cardlink_sql.schema.migrator.rights import ROW_RIGHTS
from tests.conftest import Run
from tests.roles import database_user, manager_as

POSTGRESQL, MYSQL = Dialect.POSTGRESQL, Dialect.MYSQL
SERVERS = [POSTGRESQL, MYSQL]
Owners = Callable[[Dialect], DatabaseManager]


def is_refused(manager: DatabaseManager, query: Query) -> bool:
    """Whether the role of a manager may not run a query. Nothing of it is kept."""
    pooled = manager.take_connection()
    connection: Any = pooled.driver_connection
    try:
        if manager.dialect is MYSQL:  # PREPARE looks at the rights
            review_backend(MYSQL, connection).prepare(as_written(query))
            return False
        with connection.transaction(force_rollback=True):
            connection.execute(query.as_written().sql, [None] * len(query.as_written().names))
    except Refused as refused:
        assert "command denied" in refused.what, refused.what
        return True
    except manager.driver_errors as error:
        return getattr(error, "sqlstate", None) == "42501"
    finally:
        pooled.close()
    return False


def locks_rows(query: Query) -> bool:
    """Whether it reads FOR UPDATE on MySQL, which wants the right to UPDATE; MariaDB does not."""
    return query.dialect is MYSQL and "FOR UPDATE" in query.as_written().sql


def prepared(dialect: Dialect) -> list[Query]:
    """The queries that a server prepares: all but COPY, and what reads no table of CardLink."""
    queries = load_library(dialect).all()
    return [query for query in queries if query.rows is not Rows.COPY and not query.source.needs]


@pytest.mark.parametrize("dialect", SERVERS)
def test_the_app_may_run_every_query_and_change_no_schema(dialect: Dialect, owners: Owners) -> None:
    with manager_as(owners(dialect), Role.APP) as app:
        assert [query.title for query in prepared(dialect) if is_refused(app, query)] == []
        for statement in ("DROP TABLE devices", "DELETE FROM _yoyo_migration"):
            with (
                app.engine.connect() as connection,
                pytest.raises(Exception, match=r"denied|owner"),
            ):
                connection.exec_driver_sql(statement)


@pytest.mark.parametrize("dialect", SERVERS)
def test_the_reader_may_run_what_reads_and_nothing_that_writes(
    dialect: Dialect, owners: Owners
) -> None:
    with manager_as(owners(dialect), Role.READER) as reader:
        for query in prepared(dialect):
            writes = footprints(dialect)[query.title].own.tables_written
            assert locks_rows(query) or is_refused(reader, query) == bool(writes), query.title
        assert reader.health_check()["status"] == "healthy"
        assert reader.migrator.status().is_current
        assert len(reader.table_sizes()) == len(metadata.tables)


@pytest.mark.parametrize("dialect", SERVERS)
def test_what_is_recorded_of_a_query_is_all_that_it_needs(dialect: Dialect, owners: Owners) -> None:
    """With rights on these columns alone the server runs it: nothing that it reads is missed."""
    owner = owners(dialect)
    refused = []
    with database_user(owner) as (user, one):
        pooled = owner.take_connection()
        admin = pooled.cursor()
        for statement in reaching(dialect, user):
            admin.execute(statement)
        for query in prepared(dialect):
            access = footprints(dialect)[query.title].own
            if locks_rows(query):
                access = access | Access(updates=access.reads)
            with granted(admin, dialect, user, access):
                refused += [query.title] * is_refused(one, query)
        pooled.close()
    assert refused == []


def reaching(dialect: Dialect, user: str) -> list[str]:
    """What lets a role see the schema."""
    return [f"GRANT USAGE ON SCHEMA public TO {user}"] if dialect is POSTGRESQL else []


def of_upsert(access: Access) -> Access:
    """What MariaDB wants for an upsert, too: UPDATE of what it lists, SELECT of what it sets.

    By table, as ``sql grants`` gives rights, this is SELECT alone.
    """
    upserted = access.inserts.keys() & access.updates.keys()
    listed = {table: access.inserts[table] for table in upserted}
    return Access(reads={t: access.updates[t] for t in upserted}, updates=listed)


@contextmanager
def granted(admin: Any, dialect: Dialect, user: str, access: Access) -> Iterator[None]:
    """Rights on the columns of an access, column by column, for the time of the block."""
    made = []
    if dialect is MYSQL:
        access = access | of_upsert(access)
    kinds: list[tuple[str, Columns]] = [
        ("SELECT", access.reads),
        ("INSERT", access.inserts),
        ("UPDATE", access.updates),
        ("DELETE", {table: frozenset() for table in access.deletes}),
    ]
    quote = '"{}"' if dialect is POSTGRESQL else "`{}`"
    for right, columns in kinds:
        for table, names in columns.items():
            if table not in metadata.tables and not table.endswith("_seq"):
                continue
            # Counting rows takes a right on some column.
            first = metadata.tables[table].columns[0].name if table in metadata.tables else ""
            of = ", ".join(quote.format(name) for name in names or {first})
            whole = right == "DELETE" or table.endswith("_seq")
            what = right if whole else f"{right} ({of})"
            made.append((what, f"SEQUENCE {table}" if table.endswith("_seq") else table))
    for what, table in made:
        admin.execute(f"GRANT {what} ON {table} TO {user}")
    yield
    for what, table in made:
        admin.execute(f"REVOKE {what} ON {table} FROM {user}")


@pytest.mark.parametrize("dialect", SERVERS)
def test_rights_are_given_as_far_as_a_query_needs_them(dialect: Dialect) -> None:
    app = {one.on: one.needs for one in grants(Role.APP, dialect, "cardlink_app", "cardlink")}
    assert {"devices", "comm_logs", "settings", "event_outbox"} <= app.keys()
    assert {right for table in BOOKKEEPING_TABLES for right in app[table]} == {"SELECT"}
    for name, needs in app.items():
        if name in metadata.tables:
            assert all(needs.values()), name
            assert list(needs) == [right for right in ROW_RIGHTS if right in needs]
    # Nothing deletes the counter of the events, and nothing changes an event.
    assert "DELETE" not in app["event_counter"]
    assert "UPDATE" not in app["event_outbox"]
    reader = grants(Role.READER, dialect, "cardlink_reader", "cardlink")
    assert {right for one in reader for right in one.needs} - {"USAGE"} == {"SELECT"}


def test_mysqls_dba_has_what_the_migrations_need() -> None:
    (one,) = grants(Role.DBA, MYSQL, "dba@10.0.0.%", "card_link")
    assert one.statement == (
        "GRANT CREATE, ALTER, DROP, REFERENCES, SELECT, INSERT, UPDATE, DELETE"
        r" ON `card\_link`.* TO 'dba'@'10.0.0.%';"
    )


@pytest.mark.parametrize("dialect", SERVERS)
def test_the_dba_can_migrate(dialect: Dialect, make_database: Callable[[Dialect], str]) -> None:
    with (
        DatabaseManager(DatabaseConfig(make_database(dialect))) as owner,
        manager_as(owner, Role.DBA) as dba,
    ):
        assert dba.create_tables()
        assert dba.migrator.rollback("base")
        dba.create_tables()
        dba.drop_tables()


def test_names_are_quoted() -> None:
    (*_, last) = grants(Role.APP, POSTGRESQL, 'o"dd name', "x")
    assert last.statement.endswith(' TO "o""dd name";')
    (*_, last) = grants(Role.APP, MYSQL, "o'dd@h", "d`b")
    assert last.statement.endswith(" TO 'o''dd'@'h';")
    assert "ON `d``b`.`" in last.statement
    for name in ("", "a\nb"):
        with pytest.raises(ValidationError, match="is not a valid name of a role"):
            grants(Role.APP, POSTGRESQL, name, "x")


def test_the_command_prints_what_to_run_and_why(run: Run) -> None:
    shown = run("sql", "grants", "--role", "app", "--dialect", "postgresql")
    assert "GRANT USAGE ON SCHEMA public TO cardlink_app;" in shown.stdout
    assert "\n-- card_profiles: SELECT for cards.clear_psk and " in shown.stdout
    assert "\nGRANT SELECT, INSERT, UPDATE, DELETE ON devices TO cardlink_app;" in shown.stdout
    by_url = run("sql", "grants", "--role", "reader", "-d", "mysql://me@h/lab", "--user", "eve@h")
    assert "GRANT SELECT ON `lab`.`devices` TO 'eve'@'h';" in by_url.stdout
    listed = json.loads(
        run("sql", "grants", "--role", "app", "--dialect", "mysql", "--json").stdout
    )
    (logs,) = (one for one in listed if one["on"] == "comm_logs")
    assert "logs.add_log_batch" in logs["needs"]["INSERT"]
    assert "SQLite has no roles" in run("sql", "grants", "--role", "dba").stdout
    assert run("sql", "grants").returncode == 2
    assert run("sql", "grants", "--role", "app", "--user", "", "--dialect", "mysql").returncode == 2
