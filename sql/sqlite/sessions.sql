-- OTA sessions, where SQLite differs: the duration of a session in whole ms, and which index is taken.

-- name: end_session :exec
-- A session ends as :status, one that is pending too unless is_active is given; no row where it has
-- ended or would end before its start. complete_session, fail_session and timeout_session send it.
-- differs: a time is text here; JULIANDAY loses microseconds and STRFTIME rounds, hence SUBSTR
UPDATE ota_sessions
SET
  duration_ms = (
    CAST(STRFTIME('%s', SUBSTR(:ended_at, 1, 19)) AS INTEGER) * 1000000
    + CAST(SUBSTR(:ended_at, 21, 6) AS INTEGER)
    - CAST(STRFTIME('%s', SUBSTR(started_at, 1, 19)) AS INTEGER) * 1000000
    - CAST(SUBSTR(started_at, 21, 6) AS INTEGER)
  ) / 1000,
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
-- differs: a time is text here; JULIANDAY loses microseconds and STRFTIME rounds, hence SUBSTR
UPDATE ota_sessions INDEXED BY ix_ota_sessions_status_created_at_id
SET
  duration_ms = (
    CAST(STRFTIME('%s', SUBSTR(:ended_at, 1, 19)) AS INTEGER) * 1000000
    + CAST(SUBSTR(:ended_at, 21, 6) AS INTEGER)
    - CAST(STRFTIME('%s', SUBSTR(started_at, 1, 19)) AS INTEGER) * 1000000
    - CAST(SUBSTR(started_at, 21, 6) AS INTEGER)
  ) / 1000,
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

-- name: find_open :many
-- The sessions that have not ended, newest first: few at any time.
-- allow-scan: it sorts the open sessions, which SQLite takes for as many as the others
-- differs: after ANALYZE SQLite takes the open sessions for most of the table and scans it
SELECT
  id,
  session_type,
  device_id,
  card_iccid,
  status,
  started_at,
  ended_at,
  duration_ms,
  tls_cipher_suite,
  tls_psk_identity,
  error_code,
  error_message,
  metadata,
  created_at,
  updated_at
FROM ota_sessions INDEXED BY ix_ota_sessions_status_created_at_id
WHERE status IN ('pending', 'active')
ORDER BY created_at DESC, id DESC;

-- name: find_stale :many
-- The sessions that have not ended, and neither their row nor their log moved since :before.
-- The last entry of the log is one step on the index (session_id, id).
-- allow-scan: it sorts the open sessions, which SQLite takes for as many as the others
-- differs: after ANALYZE SQLite takes the open sessions for most of the table and scans it
SELECT
  id,
  session_type,
  device_id,
  card_iccid,
  status,
  started_at,
  ended_at,
  duration_ms,
  tls_cipher_suite,
  tls_psk_identity,
  error_code,
  error_message,
  metadata,
  created_at,
  updated_at
FROM ota_sessions INDEXED BY ix_ota_sessions_status_created_at_id
WHERE status IN ('pending', 'active')
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
  AND updated_at < :before
ORDER BY created_at DESC, id DESC;

-- name: lock :one
-- The session with this key, which nobody else may change, log to or delete until the transaction ends.
-- It waits for those who do.
-- differs: SQLite has no row locks; BEGIN IMMEDIATE keeps every other writer out
SELECT id
FROM ota_sessions
WHERE id = :id;
