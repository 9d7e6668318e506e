-- What migrations need of PostgreSQL. The keys of the lock are 'card' and 'link' in ASCII.

-- name: tables :many
-- The tables that the role sees.
SELECT relname
FROM pg_catalog.pg_class
WHERE relkind IN ('r', 'p')
  AND pg_catalog.pg_table_is_visible(oid);

-- name: lock :scalar
-- Take the session's lock if it is free; the server frees it when the session ends. NULL through a
-- pooler, whose session is shared and does not end.
SELECT
  CASE
    WHEN pg_catalog.pg_backend_pid() = CAST(:client_pid AS INTEGER)
      THEN pg_catalog.pg_try_advisory_lock(1667330660, 1818848875)
  END;

-- name: unlock :scalar
-- Free it.
SELECT pg_catalog.pg_advisory_unlock(1667330660, 1818848875);

-- name: lock_holder :one
-- Who holds it.
SELECT a.pid, a.usename, a.application_name, pg_catalog.host(a.client_addr) AS host, a.backend_start
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted
  AND l.classid = 1667330660 AND l.objid = 1818848875 AND l.objsubid = 2
  AND l.database = (
    SELECT d.oid
    FROM pg_catalog.pg_database d
    WHERE d.datname = pg_catalog.current_database()
  );

-- name: open_transactions :many
-- Who may hold a lock that a statement waits for, the longest first: each session of the database in
-- a transaction, with the name of its last query.
SELECT
  a.pid, a.usename,
  COALESCE(pg_catalog.host(a.client_addr), 'the local socket') AS host,
  CAST(EXTRACT(EPOCH FROM CLOCK_TIMESTAMP() - a.xact_start) AS INTEGER) AS seconds,
  SUBSTRING(a.query FROM '/\* cardlink:([a-z_.]+) \*/') AS query
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = pg_catalog.current_database()
  AND a.pid <> pg_catalog.pg_backend_pid() AND a.xact_start IS NOT NULL
ORDER BY a.xact_start;

-- name: notice_dead_client :many
-- Stop a statement, and free its locks, within a second of the client's death. PostgreSQL 13 has no
-- such setting, and finds no row.
SELECT SET_CONFIG(name, '1s', FALSE)
FROM pg_catalog.pg_settings
WHERE name = 'client_connection_check_interval';

-- name: search_path :scalar
-- The schemas in which names without one are looked up.
SELECT CURRENT_SETTING('search_path') AS search_path;

-- name: set_search_path :scalar
-- Change them, for the session.
SELECT SET_CONFIG('search_path', :path, FALSE) AS search_path;

-- name: invalid_indexes :many
-- What a broken CREATE INDEX CONCURRENTLY has left under a name.
SELECT n.nspname, c.relname
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relname = :name AND pg_catalog.pg_table_is_visible(i.indrelid);

-- name: drop_index :exec
-- Drop it.
DROP INDEX CONCURRENTLY "{schema}"."{index}";

-- name: drop_table :exec
-- Drop a table with all that is in it.
DROP TABLE IF EXISTS "{table}";
