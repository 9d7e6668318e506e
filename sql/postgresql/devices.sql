-- Phones and modems, where PostgreSQL differs from sql/common/devices.sql.

-- name: search :many
-- The devices whose id, name or model hold a text, in any case.
-- :pattern is lower case, with % around it; ! before a literal %, _ or !.
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
WHERE LOWER(id COLLATE "default") LIKE :pattern ESCAPE '!'
  OR LOWER(name COLLATE "default") LIKE :pattern ESCAPE '!'
  OR LOWER(model COLLATE "default") LIKE :pattern ESCAPE '!'
ORDER BY id;
