-- The bookkeeping of the migrations: the tables of yoyo, schema version 2, and a journal.

-- name: make_migrations :exec
-- The migrations that are applied, as yoyo records them.
CREATE TABLE IF NOT EXISTS _yoyo_migration (
    migration_hash VARCHAR(64)  NOT NULL,
    migration_id   VARCHAR(255) NOT NULL,
    applied_at_utc TIMESTAMP    NOT NULL,
    PRIMARY KEY (migration_hash)
);

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
    created_at_utc TIMESTAMP,
    PRIMARY KEY (id)
);

-- name: make_version :exec
-- The version of yoyo's tables.
CREATE TABLE IF NOT EXISTS _yoyo_version (
    version          INTEGER NOT NULL,
    installed_at_utc TIMESTAMP,
    PRIMARY KEY (version)
);

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
    error             TEXT,
    updated_at_utc    TIMESTAMP    NOT NULL,
    PRIMARY KEY (migration_id)
);

-- name: read_version :scalar
-- The version of yoyo's tables, if it is recorded.
SELECT MAX(version)
FROM _yoyo_version;

-- name: write_version :exec
-- Record it.
INSERT INTO _yoyo_version (version, installed_at_utc)
VALUES (:version, :now);

-- name: read_applied :many
-- The migrations that are applied, oldest first.
SELECT migration_id, applied_at_utc
FROM _yoyo_migration
ORDER BY applied_at_utc, migration_id;

-- name: read_who_applied :many
-- Who applied each, oldest first.
SELECT migration_id, username, hostname
FROM _yoyo_log
WHERE operation = 'apply'
ORDER BY created_at_utc;

-- name: mark_applied :exec
-- Record a migration as applied.
INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)
VALUES (:migration_hash, :migration_id, :now);

-- name: unmark_applied :exec
-- Record that it is rolled back.
DELETE FROM _yoyo_migration
WHERE migration_hash = :migration_hash;

-- name: write_log :exec
-- Record who did it.
INSERT INTO _yoyo_log
  (id, migration_hash, migration_id, operation, username, hostname, created_at_utc)
VALUES
  (:id, :migration_hash, :migration_id, :operation, :username, :hostname, :created_at_utc);

-- name: read_journal :many
-- The journal.
SELECT migration_id, direction, checksum, statements, statements_done, done_checksum,
       statement_started, started_checksum, error
FROM cardlink_migration_journal;

-- name: delete_journal :exec
-- Delete the row of a migration.
DELETE FROM cardlink_migration_journal
WHERE migration_id = :migration_id;

-- name: insert_journal :exec
-- Write the row of a migration.
INSERT INTO cardlink_migration_journal
    (migration_id, direction, checksum, statements, statements_done, done_checksum,
     statement_started, started_checksum, error, updated_at_utc)
VALUES (:migration_id, :direction, :checksum, :statements, :statements_done, :done_checksum,
        :statement_started, :started_checksum, :error, :now);
