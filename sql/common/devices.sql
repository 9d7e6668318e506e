-- Phones and modems. Gateway: cardlink_sql/gateways/devices.py

-- name: find_by_type :many
-- The devices of one type. find_phones and find_modems send it too.
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
WHERE device_type = :device_type
ORDER BY id;

-- name: find_recent :many
-- The devices seen since a time, latest first.
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
WHERE last_seen >= :since
ORDER BY last_seen DESC, id DESC;

-- name: find_by_iccid :one
-- The device that holds a card: of several that say so, the one seen last.
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
WHERE iccid = :iccid
ORDER BY last_seen IS NULL, last_seen DESC, id
LIMIT 1;

-- name: find_by_imei :one
-- The device with an IMEI: of several that claim it, the one seen last.
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
WHERE imei = :imei
ORDER BY last_seen IS NULL, last_seen DESC, id
LIMIT 1;

-- name: find_by_card :many
-- The devices that hold a card or have run a session with it.
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
WHERE iccid = :iccid
  OR id IN (SELECT s.device_id FROM ota_sessions s WHERE s.card_iccid = :iccid)
ORDER BY id;

-- name: update_last_seen :exec
-- Record that a device was seen. A late report of an earlier time does not move last_seen back.
UPDATE devices
SET
  last_seen = CASE
    WHEN last_seen IS NULL OR last_seen < :last_seen THEN :last_seen
    ELSE last_seen
  END,
  updated_at = :updated_at
WHERE id = :id;

-- name: set_active :exec
-- Put a device into or out of use. activate and deactivate send it.
UPDATE devices
SET
  is_active = :is_active,
  updated_at = :updated_at
WHERE id = :id;

-- name: delete_sessions :exec
-- Delete the sessions of a device, and by the foreign key their logs. delete_with_sessions sends it.
DELETE FROM ota_sessions
WHERE device_id = :device_id;

-- name: search :many
-- The devices whose id, name or model hold a text, in any case.
-- find_matching sends it too, and without a text.
-- :pattern has % around it, and ! before a literal %, _ or !. SQLite's own LOWER knows ASCII only;
-- the layer adds one that knows all letters.
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
    LOWER(id) LIKE LOWER(:pattern) ESCAPE '!'  -- when: pattern
    OR LOWER(name) LIKE LOWER(:pattern) ESCAPE '!' -- when: pattern
    OR LOWER(model) LIKE LOWER(:pattern) ESCAPE '!' -- when: pattern
  )                                            -- when: pattern
  AND device_type = :device_type               -- when: device_type
  AND is_active = :is_active                   -- when: is_active
ORDER BY id
LIMIT :limit;

-- generated from tables.py by scripts/generate-sql; do not edit

-- name: get_by_id :one
-- The device with this key.
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
WHERE id = :id;

-- name: get_many :many
-- The devices with these keys.
-- list: keys
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
WHERE id IN (:keys);

-- name: find_by :many
-- The devices that match every filter given, a page of them.
-- find_one_by, get_all and paginate send it too. NULL sorts first, on every backend.
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
  AND id = :id                                 -- when: id
  AND device_type = :device_type               -- when: device_type
  AND name = :name                             -- when: name
  AND name IS NULL                             -- when: name_is_null
  AND manufacturer = :manufacturer             -- when: manufacturer
  AND manufacturer IS NULL                     -- when: manufacturer_is_null
  AND model = :model                           -- when: model
  AND model IS NULL                            -- when: model_is_null
  AND firmware_version = :firmware_version     -- when: firmware_version
  AND firmware_version IS NULL                 -- when: firmware_version_is_null
  AND imei = :imei                             -- when: imei
  AND imei IS NULL                             -- when: imei_is_null
  AND imsi = :imsi                             -- when: imsi
  AND imsi IS NULL                             -- when: imsi_is_null
  AND iccid = :iccid                           -- when: iccid
  AND iccid IS NULL                            -- when: iccid_is_null
  AND last_seen = :last_seen                   -- when: last_seen
  AND last_seen IS NULL                        -- when: last_seen_is_null
  AND is_active = :is_active                   -- when: is_active
  AND created_at = :created_at                 -- when: created_at
  AND updated_at = :updated_at                 -- when: updated_at
