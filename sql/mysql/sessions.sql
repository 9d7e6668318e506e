-- OTA sessions, where MySQL and MariaDB differ: a lock, and the duration of a session in whole ms.
-- Two units of work that log to a session hold a shared lock on its row, by the foreign key; the
-- UPDATE that ends it waits for the other, and one of two that both end it may be a deadlock's
-- victim (ConflictError).

-- name: create :exec
-- A new session. Its device's row is locked first, as update_last_seen locks it: with the shared lock
-- that the foreign key takes instead, two units of work that call both would deadlock. Another session
-- of the device waits until the commit.
-- differs: PostgreSQL's foreign key takes a lock that lets such an UPDATE pass
INSERT INTO ota_sessions (
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
)
VALUES (
  :id,
  :session_type,
  COALESCE((SELECT d.id FROM devices d WHERE d.id = :device_id FOR UPDATE), :device_id),
  :card_iccid,
  :status,
  :started_at,
  :ended_at,
  :duration_ms,
  :tls_cipher_suite,
  :tls_psk_identity,
  :error_code,
  :error_message,
  :metadata,
  :created_at,
  :updated_at
);

-- name: end_session :exec
-- A session ends as :status, one that is pending too unless is_active is given; no row where it has
-- ended or would end before its start. complete_session, fail_session and timeout_session send it.
-- differs: the difference of two times is TIMESTAMPDIFF here
UPDATE ota_sessions
SET
  duration_ms = TIMESTAMPDIFF(MICROSECOND, started_at, :ended_at) DIV 1000,
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
-- differs: the difference of two times is TIMESTAMPDIFF here
UPDATE ota_sessions
SET
  duration_ms = TIMESTAMPDIFF(MICROSECOND, started_at, :ended_at) DIV 1000,
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
