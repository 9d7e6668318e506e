"""The SQL that names a table, a schema or a database in a place that takes no bound value.

Every name is quoted by the dialect's own preparer, and a value is a whole number; the tables are those of the schema and the
bookkeeping, and the other names are made here or asked of the server.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy.dialects.mysql.base import MySQLDialect
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.sql.compiler import IdentifierPreparer

from cardlink_sql.dialect import Dialect
from cardlink_sql.engine import LOCK_TIMEOUT_MS

# For statements that are sent without values: with the drivers' own style of parameters a % in
# a name would be doubled, and the statement would name another database.
_PREPARERS: Final[dict[Dialect, IdentifierPreparer]] = {
    Dialect.SQLITE: SQLiteDialect(paramstyle="named").identifier_preparer,
    Dialect.MYSQL: MySQLDialect(paramstyle="named").identifier_preparer,
    Dialect.POSTGRESQL: PGDialect(paramstyle="named").identifier_preparer,  # type: ignore[no-untyped-call]
}


def quoted(dialect: Dialect, *names: str) -> str:
    """A name, with what it is in before it: ``"public"."devices"``."""
    return ".".join(_PREPARERS[dialect].quote_identifier(name) for name in names)


def count_rows(dialect: Dialect, *table: str) -> str:
    """The rows of a table."""
    return f"SELECT COUNT(*) FROM {quoted(dialect, *table)}"  # noqa: S608 - a quoted name


def set_counter(last_id: int, *, publishes: bool) -> str:
    """Set the counter of the events in a database that has none yet."""
    return (
        "INSERT INTO event_counter (id, last_id, publishes)"  # noqa: S608 - numbers
        f" VALUES (1, {int(last_id)}, {publishes!s})"
    )


def make_counter(restored: str, replaced: str) -> str:
    """Give a restored database the counter of the replaced one, where it has none.

    Args:
        restored: its ``event_counter``, quoted.
        replaced: the other's, or a query in brackets that gives such an ``id`` and ``last_id``.
    """
    return (
        f"INSERT INTO {restored} (id, last_id, publishes)"  # noqa: S608 - quoted names
        f" SELECT o.id, o.last_id, FALSE FROM {replaced} o"
        f" WHERE o.id NOT IN (SELECT n.id FROM {restored} n)"
    )


def advance_counter(dialect: Dialect, restored: str, replaced: str | None, unknown: int) -> str:
    """Let the counter of a restored database go on behind its own number and the replaced one's.

    Args:
        dialect: of both.
        restored: as above.
        replaced: as above; None where there is none.
        unknown: the number to go on behind where the replaced one has none.
    """
    greatest = "MAX" if dialect is Dialect.SQLITE else "GREATEST"
    last = str(int(unknown))
    if replaced is not None:
        last = f"COALESCE((SELECT o.last_id FROM {replaced} o), {last})"  # noqa: S608 - as above
    return f"UPDATE {restored} SET last_id = 1 + {greatest}(last_id, {last})"  # noqa: S608


def overtake_counter(restored: str, replaced: str) -> str:
    """The same, only where the replaced one has gone further since."""
    last = f"(SELECT o.last_id FROM {replaced} o)"  # noqa: S608 - as above
    return f"UPDATE {restored} SET last_id = 1 + {last} WHERE last_id <= {last}"  # noqa: S608


SQLITE_COUNTER: Final = "SELECT last_id FROM event_counter"
SQLITE_HAS_COUNTER: Final = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'event_counter'"
SQLITE_READ: Final = "SELECT COUNT(*) FROM sqlite_master"
SQLITE_ONE_FILE: Final = "PRAGMA journal_mode = DELETE"
SQLITE_JOURNAL: Final = "PRAGMA journal_mode"
SQLITE_LOCK: Final = "BEGIN EXCLUSIVE"
SQLITE_ALONE: Final = "PRAGMA locking_mode = EXCLUSIVE"
SQLITE_INTEGRITY: Final = "PRAGMA integrity_check(1)"
SQLITE_ORPHANS: Final = "PRAGMA foreign_key_check"

POSTGRESQL_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# The connection waits idle while the dump tool reads from its snapshot.
POSTGRESQL_MAY_IDLE: Final = "SET LOCAL idle_in_transaction_session_timeout = 0"
POSTGRESQL_EXPORT_SNAPSHOT: Final = "SELECT pg_catalog.pg_export_snapshot()"
POSTGRESQL_VERSION: Final = "SELECT pg_catalog.current_setting('server_version')"
POSTGRESQL_SCHEMA: Final = "SELECT pg_catalog.current_schema()"
POSTGRESQL_SCHEMAS: Final = "SELECT nspname FROM pg_catalog.pg_namespace"
POSTGRESQL_SETTINGS: Final = "SELECT name FROM pg_catalog.pg_settings"

# The schema and the name of each table that is to be seen.
POSTGRESQL_TABLES: Final = """
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relname = ANY(%s) AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY c.relname"""

POSTGRESQL_TABLES_OF: Final = """
SELECT c.relname
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = %s"""

# What gives a table that takes the place of another the same owner and the same rights; the
# statements are put together by the server, which quotes the names.
POSTGRESQL_RIGHTS: Final = """
SELECT pg_catalog.format('ALTER TABLE %%I.%%I OWNER TO %%I', n.nspname, c.relname,
                         pg_catalog.pg_get_userbyid(c.relowner))
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = %(schema)s AND c.relname = ANY(%(tables)s)
  AND pg_catalog.pg_get_userbyid(c.relowner) <> CURRENT_USER
