-- Card profiles and their encrypted PSKs. Gateway: cardlink_sql/gateways/cards.py

-- name: create_with_psk :exec
-- A new card with its PSK, already encrypted.
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

-- name: get_psk_key :one
-- The encrypted PSK of a card; NULL where it has none. get_psk_token sends it too.
SELECT psk_key_encrypted
FROM card_profiles
WHERE iccid = :iccid;

-- name: get_psk_key_by_identity :one
-- The encrypted PSK for a TLS handshake (RFC 4279): the hot path of the admin server.
-- The unique index on psk_identity leads to the one row.
SELECT
  psk_key_encrypted,
  iccid
FROM card_profiles
WHERE psk_identity = :psk_identity
  AND psk_key_encrypted IS NOT NULL;

-- name: psk_identity_exists :one
-- A row if a card claims the identity.
SELECT 1 AS claimed
FROM card_profiles
WHERE psk_identity = :psk_identity;

-- name: get_all_psk_identities :many
-- The identities of all cards that have a PSK.
SELECT psk_identity
FROM card_profiles
WHERE psk_identity IS NOT NULL
  AND psk_key_encrypted IS NOT NULL
ORDER BY psk_identity;

-- name: update_psk :exec
-- Replace the PSK of a card.
UPDATE card_profiles
SET
  psk_identity = :psk_identity,
  psk_key_encrypted = :psk_key_encrypted,
  updated_at = :updated_at
WHERE iccid = :iccid;

-- name: clear_psk :exec
-- Remove the PSK and the identity of a card.
UPDATE card_profiles
SET
  psk_identity = NULL,
  psk_key_encrypted = NULL,
  updated_at = :updated_at
WHERE iccid = :iccid;

-- name: page_psk_tokens :many
-- A page of the encrypted PSKs by ICCID, to look at the keys that they are under.
SELECT
  iccid,
  psk_key_encrypted
FROM card_profiles
WHERE psk_key_encrypted IS NOT NULL
  AND iccid > :iccid                           -- when: iccid
ORDER BY iccid
LIMIT :limit;

-- name: count_psk_tokens :scalar
-- How many cards have a PSK.
SELECT COUNT(*)
FROM card_profiles
WHERE psk_key_encrypted IS NOT NULL;

-- name: replace_psk_token :exec
-- Store the same PSK under another encryption key; no row where it was changed meanwhile.
-- The card itself does not change, so updated_at stays.
UPDATE card_profiles
SET psk_key_encrypted = :psk_key_encrypted
WHERE iccid = :iccid
  AND psk_key_encrypted = :expected;

-- name: find_with_psk :many
-- The cards that have a PSK.
SELECT
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
  psk_key_encrypted IS NOT NULL AS has_psk,
  admin_url,
  trigger_config,
  bip_config,
  security_domains,
  notes,
  created_at,
  updated_at
FROM card_profiles
WHERE psk_key_encrypted IS NOT NULL
ORDER BY iccid;

-- name: find_without_psk :many
-- The cards that have none.
SELECT
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
  psk_key_encrypted IS NOT NULL AS has_psk,
  admin_url,
  trigger_config,
  bip_config,
  security_domains,
  notes,
  created_at,
  updated_at
FROM card_profiles
WHERE psk_key_encrypted IS NULL
ORDER BY iccid;

-- name: find_by_device :many
-- The cards that a device holds or has run a session with.
SELECT
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
  psk_key_encrypted IS NOT NULL AS has_psk,
  admin_url,
  trigger_config,
  bip_config,
  security_domains,
  notes,
  created_at,
  updated_at
FROM card_profiles
WHERE iccid IN (SELECT d.iccid FROM devices d WHERE d.id = :device_id)
  OR iccid IN (SELECT s.card_iccid FROM ota_sessions s WHERE s.device_id = :device_id)
ORDER BY iccid;

-- name: search :many
-- The cards whose ICCID, IMSI, PSK identity or notes hold a text, in any case.
-- find_matching sends it too, and without a text.
-- :pattern has % around it, and ! before a literal %, _ or !. SQLite's own LOWER knows ASCII only;
-- the layer adds one that knows all letters.
SELECT
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
  psk_key_encrypted IS NOT NULL AS has_psk,
  admin_url,
  trigger_config,
  bip_config,
  security_domains,
  notes,
  created_at,
  updated_at
FROM card_profiles
WHERE 1 = 1
  AND (                                        -- when: pattern
    LOWER(iccid) LIKE LOWER(:pattern) ESCAPE '!' -- when: pattern
    OR LOWER(imsi) LIKE LOWER(:pattern) ESCAPE '!' -- when: pattern
    OR LOWER(psk_identity) LIKE LOWER(:pattern) ESCAPE '!' -- when: pattern
    OR LOWER(notes) LIKE LOWER(:pattern) ESCAPE '!' -- when: pattern
  )                                            -- when: pattern
  AND psk_key_encrypted IS NOT NULL            -- when: with_psk
  AND psk_key_encrypted IS NULL                -- when: without_psk
ORDER BY iccid
LIMIT :limit;

-- generated from tables.py by scripts/generate-sql; do not edit

