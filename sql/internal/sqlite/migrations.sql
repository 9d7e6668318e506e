-- What migrations need of SQLite.

-- name: tables :many
-- The tables.
SELECT name
FROM sqlite_master
WHERE type = 'table';

-- name: foreign_keys_off :exec
-- Let a table be rebuilt: its DROP TABLE would delete the rows that refer to it.
PRAGMA foreign_keys = OFF;

-- name: foreign_keys_on :exec
-- As on every connection.
PRAGMA foreign_keys = ON;

-- name: orphans :many
-- The rows that refer to a row that is not there.
PRAGMA foreign_key_check;

-- name: drop_table :exec
-- Drop a table with all that is in it.
DROP TABLE IF EXISTS "{table}";
