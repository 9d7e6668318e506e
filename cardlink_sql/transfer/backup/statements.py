"""The SQL that names a table, a schema or a database in a place that takes no bound value.

Every name is quoted by the dialect's own preparer, and what else is put in is a whole number. The
tables are those of the schema and the bookkeeping, and the other names are made here or asked of
the server.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy.dialects.mysql.base import MySQLDialect
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.sql.compiler import IdentifierPreparer

from cardlink_sql.database.engine import LOCK_TIMEOUT_MS
from cardlink_sql.dialect import Dialect

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

# What gives tables that take the place of others, and the sequences of their keys, the same owner
# and the same rights, on columns too. The server puts the statements together, and quotes the
# names. What a backup of an older schema lacks is passed over.
POSTGRESQL_RIGHTS: Final = """
WITH relations AS (
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.relowner, c.relacl
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
    AND c.relkind = 'S' AND d.deptype IN ('a', 'i')
  LEFT JOIN pg_catalog.pg_class AS t ON t.oid = d.refobjid
  WHERE n.nspname = %(schema)s
    AND (c.relkind = 'r' AND c.relname = ANY(%(tables)s) OR t.relname = ANY(%(tables)s))
),
grants AS (
  SELECT r.oid, '' AS of_column, r.relacl AS acl
  FROM relations AS r
  UNION ALL
  SELECT r.oid, pg_catalog.format(' (%%I)', a.attname), a.attacl
  FROM relations AS r
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND NOT a.attisdropped
),
statements AS (
  SELECT 1 AS turn,
         pg_catalog.format('ALTER TABLE %%I.%%I OWNER TO %%I', r.nspname, r.relname,
                           pg_catalog.pg_get_userbyid(r.relowner)) AS statement
  FROM relations AS r
  WHERE r.relkind = 'r' AND pg_catalog.pg_get_userbyid(r.relowner) <> CURRENT_USER
  UNION ALL
  SELECT 2,
         pg_catalog.format('GRANT %%s%%s ON %%s %%I.%%I TO %%s%%s', a.privilege_type, g.of_column,
                           CASE r.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                           r.nspname, r.relname,
                           CASE a.grantee WHEN 0 THEN 'PUBLIC'
                           ELSE a.grantee::pg_catalog.regrole::text END,
                           CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM grants AS g
  JOIN relations AS r ON r.oid = g.oid
  CROSS JOIN LATERAL pg_catalog.aclexplode(g.acl) AS a
  WHERE a.grantee <> r.relowner
)
SELECT pg_catalog.format(
  'DO %%L', 'BEGIN ' || statement
            || '; EXCEPTION WHEN undefined_table OR undefined_column THEN NULL; END'
)
FROM statements
ORDER BY turn"""

# The rights that default privileges gave to new tables: the old ones had other rights.
_POSTGRESQL_REVOKE: Final = """DO $$
DECLARE statement text;
BEGIN
  FOR statement IN
    SELECT DISTINCT pg_catalog.format('REVOKE ALL ON %s %s FROM %s',
                    CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                    c.oid::pg_catalog.regclass,
                    CASE a.grantee WHEN 0 THEN 'PUBLIC'
                    ELSE a.grantee::pg_catalog.regrole::text END)
    FROM pg_catalog.pg_class AS c
    LEFT JOIN pg_catalog.pg_depend AS d
      ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
      AND c.relkind = 'S' AND d.deptype IN ('a', 'i')
    CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
    WHERE {table} IN (c.oid, d.refobjid) AND a.grantee <> c.relowner
  LOOP
    EXECUTE statement;
  END LOOP;
END $$"""

# What the role lacks to restore, as the statements that give it: the schema aside is made in the
# database, and tables enter theirs by right of their owner, the old as well as the new.
POSTGRESQL_MISSING: Final = """
SELECT pg_catalog.format('GRANT CREATE ON DATABASE %%I TO %%I',
                         pg_catalog.current_database(), CURRENT_USER)
WHERE NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
UNION ALL
SELECT pg_catalog.format('GRANT CREATE ON SCHEMA %%I TO %%I', n.nspname, r.rolname)
FROM pg_catalog.pg_namespace AS n
JOIN pg_catalog.pg_roles AS r ON r.rolname = CURRENT_USER
  OR r.oid IN (
    SELECT c.relowner FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = n.oid AND c.relkind = 'r' AND c.relname = ANY(%(tables)s)
  )
WHERE n.nspname = %(schema)s AND NOT pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE')
  AND NOT (SELECT me.rolsuper FROM pg_catalog.pg_roles AS me WHERE me.rolname = CURRENT_USER)"""

# The owners of tables that the role may not replace.
POSTGRESQL_OWNERS: Final = """
SELECT DISTINCT pg_catalog.pg_get_userbyid(c.relowner)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relkind = 'r' AND c.relname = ANY(%(tables)s)
  AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
ORDER BY 1"""

# The sequences of the tables that are to be seen, where the role may not read them.
POSTGRESQL_UNREADABLE: Final = """
SELECT pg_catalog.format('%%I', s.relname)
FROM pg_catalog.pg_class AS s
JOIN pg_catalog.pg_depend AS d
  ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.oid
  AND d.deptype IN ('a', 'i')
JOIN pg_catalog.pg_class AS t ON t.oid = d.refobjid
WHERE s.relkind = 'S' AND t.relname = ANY(%s) AND pg_catalog.pg_table_is_visible(t.oid)
  AND NOT pg_catalog.has_table_privilege(s.oid, 'SELECT')
ORDER BY 1"""

# What others have made of the tables of one schema, and not of those of the other.
POSTGRESQL_ATTACHED: Final = """
WITH tables AS (
  SELECT c.oid, c.relnamespace, n.nspname, c.relname, c.relrowsecurity
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relname = ANY(%(tables)s) AND n.nspname IN (%(kept)s, %(schema)s)
),
attached AS (
  SELECT t.nspname, pg_catalog.format('row level security of %%I', t.relname) AS what
  FROM tables AS t
  WHERE t.relrowsecurity
  UNION ALL
  SELECT t.nspname, pg_catalog.format('policy %%I of %%I', p.polname, t.relname)
  FROM tables AS t
  JOIN pg_catalog.pg_policy AS p ON p.polrelid = t.oid
  UNION ALL
  SELECT t.nspname, pg_catalog.format('trigger %%I of %%I', g.tgname, t.relname)
  FROM tables AS t
  JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = t.oid AND NOT g.tgisinternal
  UNION ALL
  SELECT t.nspname, pg_catalog.format('publication %%I of %%I', p.pubname, t.relname)
  FROM tables AS t
  JOIN pg_catalog.pg_publication_rel AS r ON r.prrelid = t.oid
  JOIN pg_catalog.pg_publication AS p ON p.oid = r.prpubid
  UNION ALL
  SELECT t.nspname, pg_catalog.format('view %%s of %%I', v.oid::pg_catalog.regclass, t.relname)
  FROM tables AS t
  JOIN pg_catalog.pg_depend AS d
    ON d.refobjid = t.oid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
  JOIN pg_catalog.pg_rewrite AS w ON w.oid = d.objid
  JOIN pg_catalog.pg_class AS v ON v.oid = w.ev_class AND v.oid <> t.oid
  UNION ALL
  SELECT t.nspname, pg_catalog.format('foreign key %%I of %%s to %%I', f.conname,
                                      f.conrelid::pg_catalog.regclass, t.relname)
  FROM tables AS t
  JOIN pg_catalog.pg_constraint AS f ON f.confrelid = t.oid AND f.contype = 'f'
  WHERE f.conrelid NOT IN (SELECT own.oid FROM tables AS own)
)
SELECT what FROM attached WHERE nspname = %(kept)s
EXCEPT
SELECT what FROM attached WHERE nspname = %(schema)s
ORDER BY 1"""

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


def revoke_rights(schema: str, table: str) -> str:
    """Take away what default privileges gave on a new table of PostgreSQL's and its sequence."""
    name = quoted(Dialect.POSTGRESQL, schema, table).replace("'", "''")
    return _POSTGRESQL_REVOKE.format(table=f"'{name}'::pg_catalog.regclass")


def refuse_other_count(schema: str, table: str, rows: int) -> str:
    """Fail unless a table of PostgreSQL's has so many rows."""
    count = count_rows(Dialect.POSTGRESQL, schema, table)
    return (
        f"DO $$ BEGIN IF ({count}) <> {int(rows)} THEN RAISE EXCEPTION"
        f" 'the restored rows of {table} are not those of the backup'; END IF; END $$"
    )


MYSQL_USER: Final = "SELECT CURRENT_USER()"
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
