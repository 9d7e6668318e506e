-- Phones and modems, where PostgreSQL differs from sql/common/devices.sql.

-- name: search :many
-- The devices whose id, name or model hold a text, in any case.
-- find_matching sends it too, and without a text.
-- :pattern has % around it, and ! before a literal %, _ or !. SQLite's own LOWER knows ASCII only;
-- the layer adds one that knows all letters.
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
WHERE 1 = 1
  AND (                                        -- when: pattern
    LOWER(id COLLATE "default") LIKE LOWER(CAST(:pattern AS TEXT) COLLATE "default") ESCAPE '!' -- when: pattern
    OR LOWER(name COLLATE "default") LIKE LOWER(CAST(:pattern AS TEXT) COLLATE "default") ESCAPE '!' -- when: pattern
    OR LOWER(model COLLATE "default") LIKE LOWER(CAST(:pattern AS TEXT) COLLATE "default") ESCAPE '!' -- when: pattern
  )                                            -- when: pattern
  AND device_type = :device_type               -- when: device_type
  AND is_active = :is_active                   -- when: is_active
ORDER BY id
LIMIT :limit;
