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

-- name: estimate_rows :many
-- The rows of the tables that grow: the numbers from the first row to the last, as though none
-- between them were deleted.
-- differs: SQLite keeps no figures of its tables
SELECT
  'ota_sessions' AS name,
  COALESCE((SELECT MAX(rowid) FROM ota_sessions) - (SELECT MIN(rowid) FROM ota_sessions) + 1, 0) AS row_count
UNION ALL
SELECT
  'comm_logs' AS name,
  COALESCE((SELECT MAX(id) FROM comm_logs) - (SELECT MIN(id) FROM comm_logs) + 1, 0) AS row_count
UNION ALL
SELECT
  'test_results' AS name,
  COALESCE((SELECT MAX(rowid) FROM test_results) - (SELECT MIN(rowid) FROM test_results) + 1, 0) AS row_count
UNION ALL
SELECT
  'event_outbox' AS name,
  COALESCE((SELECT MAX(id) FROM event_outbox) - (SELECT MIN(id) FROM event_outbox) + 1, 0) AS row_count;
