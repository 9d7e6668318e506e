-- Figures for cardlink-db stats, where PostgreSQL differs.

-- name: get_session_days :many
-- The sessions created since a time, by the day of their creation in UTC.
-- differs: a time is not text here
SELECT
  TO_CHAR(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day,
  COUNT(*) AS total,
  COUNT(CASE WHEN status = 'completed' THEN 1 END) AS completed,
  COUNT(CASE WHEN status = 'failed' THEN 1 END) AS failed,
  COUNT(CASE WHEN status = 'timeout' THEN 1 END) AS timeout
FROM ota_sessions
WHERE created_at >= :since
GROUP BY TO_CHAR(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')
ORDER BY day;

-- name: get_database_bytes :scalar
-- The bytes of the whole database.
-- differs: the size is a function here
SELECT PG_DATABASE_SIZE(CURRENT_DATABASE());
