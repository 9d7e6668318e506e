-- OTA sessions. Gateway: cardlink_sql/gateways/sessions.py

-- name: page_after :many
-- A page by (created_at, id), newest first: as quick at the end of the table as at its start.
-- Only the first condition bounds the index; a row-value comparison would not on MariaDB.
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
FROM ota_sessions
WHERE 1 = 1
  AND created_at <= :created_at                -- when: created_at, id
  AND (created_at < :created_at OR id < :id)   -- when: created_at, id
ORDER BY created_at DESC, id DESC
LIMIT :limit;

-- name: update :exec
-- Describes a session that has not ended; its status, times and duration have separate
-- statements.
UPDATE ota_sessions
SET
  session_type = :session_type,
  device_id = :device_id,
  card_iccid = :card_iccid,
  tls_cipher_suite = :tls_cipher_suite,
  tls_psk_identity = :tls_psk_identity,
  error_code = :error_code,
  error_message = :error_message,
  metadata = :metadata,
  updated_at = :updated_at
WHERE id = :id
  AND status = :status
  AND status IN ('pending', 'active');

-- name: start_session :exec
-- Pending becomes active; no row where the session is not pending.
UPDATE ota_sessions
SET
  status = 'active',
  started_at = :started_at,
  updated_at = :updated_at
WHERE id = :id
  AND status = 'pending';

-- name: set_tls_info :exec
-- Sets the outcome of the TLS handshake; no row where the session has ended.
UPDATE ota_sessions
SET
  tls_cipher_suite = :tls_cipher_suite,        -- when: tls_cipher_suite
  tls_psk_identity = :tls_psk_identity,        -- when: tls_psk_identity
  metadata = :metadata,                        -- when: metadata
  updated_at = :updated_at
WHERE id = :id
  AND status IN ('pending', 'active');

-- name: find_open :many
-- The sessions that have not ended, newest first: few at any time.
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
FROM ota_sessions
WHERE status IN ('pending', 'active')
ORDER BY created_at DESC, id DESC;

-- name: find_by_date_range :many
-- The sessions created from :start to before :end, newest first.
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
FROM ota_sessions
WHERE created_at >= :start
  AND created_at < :end
ORDER BY created_at DESC, id DESC
LIMIT :limit;

-- name: find_matching :many
-- The sessions that have everything asked for, newest first; :since is a time of creation.
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
FROM ota_sessions
WHERE 1 = 1
  AND status = :status                         -- when: status
  AND device_id = :device_id                   -- when: device_id
  AND card_iccid = :card_iccid                 -- when: card_iccid
  AND created_at >= :since                     -- when: since
ORDER BY created_at DESC, id DESC
LIMIT :limit;

-- name: find_by_prefix :many
-- The sessions whose id begins with a text: a range of the primary key, up to before :end.
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
FROM ota_sessions
WHERE id >= :prefix
  AND id < :end
ORDER BY id
LIMIT :limit;

-- name: find_stale :many
-- The sessions that have not ended, and neither their row nor their log moved since :before.
-- The last entry of the log is one step on the index (session_id, id).
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
FROM ota_sessions
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

-- name: find_old :many
-- The first sessions that were created and have ended before a time, or the next after the last
-- found. A session that ended without saying when is as old as its last change.
SELECT
  id,
  created_at
FROM ota_sessions
WHERE status NOT IN ('pending', 'active')
  AND created_at < :before
  AND COALESCE(ended_at, updated_at) < :before
  AND created_at >= :created_at                -- when: created_at, id
  AND (created_at > :created_at OR id > :id)   -- when: created_at, id
ORDER BY created_at, id
LIMIT :limit;

-- name: count_old :scalar
-- How many sessions find_old would return without a limit.
SELECT COUNT(*)
FROM ota_sessions
WHERE status NOT IN ('pending', 'active')
  AND created_at < :before
  AND COALESCE(ended_at, updated_at) < :before;

-- name: count_old_logs :scalar
-- How many log entries some of those sessions have; with :since, only those not older than that.
-- list: session_ids
SELECT COUNT(*)
FROM comm_logs
WHERE session_id IN (:session_ids)
  AND timestamp >= :since                      -- when: since
;

-- name: delete_many :exec
-- The sessions with these ids that have ended, gone, and what is left of their logs.
-- list: ids
DELETE FROM ota_sessions
WHERE id IN (:ids)
  AND status NOT IN ('pending', 'active');

-- name: get_statistics :one
-- Figures of the sessions created since a time; the success rate is over all that ended.
-- The index (created_at, id, status, duration_ms) holds every column: no row is read. 1e0 makes
-- floats of the averages, which MySQL would cut to four digits.
SELECT
  COUNT(*) AS total_sessions,
  COUNT(CASE WHEN status = 'pending' THEN 1 END) AS pending,
  COUNT(CASE WHEN status = 'active' THEN 1 END) AS active,
  COUNT(CASE WHEN status = 'completed' THEN 1 END) AS completed,
  COUNT(CASE WHEN status = 'failed' THEN 1 END) AS failed,
  COUNT(CASE WHEN status = 'timeout' THEN 1 END) AS timeout,
  AVG(duration_ms * 1e0) AS avg_duration_ms,
  COUNT(CASE WHEN status = 'completed' THEN 1 END) * 1e0
  / NULLIF(COUNT(CASE WHEN status NOT IN ('pending', 'active') THEN 1 END), 0)
    AS success_rate
FROM ota_sessions
WHERE created_at >= :since;

-- name: lock :one
-- The session with this key, which nobody else may change, log to or delete until the transaction ends.
-- It waits for those who do.
SELECT id
FROM ota_sessions
WHERE id = :id
FOR UPDATE;

-- generated from tables.py by scripts/generate-sql; do not edit

-- name: get_by_id :one
-- The session with this key.
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
FROM ota_sessions
WHERE id = :id;

-- name: get_many :many
-- The sessions with these keys.
-- list: keys
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
FROM ota_sessions
WHERE id IN (:keys);

-- name: find_by :many
-- The sessions that match every filter given, a page of them.
-- find_one_by, get_all and paginate send it too. NULL sorts first, on every backend.
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
FROM ota_sessions
WHERE 1 = 1
  AND id = :id                                 -- when: id
  AND device_id = :device_id                   -- when: device_id
  AND device_id IS NULL                        -- when: device_id_is_null
  AND card_iccid = :card_iccid                 -- when: card_iccid
  AND card_iccid IS NULL                       -- when: card_iccid_is_null
  AND status = :status                         -- when: status
  AND created_at = :created_at                 -- when: created_at
ORDER BY
  created_at, id,                              -- order: created_at
  created_at DESC, id DESC
LIMIT :limit OFFSET :offset;

-- name: count_by :scalar
-- How many sessions match every filter given.
-- count and paginate send it too.
SELECT COUNT(*)
FROM ota_sessions
WHERE 1 = 1
  AND id = :id                                 -- when: id
  AND device_id = :device_id                   -- when: device_id
  AND device_id IS NULL                        -- when: device_id_is_null
  AND card_iccid = :card_iccid                 -- when: card_iccid
  AND card_iccid IS NULL                       -- when: card_iccid_is_null
  AND status = :status                         -- when: status
  AND created_at = :created_at                 -- when: created_at
;

-- name: exists :scalar
-- Whether there is a session with this key.
SELECT EXISTS (SELECT 1 FROM ota_sessions WHERE id = :id);

-- name: create :exec
-- A new session.
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
  :device_id,
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

-- name: delete_by_id :exec
-- The session with this key, gone. delete sends it too.
DELETE FROM ota_sessions
WHERE id = :id;

-- end of generated