UNION ALL
SELECT pg_catalog.format('GRANT %%s ON TABLE %%I.%%I TO %%s%%s', a.privilege_type, n.nspname,
                         c.relname,
                         CASE a.grantee WHEN 0 THEN 'PUBLIC'
                         ELSE a.grantee::pg_catalog.regrole::text END,
                         CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
WHERE c.relkind = 'r' AND n.nspname = %(schema)s AND c.relname = ANY(%(tables)s)
  AND a.grantee <> c.relowner"""

# As on every connection of the layer: who has the tables open for longer is not waited for.
POSTGRESQL_LOCK_TIMEOUT: Final = f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"
# The lock of the migrator, until the end of the transaction.
POSTGRESQL_LOCK: Final = "SELECT pg_catalog.pg_advisory_xact_lock(1667330660, 1818848875)"
# The lock of a restore that makes its tables aside: 'card' and 'rest' in ASCII.
POSTGRESQL_TRY_RESTORE: Final = "SELECT pg_catalog.pg_try_advisory_lock(1667330660, 1919251316)"


def create_schema(name: str) -> str:
    """Make a schema of PostgreSQL's."""
    return f"CREATE SCHEMA {quoted(Dialect.POSTGRESQL, name)}"


def drop_schema(name: str) -> str:
    """Drop a schema with all that is in it."""
    return f"DROP SCHEMA {quoted(Dialect.POSTGRESQL, name)} CASCADE"


def move_table(table: str, source: str, target: str) -> str:
    """Move a table with its indexes, constraints and sequences to another schema."""
    dialect = Dialect.POSTGRESQL
    return f"ALTER TABLE {quoted(dialect, source, table)} SET SCHEMA {quoted(dialect, target)}"


def refuse_other_count(schema: str, table: str, rows: int) -> str:
    """Fail unless a table of PostgreSQL's has so many rows."""
    count = count_rows(Dialect.POSTGRESQL, schema, table)
    return (
        f"DO $$ BEGIN IF ({count}) <> {int(rows)} THEN RAISE EXCEPTION"
        f" 'the restored rows of {table} are not those of the backup'; END IF; END $$"
    )


MYSQL_VERSION: Final = "SELECT VERSION()"
MYSQL_TABLES: Final = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
MYSQL_DATABASES: Final = "SELECT schema_name FROM information_schema.schemata"


def create_database(name: str) -> str:
    """Make a database of MySQL's."""
    return f"CREATE DATABASE {quoted(Dialect.MYSQL, name)}"


def drop_database(name: str) -> str:
    """Drop a database of MySQL's with all that is in it."""
    return f"DROP DATABASE {quoted(Dialect.MYSQL, name)}"


def rename_tables(moves: Iterable[tuple[tuple[str, str], tuple[str, str]]]) -> str:
    """Move tables of MySQL's between databases, all or none of them: (database, table) to the same.

    Foreign keys and checks go with their tables.
    """
    pairs = (
        f"{quoted(Dialect.MYSQL, *source)} TO {quoted(Dialect.MYSQL, *target)}"
        for source, target in moves
    )
    return f"RENAME TABLE {', '.join(pairs)}"
