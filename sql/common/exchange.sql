-- What an export reads and an import writes: every column of every table, in the table's order.
-- Gateway: cardlink_sql/gateways/exchange.py

-- name: release_psk_identity :exec
-- A card's PSK identity, given up for another card; an update of the card follows.
UPDATE card_profiles
SET psk_identity = NULL
WHERE iccid = :iccid;

-- name: find_psk_identities :many
-- Which cards claim these PSK identities.
-- list: identities
SELECT
  psk_identity,
  iccid
FROM card_profiles
WHERE psk_identity IN (:identities);

-- name: find_first_log :one
-- The number of the first log entry that is not older than a time, by which the pages begin.
-- PostgreSQL has a BRIN for it; SQLite and MySQL walk the primary key up to there, once an export.
-- allow-scan: the log has no B-tree on its timestamp: what is older is read once, for all pages
SELECT id
FROM comm_logs
WHERE timestamp >= :since
ORDER BY id
LIMIT 1;

-- name: find_earlier_sessions :many
-- The log entries since a time whose session was created before it, after a number. The session is
-- looked up by its key for each entry, so that no planner begins with all sessions.
SELECT
  id,
  session_id
FROM comm_logs
WHERE id > :after
  AND timestamp >= :since
  AND NOT (SELECT s.created_at FROM ota_sessions s WHERE s.id = comm_logs.session_id) >= :since
ORDER BY id
LIMIT :limit;

-- name: find_taken_numbers :many
-- Which of these numbers log entries have.
-- list: numbers
SELECT id
FROM comm_logs
WHERE id IN (:numbers);

-- name: update_logs :exec
-- What may differ in a log entry that is the same: all but its session, time, direction and APDU.
UPDATE comm_logs
SET
  latency_ms = :latency_ms,
  decoded_data = :decoded_data,
  status_word = :status_word,
  status_message = :status_message
WHERE id = :id;

-- generated from tables.py by scripts/generate-sql; do not edit

-- name: page_devices :many
-- The devices after a key, in its order: all, or of them those of :session_id.
SELECT
  id,
  name,
  device_type,
  manufacturer,
  model,
  firmware_version,
  imei,
  imsi,
  iccid,
  connection_settings,
  last_seen,
  is_active,
  notes,
  created_at,
  updated_at
FROM devices
WHERE id > :after
  AND id = (SELECT s.device_id FROM ota_sessions s WHERE s.id = :session_id) -- when: session_id
ORDER BY id
LIMIT :limit;

-- name: find_devices :many
-- The devices with these keys.
-- list: keys
SELECT
  id,
  name,
  device_type,
  manufacturer,
  model,
  firmware_version,
  imei,
  imsi,
  iccid,
  connection_settings,
  last_seen,
  is_active,
  notes,
  created_at,
  updated_at
FROM devices
WHERE id IN (:keys);

-- name: insert_devices :batch
-- New devices, many in one statement.
INSERT INTO devices (
  id,
  name,
  device_type,
  manufacturer,
  model,
  firmware_version,
  imei,
  imsi,
  iccid,
  connection_settings,
  last_seen,
  is_active,
  notes,
  created_at,
  updated_at
)
VALUES (
  :id,
  :name,
  :device_type,
  :manufacturer,
  :model,
  :firmware_version,
  :imei,
  :imsi,
  :iccid,
  :connection_settings,
  :last_seen,
  :is_active,
  :notes,
  :created_at,
  :updated_at
);

-- name: update_devices :exec
-- Every column of a device but its key.
UPDATE devices
SET
  name = :name,
  device_type = :device_type,
  manufacturer = :manufacturer,
  model = :model,
  firmware_version = :firmware_version,
  imei = :imei,
  imsi = :imsi,
  iccid = :iccid,
  connection_settings = :connection_settings,
  last_seen = :last_seen,
  is_active = :is_active,
  notes = :notes,
  created_at = :created_at,
  updated_at = :updated_at
WHERE id = :id;

-- name: page_cards :many
-- The cards after a key, in its order: all, or of them those of :session_id.
SELECT
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
  psk_key_encrypted,
  admin_url,
  trigger_config,
  bip_config,
  security_domains,
  notes,
  created_at,
  updated_at
FROM card_profiles
WHERE iccid > :after
  AND iccid = (SELECT s.card_iccid FROM ota_sessions s WHERE s.id = :session_id) -- when: session_id
