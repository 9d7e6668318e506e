-- What migrations need of MySQL and MariaDB. A lock's name is the whole server's and ends at 64
-- characters, so it has a hash of the database's name. The tables name their character set, for
-- the database's own may not hold every error message.

-- name: make_migrations :exec
-- The migrations that are applied, as yoyo records them.
CREATE TABLE IF NOT EXISTS _yoyo_migration (
    migration_hash VARCHAR(64)  NOT NULL,
    migration_id   VARCHAR(255) NOT NULL,
    applied_at_utc DATETIME(6)  NOT NULL,
    PRIMARY KEY (migration_hash)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
  /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

-- name: make_log :exec
-- Who applied or rolled back what and when, as yoyo records it.
CREATE TABLE IF NOT EXISTS _yoyo_log (
    id             VARCHAR(36)  NOT NULL,
    migration_hash VARCHAR(64),
    migration_id   VARCHAR(255),
    operation      VARCHAR(10),
    username       VARCHAR(255),
    hostname       VARCHAR(255),
    comment        VARCHAR(255),
    created_at_utc DATETIME(6),
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
  /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

-- name: make_version :exec
-- The version of yoyo's tables.
CREATE TABLE IF NOT EXISTS _yoyo_version (
    version          INTEGER NOT NULL,
    installed_at_utc DATETIME(6),
    PRIMARY KEY (version)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
  /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

-- name: make_journal :exec
-- A row a migration: the checksum of its file and, where it cannot be one transaction, how many
-- of its statements are done.
CREATE TABLE IF NOT EXISTS cardlink_migration_journal (
    migration_id      VARCHAR(255) NOT NULL,
    direction         VARCHAR(10)  NOT NULL,
    checksum          VARCHAR(64)  NOT NULL,
    statements        INTEGER      NOT NULL,
    statements_done   INTEGER      NOT NULL,
    done_checksum     VARCHAR(64),
    statement_started INTEGER,
    started_checksum  VARCHAR(64),
    error             MEDIUMTEXT,
    updated_at_utc    DATETIME(6)  NOT NULL,
    PRIMARY KEY (migration_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
  /*!80017 COLLATE = utf8mb4_0900_bin */ /*M!100206 COLLATE = utf8mb4_nopad_bin */;

-- name: tables :many
-- The tables of the database.
SELECT table_name
FROM information_schema.tables
WHERE table_schema = DATABASE();

-- name: lock :scalar
-- Take the session's lock if it is free; the server frees it when the session ends. It is this
-- server's own: the other nodes of a cluster know nothing of it.
SELECT GET_LOCK(CONCAT('cardlink_migration_', LEFT(SHA2(DATABASE(), 256), 40)), 0);

-- name: unlock :scalar
-- Free it.
SELECT RELEASE_LOCK(CONCAT('cardlink_migration_', LEFT(SHA2(DATABASE(), 256), 40)));

-- name: lock_holder :one
-- Who holds it; the user is NULL without the PROCESS privilege.
SELECT l.id, p.user, p.host, p.time, p.state
FROM (
  SELECT IS_USED_LOCK(CONCAT('cardlink_migration_', LEFT(SHA2(DATABASE(), 256), 40))) AS id
) l
LEFT JOIN information_schema.processlist p ON p.id = l.id;

-- name: open_transactions :many
-- Who may hold a lock that a statement waits for, the longest first: each session in a transaction.
-- It needs the PROCESS privilege.
SELECT
  t.trx_mysql_thread_id, p.user, p.host,
  TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS seconds,
  NULL AS query
FROM information_schema.innodb_trx t
JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
WHERE t.trx_mysql_thread_id <> CONNECTION_ID()
ORDER BY t.trx_started;

-- name: cluster_size :many
-- The number of nodes of a Galera cluster: 0 on a MariaDB that is in none, no row on MySQL.
SHOW STATUS LIKE 'wsrep_cluster_size';

-- name: await_cluster :exec
-- From now on, read what was committed on any node, not what has reached this one.
SET SESSION wsrep_sync_wait = 15;

-- name: stream :exec
-- Send each statement to all nodes at once, before the commit; keep an idle connection for long.
SET SESSION
wsrep_trx_fragment_unit = 'statements',
wsrep_trx_fragment_size = 1,
innodb_lock_wait_timeout = 1,
wait_timeout = 604800;

-- name: lock_cluster :exec
-- A change that is never committed: all nodes hold the row's lock, and free it when its session or
-- its node ends. The lock of an INSERT would lock the gap before the row, too.
UPDATE _yoyo_version
SET installed_at_utc = :now;

-- name: drop_table :exec
-- Drop a table with all that is in it.
DROP TABLE IF EXISTS `{table}`;
