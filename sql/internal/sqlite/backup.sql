-- Backup and restore of an SQLite file.

-- name: count_rows :scalar
-- The rows of a table.
SELECT COUNT(*)
FROM "{table}";

-- name: advance_event_counter :exec
-- Let the numbers of a restored database go on after every number that any database has given.
INSERT INTO event_counter (id, last_id, publishes)
VALUES (1, :beyond, FALSE)
ON CONFLICT (id) DO UPDATE SET last_id = 1 + MAX(last_id, excluded.last_id);

-- name: read_schema :scalar
-- Read the file, which starts a read transaction and shows whether it is a database.
SELECT COUNT(*)
FROM sqlite_master;

-- name: use_one_file :scalar
-- Write the log back and go on without one.
PRAGMA journal_mode = DELETE;

-- name: journal_mode :scalar
-- Whether others have switched the log on again.
PRAGMA journal_mode;

-- name: lock :exec
-- Keep every other connection out, readers too.
BEGIN EXCLUSIVE;

-- name: exclude_others :scalar
-- Take the file's locks once and keep them.
PRAGMA locking_mode = EXCLUSIVE;

-- name: check_integrity :scalar
-- The first damage that is found, or ok.
PRAGMA integrity_check (1);

-- name: orphans :many
-- The rows that refer to a row that is not there.
PRAGMA foreign_key_check;
