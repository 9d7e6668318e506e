-- What the manager and the status command ask of SQLite itself.

-- name: version :scalar
-- The server's version, for health_check.
-- differs: each server has its own function
SELECT SQLITE_VERSION();

-- name: table_sizes :many
-- The bytes of each table with its indexes.
-- differs: dbstat is SQLite's own; an SQLite built without it refuses the statement
SELECT
  m.tbl_name AS name,
  SUM(s.pgsize) AS bytes
FROM sqlite_master m
JOIN dbstat s ON s.name = m.name
WHERE m.tbl_name IN (
    'devices', 'card_profiles', 'ota_sessions', 'comm_logs', 'test_results', 'settings',
    'event_counter', 'event_outbox'
  )
GROUP BY m.tbl_name;