-- name: get_by_id :one
-- The card with this key.
SELECT
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
  psk_key_encrypted IS NOT NULL AS has_psk,
  admin_url,
  trigger_config,
  bip_config,
  security_domains,
  notes,
  created_at,
  updated_at
FROM card_profiles
WHERE iccid = :iccid;

-- name: get_many :many
-- The cards with these keys.
-- list: keys
SELECT
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
  psk_key_encrypted IS NOT NULL AS has_psk,
  admin_url,
  trigger_config,
  bip_config,
  security_domains,
  notes,
  created_at,
  updated_at
FROM card_profiles
WHERE iccid IN (:keys);

-- name: find_by :many
-- The cards that match every filter given, a page of them.
-- find_one_by, get_all and paginate send it too. NULL sorts first, on every backend.
SELECT
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
  psk_key_encrypted IS NOT NULL AS has_psk,
  admin_url,
  trigger_config,
  bip_config,
  security_domains,
  notes,
  created_at,
  updated_at
FROM card_profiles
WHERE 1 = 1
  AND iccid = :iccid                           -- when: iccid
  AND imsi = :imsi                             -- when: imsi
  AND imsi IS NULL                             -- when: imsi_is_null
  AND card_type = :card_type                   -- when: card_type
  AND atr = :atr                               -- when: atr
  AND atr IS NULL                              -- when: atr_is_null
  AND psk_identity = :psk_identity             -- when: psk_identity
  AND psk_identity IS NULL                     -- when: psk_identity_is_null
  AND admin_url = :admin_url                   -- when: admin_url
  AND admin_url IS NULL                        -- when: admin_url_is_null
  AND created_at = :created_at                 -- when: created_at
  AND updated_at = :updated_at                 -- when: updated_at
ORDER BY
  iccid DESC,                                  -- order: iccid desc
  imsi IS NOT NULL, imsi, iccid,               -- order: imsi
  imsi IS NULL, imsi DESC, iccid DESC,         -- order: imsi desc
  card_type, iccid,                            -- order: card_type
  card_type DESC, iccid DESC,                  -- order: card_type desc
  atr IS NOT NULL, atr, iccid,                 -- order: atr
  atr IS NULL, atr DESC, iccid DESC,           -- order: atr desc
  psk_identity IS NOT NULL, psk_identity, iccid, -- order: psk_identity
  psk_identity IS NULL, psk_identity DESC, iccid DESC, -- order: psk_identity desc
  admin_url IS NOT NULL, admin_url, iccid,     -- order: admin_url
  admin_url IS NULL, admin_url DESC, iccid DESC, -- order: admin_url desc
  created_at, iccid,                           -- order: created_at
  created_at DESC, iccid DESC,                 -- order: created_at desc
  updated_at, iccid,                           -- order: updated_at
  updated_at DESC, iccid DESC,                 -- order: updated_at desc
  iccid
LIMIT :limit OFFSET :offset;

-- name: count_by :scalar
-- How many cards match every filter given.
-- count and paginate send it too.
SELECT COUNT(*)
FROM card_profiles
WHERE 1 = 1
  AND iccid = :iccid                           -- when: iccid
  AND imsi = :imsi                             -- when: imsi
  AND imsi IS NULL                             -- when: imsi_is_null
  AND card_type = :card_type                   -- when: card_type
  AND atr = :atr                               -- when: atr
  AND atr IS NULL                              -- when: atr_is_null
  AND psk_identity = :psk_identity             -- when: psk_identity
  AND psk_identity IS NULL                     -- when: psk_identity_is_null
  AND admin_url = :admin_url                   -- when: admin_url
  AND admin_url IS NULL                        -- when: admin_url_is_null
  AND created_at = :created_at                 -- when: created_at
  AND updated_at = :updated_at                 -- when: updated_at
;

-- name: exists :scalar
-- Whether there is a card with this key.
SELECT EXISTS (SELECT 1 FROM card_profiles WHERE iccid = :iccid);

-- name: page_after :many
-- A page of the cards by key: as quick at the end of the table as at its start.
SELECT
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
  psk_key_encrypted IS NOT NULL AS has_psk,
  admin_url,
  trigger_config,
  bip_config,
  security_domains,
  notes,
  created_at,
  updated_at
FROM card_profiles
WHERE 1 = 1
  AND iccid > :iccid                           -- when: iccid
ORDER BY iccid
LIMIT :limit;

-- name: create :exec
-- A new card.
INSERT INTO card_profiles (
  iccid,
  imsi,
  card_type,
  atr,
  psk_identity,
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
  :admin_url,
  :trigger_config,
  :bip_config,
  :security_domains,
  :notes,
  :created_at,
  :updated_at
);

-- name: update :exec
-- All fields of a card but its key and psk_identity and created_at.
UPDATE card_profiles
SET
  imsi = :imsi,
  card_type = :card_type,
  atr = :atr,
  admin_url = :admin_url,
  trigger_config = :trigger_config,
  bip_config = :bip_config,
  security_domains = :security_domains,
  notes = :notes,
  updated_at = :updated_at
WHERE iccid = :iccid;

-- name: delete_by_id :exec
-- The card with this key, gone. delete sends it too.
DELETE FROM card_profiles
WHERE iccid = :iccid;

-- end of generated
