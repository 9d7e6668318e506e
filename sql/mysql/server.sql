-- What the manager and the status command ask of MySQL and MariaDB themselves.

-- name: version :scalar
-- The server's version, for health_check.
-- differs: each server has a function of its own
SELECT VERSION();

-- name: table_sizes :many
-- The bytes of each table with its indexes; MySQL 8 may give figures of up to a day ago
-- (information_schema_stats_expiry).
-- differs: the sizes are in information_schema here, as InnoDB last estimated them
SELECT
  t.table_name AS name,
  t.data_length + t.index_length AS bytes
FROM information_schema.tables t
WHERE t.table_schema = DATABASE()
  AND t.table_name IN (
    'devices', 'card_profiles', 'ota_sessions', 'comm_logs', 'test_results', 'settings',
    'event_counter', 'event_outbox'
  );
