-- OTA sessions, where SQLite differs: the duration of a session, in whole ms.

-- name: complete_session :exec
-- Active becomes completed; no row where the session is not active or would end before its start.
-- differs: a time is text here; JULIANDAY loses microseconds and STRFTIME rounds, hence SUBSTR
UPDATE ota_sessions
SET
  duration_ms =
    (CAST(STRFTIME('%s', SUBSTR(:ended_at, 1, 19)) AS INTEGER) * 1000000 + CAST(SUBSTR(:ended_at, 21, 6) AS INTEGER)
      - CAST(STRFTIME('%s', SUBSTR(started_at, 1, 19)) AS INTEGER) * 1000000
      - CAST(SUBSTR(started_at, 21, 6) AS INTEGER)) / 1000,
  status = 'completed',
  ended_at = :ended_at,
  updated_at = :updated_at
WHERE id = :id
  AND status = 'active'
  AND (started_at IS NULL OR started_at <= :ended_at);

-- name: fail_session :exec
-- Pending or active becomes failed; no row where the session has ended or would end before its start.
-- differs: a time is text here; JULIANDAY loses microseconds and STRFTIME rounds, hence SUBSTR
UPDATE ota_sessions
SET
  duration_ms =
    (CAST(STRFTIME('%s', SUBSTR(:ended_at, 1, 19)) AS INTEGER) * 1000000 + CAST(SUBSTR(:ended_at, 21, 6) AS INTEGER)
      - CAST(STRFTIME('%s', SUBSTR(started_at, 1, 19)) AS INTEGER) * 1000000
      - CAST(SUBSTR(started_at, 21, 6) AS INTEGER)) / 1000,
  status = 'failed',
  ended_at = :ended_at,
  error_code = :error_code,
  error_message = :error_message,
  updated_at = :updated_at
WHERE id = :id
  AND status IN ('pending', 'active')
  AND (started_at IS NULL OR started_at <= :ended_at);

-- name: timeout_session :exec
-- Pending or active becomes timeout; no row where the session has ended or would end before its start.
-- differs: a time is text here; JULIANDAY loses microseconds and STRFTIME rounds, hence SUBSTR
UPDATE ota_sessions
SET
  duration_ms =
    (CAST(STRFTIME('%s', SUBSTR(:ended_at, 1, 19)) AS INTEGER) * 1000000 + CAST(SUBSTR(:ended_at, 21, 6) AS INTEGER)
      - CAST(STRFTIME('%s', SUBSTR(started_at, 1, 19)) AS INTEGER) * 1000000
      - CAST(SUBSTR(started_at, 21, 6) AS INTEGER)) / 1000,
  status = 'timeout',
  ended_at = :ended_at,
  updated_at = :updated_at
WHERE id = :id
  AND status IN ('pending', 'active')
  AND (started_at IS NULL OR started_at <= :ended_at);

-- name: close_stale :exec
-- What find_stale gives becomes timeout.
-- differs: a time is text here; JULIANDAY loses microseconds and STRFTIME rounds, hence SUBSTR
UPDATE ota_sessions
SET
  duration_ms =
    (CAST(STRFTIME('%s', SUBSTR(:ended_at, 1, 19)) AS INTEGER) * 1000000 + CAST(SUBSTR(:ended_at, 21, 6) AS INTEGER)
      - CAST(STRFTIME('%s', SUBSTR(started_at, 1, 19)) AS INTEGER) * 1000000
      - CAST(SUBSTR(started_at, 21, 6) AS INTEGER)) / 1000,
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