ORDER BY
  id DESC,                                     -- order: id desc
  device_type, id,                             -- order: device_type
  device_type DESC, id DESC,                   -- order: device_type desc
  name IS NOT NULL, name, id,                  -- order: name
  name IS NULL, name DESC, id DESC,            -- order: name desc
  manufacturer IS NOT NULL, manufacturer, id,  -- order: manufacturer
  manufacturer IS NULL, manufacturer DESC, id DESC, -- order: manufacturer desc
  model IS NOT NULL, model, id,                -- order: model
  model IS NULL, model DESC, id DESC,          -- order: model desc
  firmware_version IS NOT NULL, firmware_version, id, -- order: firmware_version
  firmware_version IS NULL, firmware_version DESC, id DESC, -- order: firmware_version desc
  imei IS NOT NULL, imei, id,                  -- order: imei
  imei IS NULL, imei DESC, id DESC,            -- order: imei desc
  imsi IS NOT NULL, imsi, id,                  -- order: imsi
  imsi IS NULL, imsi DESC, id DESC,            -- order: imsi desc
  iccid IS NOT NULL, iccid, id,                -- order: iccid
  iccid IS NULL, iccid DESC, id DESC,          -- order: iccid desc
  last_seen IS NOT NULL, last_seen, id,        -- order: last_seen
  last_seen IS NULL, last_seen DESC, id DESC,  -- order: last_seen desc
  is_active, id,                               -- order: is_active
  is_active DESC, id DESC,                     -- order: is_active desc
  created_at, id,                              -- order: created_at
  created_at DESC, id DESC,                    -- order: created_at desc
  updated_at, id,                              -- order: updated_at
  updated_at DESC, id DESC,                    -- order: updated_at desc
  id
LIMIT :limit OFFSET :offset;

-- name: count_by :scalar
-- How many devices match every filter given.
-- count and paginate send it too.
SELECT COUNT(*)
FROM devices
WHERE 1 = 1
  AND id = :id                                 -- when: id
  AND device_type = :device_type               -- when: device_type
  AND name = :name                             -- when: name
  AND name IS NULL                             -- when: name_is_null
  AND manufacturer = :manufacturer             -- when: manufacturer
  AND manufacturer IS NULL                     -- when: manufacturer_is_null
  AND model = :model                           -- when: model
  AND model IS NULL                            -- when: model_is_null
  AND firmware_version = :firmware_version     -- when: firmware_version
  AND firmware_version IS NULL                 -- when: firmware_version_is_null
  AND imei = :imei                             -- when: imei
  AND imei IS NULL                             -- when: imei_is_null
  AND imsi = :imsi                             -- when: imsi
  AND imsi IS NULL                             -- when: imsi_is_null
  AND iccid = :iccid                           -- when: iccid
  AND iccid IS NULL                            -- when: iccid_is_null
  AND last_seen = :last_seen                   -- when: last_seen
  AND last_seen IS NULL                        -- when: last_seen_is_null
  AND is_active = :is_active                   -- when: is_active
  AND created_at = :created_at                 -- when: created_at
  AND updated_at = :updated_at                 -- when: updated_at
;

-- name: exists :scalar
-- Whether there is a device with this key.
SELECT EXISTS (SELECT 1 FROM devices WHERE id = :id);

-- name: page_after :many
-- A page of the devices by key: as quick at the end of the table as at its start.
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
  AND id > :id                                 -- when: id
ORDER BY id
LIMIT :limit;

-- name: create :exec
-- A new device.
INSERT INTO devices (
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
)
VALUES (
  :id,
  :device_type,
  :name,
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

-- name: update :exec
-- All fields of a device but its key and created_at.
UPDATE devices
SET
  device_type = :device_type,
  name = :name,
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
  updated_at = :updated_at
WHERE id = :id;

-- name: delete_by_id :exec
-- The device with this key, gone. delete sends it too.
DELETE FROM devices
WHERE id = :id;

-- end of generated
