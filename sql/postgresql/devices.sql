-- Phones and modems, where PostgreSQL differs from sql/common/devices.sql.

-- name: search :many
-- The devices whose id, name or model hold a text, in any case.
-- :pattern has % around it, and ! before a literal %, _ or !. SQLite's own LOWER knows ASCII only;
-- the layer gives it one that knows all letters.
-- differs: the columns compare byte for byte (COLLATE "C"), where LOWER knows ASCII only
SELECT
  id,
  device_type,
  name,
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
WHERE LOWER(id COLLATE "default") LIKE LOWER(CAST(:pattern AS TEXT) COLLATE "default") ESCAPE '!'
  OR LOWER(name COLLATE "default") LIKE LOWER(CAST(:pattern AS TEXT) COLLATE "default") ESCAPE '!'
  OR LOWER(model COLLATE "default") LIKE LOWER(CAST(:pattern AS TEXT) COLLATE "default") ESCAPE '!'
ORDER BY id;