ORDER BY iccid
LIMIT :limit;

-- name: find_cards :many
-- The cards with these keys.
-- list: keys
SELECT
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
  psk_key_encrypted,
  admin_url,
  trigger_config,
  bip_config,
  security_domains,
  notes,
  created_at,
  updated_at
FROM card_profiles
WHERE iccid IN (:keys);

-- name: insert_cards :batch
-- New cards, many in one statement.
INSERT INTO card_profiles (
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
  psk_key_encrypted,
  admin_url,
  trigger_config,
  bip_config,
  security_domains,
  notes,
  created_at,
  updated_at
)
VALUES (
  :iccid,
  :imsi,
  :card_type,
  :atr,
  :psk_identity,
  :psk_key_encrypted,
  :admin_url,
  :trigger_config,
  :bip_config,
  :security_domains,
  :notes,
  :created_at,
  :updated_at
);

-- name: update_cards :exec
-- Every column of a card but its key.
UPDATE card_profiles
SET
  imsi = :imsi,
  card_type = :card_type,
  atr = :atr,
  psk_identity = :psk_identity,
  psk_key_encrypted = :psk_key_encrypted,
  admin_url = :admin_url,
  trigger_config = :trigger_config,
  bip_config = :bip_config,
  security_domains = :security_domains,
  notes = :notes,
  created_at = :created_at,
  updated_at = :updated_at
WHERE iccid = :iccid;

-- name: page_sessions :many
-- The sessions after a key, in its order: all, or of them those of :session_id.
SELECT
  id,
  device_id,
  card_iccid,
  session_type,
  status,
  started_at,
  ended_at,
  duration_ms,
  tls_cipher_suite,
  tls_psk_identity,
  error_code,
  error_message,
  created_at,
  updated_at,
  metadata
FROM ota_sessions
WHERE id > :after
  AND id = :session_id                         -- when: session_id
ORDER BY id
LIMIT :limit;

-- name: page_sessions_since :many
-- The sessions created from a time on, in the order
-- of their creation: the first, or those after the last one found.
SELECT
  id,
  device_id,
  card_iccid,
  session_type,
  status,
  started_at,
  ended_at,
  duration_ms,
  tls_cipher_suite,
  tls_psk_identity,
  error_code,
  error_message,
  created_at,
  updated_at,
  metadata
FROM ota_sessions
WHERE created_at >= :since
  AND created_at >= :created_at                -- when: created_at, id
  AND (created_at > :created_at OR id > :id)   -- when: created_at, id
ORDER BY created_at, id
LIMIT :limit;

-- name: find_sessions :many
-- The sessions with these keys.
-- list: keys
SELECT
  id,
  device_id,
  card_iccid,
  session_type,
  status,
  started_at,
  ended_at,
  duration_ms,
  tls_cipher_suite,
  tls_psk_identity,
  error_code,
  error_message,
  created_at,
  updated_at,
  metadata
FROM ota_sessions
WHERE id IN (:keys);

-- name: insert_sessions :batch
-- New sessions, many in one statement.
INSERT INTO ota_sessions (
  id,
  device_id,
  card_iccid,
  session_type,
  status,
  started_at,
  ended_at,
  duration_ms,
  tls_cipher_suite,
  tls_psk_identity,
  error_code,
  error_message,
  created_at,
  updated_at,
  metadata
)
VALUES (
  :id,
  :device_id,
  :card_iccid,
  :session_type,
  :status,
  :started_at,
  :ended_at,
  :duration_ms,
  :tls_cipher_suite,
  :tls_psk_identity,
  :error_code,
  :error_message,
  :created_at,
  :updated_at,
  :metadata
);

-- name: update_sessions :exec
-- Every column of a session but its key.
UPDATE ota_sessions
SET
  device_id = :device_id,
  card_iccid = :card_iccid,
  session_type = :session_type,
  status = :status,
  started_at = :started_at,
  ended_at = :ended_at,
  duration_ms = :duration_ms,
  tls_cipher_suite = :tls_cipher_suite,
  tls_psk_identity = :tls_psk_identity,
  error_code = :error_code,
  error_message = :error_message,
  created_at = :created_at,
  updated_at = :updated_at,
  metadata = :metadata
WHERE id = :id;

-- name: page_logs :many
-- The log entries after a key, in its order: all, or of them those of :session_id or :since.
SELECT
  id,
  session_id,
  timestamp,
  latency_ms,
  direction,
  raw_data,
  decoded_data,
  status_word,
  status_message
