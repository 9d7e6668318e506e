"""The SQL of the bookkeeping and of the locks, for the DBA to read in one place.

The bookkeeping is yoyo's (its tables ``_yoyo_migration``, ``_yoyo_log`` and ``_yoyo_version``,
in the shape of its schema version 2) and one table of ours, ``cardlink_migration_journal``: a
row per migration, with the checksum of the file that was applied and, where a migration
cannot be one transaction, how many of its statements are done.
"""

from typing import Final

from cardlink_sql.dialect import Dialect

MIGRATION_TABLE: Final = "_yoyo_migration"
LOG_TABLE: Final = "_yoyo_log"
VERSION_TABLE: Final = "_yoyo_version"
JOURNAL_TABLE: Final = "cardlink_migration_journal"
BOOKKEEPING_TABLES: Final = (JOURNAL_TABLE, MIGRATION_TABLE, LOG_TABLE, VERSION_TABLE)

YOYO_VERSION: Final = 2

_DDL: Final = (
    """
CREATE TABLE IF NOT EXISTS _yoyo_migration (
    migration_hash VARCHAR(64)  NOT NULL,
    migration_id   VARCHAR(255) NOT NULL,
    applied_at_utc {time}       NOT NULL,
    PRIMARY KEY (migration_hash)
){options}""",
    """
CREATE TABLE IF NOT EXISTS _yoyo_log (
    id             VARCHAR(36)  NOT NULL,
    migration_hash VARCHAR(64),
    migration_id   VARCHAR(255),
    operation      VARCHAR(10),
    username       VARCHAR(255),
    hostname       VARCHAR(255),
    comment        VARCHAR(255),
    created_at_utc {time},
    PRIMARY KEY (id)
){options}""",
    """
CREATE TABLE IF NOT EXISTS _yoyo_version (
    version          INTEGER NOT NULL,
    installed_at_utc {time},
    PRIMARY KEY (version)
){options}""",
    """
CREATE TABLE IF NOT EXISTS cardlink_migration_journal (
    migration_id      VARCHAR(255) NOT NULL,
    direction         VARCHAR(10)  NOT NULL,
    checksum          VARCHAR(64)  NOT NULL,
    statements        INTEGER      NOT NULL,
    statements_done   INTEGER      NOT NULL,
    done_checksum     VARCHAR(64),
    statement_started INTEGER,
    started_checksum  VARCHAR(64),
    error             {text},
    updated_at_utc    {time}       NOT NULL,
    PRIMARY KEY (migration_id)
){options}""",
)

_DDL_WORDS: Final = {
    Dialect.SQLITE: {"time": "TIMESTAMP", "text": "TEXT", "options": ""},
    # The charset is named, for the database's own may not hold every error message.
    Dialect.MYSQL: {
        "time": "DATETIME(6)",
        "text": "MEDIUMTEXT",
        "options": (
            " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4"
            " /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */"
        ),
    },
    Dialect.POSTGRESQL: {"time": "TIMESTAMP", "text": "TEXT", "options": ""},
}

# Each can be run again, so a process killed between two of them leaves nothing to mend.
CREATE_BOOKKEEPING: Final = {
    dialect: tuple(ddl.format(**words) for ddl in _DDL) for dialect, words in _DDL_WORDS.items()
}

TABLES: Final = {
    Dialect.SQLITE: "SELECT name FROM sqlite_master WHERE type = 'table'",
    Dialect.MYSQL: (
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
    ),
    Dialect.POSTGRESQL: (
        "SELECT relname FROM pg_catalog.pg_class"
        " WHERE relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(oid)"
    ),
}

READ_VERSION: Final = "SELECT MAX(version) FROM _yoyo_version"
WRITE_VERSION: Final = (
    "INSERT INTO _yoyo_version (version, installed_at_utc) VALUES (:version, :now)"
)

READ_APPLIED: Final = """
SELECT migration_id, applied_at_utc
FROM _yoyo_migration
ORDER BY applied_at_utc, migration_id"""

