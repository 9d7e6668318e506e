-- What a new connection to SQLite is sent.

-- name: busy_timeout_now :scalar
-- How long a statement waits for a lock, in ms.
PRAGMA busy_timeout;

-- name: use_wal :scalar
-- Let readers and a writer go on next to each other; the file keeps it.
PRAGMA journal_mode = WAL;

-- name: check_foreign_keys :exec
-- Check foreign keys, which SQLite does only on request.
PRAGMA foreign_keys = ON;

-- name: sync_normal :exec
-- With the log a commit is whole after a crash; a power cut may lose the last ones.
PRAGMA synchronous = NORMAL;

-- name: cache_size :exec
-- In KiB, so 64 MB.
PRAGMA cache_size = -65536;

-- name: temporary_in_memory :exec
-- In a file, what SQLite keeps to undo one statement slows an INSERT of many rows by a third.
PRAGMA temp_store = MEMORY;

-- name: read_only :exec
-- Refuse to write.
PRAGMA query_only = ON;

-- name: read_schema :scalar
-- Show whether a file that is opened for reading is a database.
SELECT COUNT(*)
FROM sqlite_master;

-- name: quick_check :scalar
-- The first damage that is found, or ok; the indexes' order is not compared with their tables.
PRAGMA quick_check (1);

-- name: busy_timeout :scalar
-- How long to wait for a lock of another connection.
PRAGMA busy_timeout = "{milliseconds}";