FROM comm_logs
WHERE id > :after
  AND session_id = :session_id                 -- when: session_id
  AND timestamp >= :since                      -- when: since
ORDER BY id
LIMIT :limit;

-- name: insert_logs :batch
-- New log entries, many in one statement.
INSERT INTO comm_logs (
  id,
  session_id,
  timestamp,
  latency_ms,
  direction,
  raw_data,
  decoded_data,
  status_word,
  status_message
)
VALUES (
  :id,
  :session_id,
  :timestamp,
  :latency_ms,
  :direction,
  :raw_data,
  :decoded_data,
  :status_word,
  :status_message
);

-- name: append_logs :batch
-- New log entries that the database numbers, many in one statement.
INSERT INTO comm_logs (
  session_id,
  timestamp,
  latency_ms,
  direction,
  raw_data,
  decoded_data,
  status_word,
  status_message
)
VALUES (
  :session_id,
  :timestamp,
  :latency_ms,
  :direction,
  :raw_data,
  :decoded_data,
  :status_word,
  :status_message
);

-- name: page_tests :many
-- The test results after a key, in its order: all.
SELECT
  id,
  run_id,
  suite_name,
  test_name,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  status,
  error_message,
  assertions,
  metadata,
  created_at,
  updated_at,
  tries
FROM test_results
WHERE id > :after
ORDER BY id
LIMIT :limit;

-- name: page_tests_since :many
-- The test results created from a time on, in the order
-- of their creation: the first, or those after the last one found.
SELECT
  id,
  run_id,
  suite_name,
  test_name,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  status,
  error_message,
  assertions,
  metadata,
  created_at,
  updated_at,
  tries
FROM test_results
WHERE created_at >= :since
  AND created_at >= :created_at                -- when: created_at, id
  AND (created_at > :created_at OR id > :id)   -- when: created_at, id
ORDER BY created_at, id
LIMIT :limit;

-- name: find_tests :many
-- The test results with these keys.
-- list: keys
SELECT
  id,
  run_id,
  suite_name,
  test_name,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  status,
  error_message,
  assertions,
  metadata,
  created_at,
  updated_at,
  tries
FROM test_results
WHERE id IN (:keys);

-- name: insert_tests :batch
-- New test results, many in one statement.
INSERT INTO test_results (
  id,
  run_id,
  suite_name,
  test_name,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  status,
  error_message,
  assertions,
  metadata,
  created_at,
  updated_at,
  tries
)
VALUES (
  :id,
  :run_id,
  :suite_name,
  :test_name,
  :device_id,
  :card_iccid,
  :started_at,
  :ended_at,
  :duration_ms,
  :status,
  :error_message,
  :assertions,
  :metadata,
  :created_at,
  :updated_at,
  :tries
);

-- name: update_tests :exec
-- Every column of a test result but its key.
UPDATE test_results
SET
  run_id = :run_id,
  suite_name = :suite_name,
  test_name = :test_name,
  device_id = :device_id,
  card_iccid = :card_iccid,
  started_at = :started_at,
  ended_at = :ended_at,
  duration_ms = :duration_ms,
  status = :status,
  error_message = :error_message,
  assertions = :assertions,
  metadata = :metadata,
  created_at = :created_at,
  updated_at = :updated_at,
  tries = :tries
WHERE id = :id;

-- name: page_settings :many
-- The settings after a key, in its order: all.
SELECT
  settings.key,
  value,
  description,
  category,
  created_at,
  updated_at
FROM settings
WHERE settings.key > :after
ORDER BY settings.key
LIMIT :limit;

-- name: find_settings :many
-- The settings with these keys.
-- list: keys
SELECT
  settings.key,
  value,
  description,
  category,
  created_at,
  updated_at
FROM settings
WHERE settings.key IN (:keys);

-- name: insert_settings :batch
-- New settings, many in one statement.
INSERT INTO settings (
  key,
  value,
  description,
  category,
  created_at,
  updated_at
)
VALUES (
  :key,
  :value,
  :description,
  :category,
  :created_at,
  :updated_at
);

-- name: update_settings :exec
-- Every column of a setting but its key.
UPDATE settings
SET
  value = :value,
  description = :description,
  category = :category,
  created_at = :created_at,
  updated_at = :updated_at
WHERE settings.key = :key;

-- end of generated
