-- What the manager and the status command ask of PostgreSQL itself.

-- name: version :scalar
-- The server's version, for health_check.
-- differs: each server has its own function
SELECT CURRENT_SETTING('server_version');

-- name: table_sizes :many
-- The bytes of each table with its indexes.
-- differs: the sizes are functions here
SELECT
  c.relname AS name,
  PG_TOTAL_RELATION_SIZE(c.oid) AS bytes
FROM pg_catalog.pg_class c
WHERE c.relname IN (
    'devices', 'card_profiles', 'ota_sessions', 'comm_logs', 'test_results', 'settings',
    'event_counter', 'event_outbox'
  )
  AND c.relkind = 'r'
  AND PG_TABLE_IS_VISIBLE(c.oid);

-- name: estimate_rows :many
-- The rows of each table, as VACUUM or ANALYZE last counted or estimated them.
-- differs: each server has its own catalog
SELECT
  c.relname AS name,
  CAST(GREATEST(c.reltuples, 0) AS BIGINT) AS row_count
FROM pg_catalog.pg_class c
WHERE c.relname IN (
    'devices', 'card_profiles', 'ota_sessions', 'comm_logs', 'test_results', 'settings',
    'event_counter', 'event_outbox'
  )
  AND c.relkind = 'r'
  AND PG_TABLE_IS_VISIBLE(c.oid);

-- name: may_read_statements :scalar
-- Whether the role sees the statements of others with their text, and not only its own.
-- only: MySQL has no such role; there the right to read the table says it
SELECT PG_HAS_ROLE('pg_read_all_stats', 'USAGE');

-- name: read_pg_stat_statements :many
-- What was counted of each statement of this database, with its beginning up to the name of its
-- query, for the rest may hold secrets. The columns of a view may be NULL, whatever it shows.
-- only: each server has its own statistics
-- needs: pg_stat_statements
SELECT
  COALESCE(SUBSTRING(s.query, '^[A-Z]+ /[*] cardlink:[a-z0-9_.]+ [*]/'), '') AS text,
  COALESCE(s.calls, 0) AS calls,
  COALESCE(s.total_exec_time, 0) AS total_ms,
  COALESCE(s.max_exec_time, 0) AS longest_ms,
  COALESCE(s.rows, 0) AS row_count
FROM pg_stat_statements s
JOIN pg_catalog.pg_database d ON d.oid = s.dbid
WHERE d.datname = CURRENT_DATABASE();
