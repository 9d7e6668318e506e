-- OTA sessions, where PostgreSQL differs: the duration of a session, in whole ms.

-- name: end_session :exec
-- A session ends as :status, one that is pending too unless is_active is given; no row where it has
-- ended or would end before its start. complete_session, fail_session and timeout_session send it.
-- differs: the difference of two times is an interval, whose seconds are a float before 14
UPDATE ota_sessions
SET
  duration_ms = FLOOR(
    ROUND(CAST(EXTRACT(EPOCH FROM CAST(:ended_at AS TIMESTAMPTZ) - started_at) * 1000000 AS NUMERIC)) / 1000
  ),
  status = :status,
  ended_at = :ended_at,
  error_code = :error_code,                    -- when: error_code, error_message
  error_message = :error_message,              -- when: error_code, error_message
  updated_at = :updated_at
WHERE id = :id
  AND status IN ('pending', 'active')
  AND status = 'active'                        -- when: is_active
  AND (started_at IS NULL OR started_at <= :ended_at);

-- name: close_stale :exec
-- Times out the sessions that find_stale returns, but for one that would end before its start.
-- differs: the difference of two times is an interval, whose seconds are a float before 14
UPDATE ota_sessions
SET
  duration_ms = FLOOR(
    ROUND(CAST(EXTRACT(EPOCH FROM CAST(:ended_at AS TIMESTAMPTZ) - started_at) * 1000000 AS NUMERIC)) / 1000
  ),
  status = 'timeout',
  ended_at = :ended_at,
  updated_at = :ended_at
WHERE status IN ('pending', 'active')
  AND (started_at IS NULL OR started_at <= :ended_at)
  AND COALESCE(
    (
      SELECT l.timestamp
      FROM comm_logs l
      WHERE l.session_id = ota_sessions.id
      ORDER BY l.id DESC
      LIMIT 1
    ),
    updated_at
  ) < :before
  AND updated_at < :before;