READ_WHO_APPLIED: Final = """
SELECT migration_id, username, hostname
FROM _yoyo_log
WHERE operation = 'apply'
ORDER BY created_at_utc"""

READ_JOURNAL: Final = """
SELECT migration_id, direction, checksum, statements, statements_done, done_checksum,
       statement_started, started_checksum, error
FROM cardlink_migration_journal"""

DELETE_JOURNAL: Final = "DELETE FROM cardlink_migration_journal WHERE migration_id = :migration_id"

INSERT_JOURNAL: Final = """
INSERT INTO cardlink_migration_journal
    (migration_id, direction, checksum, statements, statements_done, done_checksum,
     updated_at_utc)
VALUES (:migration_id, :direction, :checksum, :statements, :statements_done, :done_checksum,
        :now)"""

JOURNAL_STARTED: Final = """
UPDATE cardlink_migration_journal
SET statement_started = :number, started_checksum = :started_checksum, error = NULL,
    updated_at_utc = :now
WHERE migration_id = :migration_id"""

JOURNAL_DONE: Final = """
UPDATE cardlink_migration_journal
SET statements_done = :number, done_checksum = :done_checksum, statement_started = NULL,
    started_checksum = NULL, error = NULL, updated_at_utc = :now
WHERE migration_id = :migration_id"""

JOURNAL_FAILED: Final = """
UPDATE cardlink_migration_journal
SET statement_started = :number, error = :error, updated_at_utc = :now
WHERE migration_id = :migration_id"""

JOURNAL_COMPLETE: Final = """
UPDATE cardlink_migration_journal
SET checksum = :checksum, statements = :statements, updated_at_utc = :now
WHERE migration_id = :migration_id"""

# The two keys are 'card' and 'link' in ASCII. The lock belongs to the session, and the
# server frees it when the session ends, however it ends.
POSTGRESQL_LOCK: Final = "SELECT pg_catalog.pg_try_advisory_lock(1667330660, 1818848875)"
POSTGRESQL_UNLOCK: Final = "SELECT pg_catalog.pg_advisory_unlock(1667330660, 1818848875)"
POSTGRESQL_HOLDER: Final = """
SELECT a.pid, a.usename, a.application_name, pg_catalog.host(a.client_addr), a.backend_start
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted
  AND l.classid = 1667330660 AND l.objid = 1818848875 AND l.objsubid = 2
  AND l.database = (
      SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
  )"""

# Names of locks are of the whole server here, so the database's name goes into it; hashed,
# for a lock's name ends at 64 characters.
_MYSQL_LOCK_NAME: Final = "CONCAT('cardlink_migration_', LEFT(SHA2(DATABASE(), 256), 40))"
MYSQL_LOCK: Final = f"SELECT GET_LOCK({_MYSQL_LOCK_NAME}, 0)"
MYSQL_UNLOCK: Final = f"SELECT RELEASE_LOCK({_MYSQL_LOCK_NAME})"
MYSQL_HOLDER_ID: Final = f"SELECT IS_USED_LOCK({_MYSQL_LOCK_NAME})"
MYSQL_HOLDER: Final = (
    "SELECT user, host, time, state FROM information_schema.processlist WHERE id = :id"
)

# A client that was killed must not keep its statement, and so the lock, running for hours.
POSTGRESQL_NOTICE_DEAD_CLIENT: Final = "SET client_connection_check_interval = '1s'"

POSTGRESQL_INVALID_INDEX: Final = """
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relname = :name AND pg_catalog.pg_table_is_visible(i.indrelid)"""

SQLITE_FOREIGN_KEYS_OFF: Final = "PRAGMA foreign_keys = OFF"
SQLITE_FOREIGN_KEYS_ON: Final = "PRAGMA foreign_keys = ON"
SQLITE_FOREIGN_KEY_CHECK: Final = "PRAGMA foreign_key_check"
