-- What the manager and the status command ask of the database itself.

-- name: table_rows :many
-- The rows of each table.
-- allow-scan: rows are counted by reading them; cardlink-db asks for it where a person does
SELECT 'devices' AS name, COUNT(*) AS row_count FROM devices
UNION ALL
SELECT 'card_profiles' AS name, COUNT(*) AS row_count FROM card_profiles
UNION ALL
SELECT 'ota_sessions' AS name, COUNT(*) AS row_count FROM ota_sessions
UNION ALL
SELECT 'comm_logs' AS name, COUNT(*) AS row_count FROM comm_logs
UNION ALL
SELECT 'test_results' AS name, COUNT(*) AS row_count FROM test_results
UNION ALL
SELECT 'settings' AS name, COUNT(*) AS row_count FROM settings
UNION ALL
SELECT 'event_counter' AS name, COUNT(*) AS row_count FROM event_counter
UNION ALL
SELECT 'event_outbox' AS name, COUNT(*) AS row_count FROM event_outbox;

-- name: few_rows :many
-- The rows of each table up to a limit: exact where a table is small, and quick where it is large.
-- allow-scan: the limit ends each scan
SELECT 'devices' AS name, COUNT(*) AS row_count
FROM (SELECT 1 AS one FROM devices LIMIT :limit) few -- noqa: AM09
UNION ALL
SELECT 'card_profiles' AS name, COUNT(*) AS row_count
FROM (SELECT 1 AS one FROM card_profiles LIMIT :limit) few -- noqa: AM09
UNION ALL
SELECT 'ota_sessions' AS name, COUNT(*) AS row_count
FROM (SELECT 1 AS one FROM ota_sessions LIMIT :limit) few -- noqa: AM09
UNION ALL
SELECT 'comm_logs' AS name, COUNT(*) AS row_count
FROM (SELECT 1 AS one FROM comm_logs LIMIT :limit) few -- noqa: AM09
UNION ALL
SELECT 'test_results' AS name, COUNT(*) AS row_count
FROM (SELECT 1 AS one FROM test_results LIMIT :limit) few -- noqa: AM09
UNION ALL
SELECT 'settings' AS name, COUNT(*) AS row_count
FROM (SELECT 1 AS one FROM settings LIMIT :limit) few -- noqa: AM09
UNION ALL
SELECT 'event_counter' AS name, COUNT(*) AS row_count
FROM (SELECT 1 AS one FROM event_counter LIMIT :limit) few -- noqa: AM09
UNION ALL
SELECT 'event_outbox' AS name, COUNT(*) AS row_count
FROM (SELECT 1 AS one FROM event_outbox LIMIT :limit) few; -- noqa: AM09
