-- What the manager and the status command ask of PostgreSQL itself.

-- name: version :scalar
-- The server's version, for health_check.
-- differs: each server has a function of its own
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
