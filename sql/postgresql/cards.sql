-- Card profiles, where PostgreSQL differs from sql/common/cards.sql.

-- name: search :many
-- The cards whose ICCID, IMSI, PSK identity or notes hold a text, in any case.
-- find_matching sends it too, and without a text.
-- :pattern has % around it, and ! before a literal %, _ or !. SQLite's own LOWER knows ASCII only;
-- the layer adds one that knows all letters.
-- differs: the columns compare byte for byte (COLLATE "C"), where LOWER knows ASCII only
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
    LOWER(iccid COLLATE "default") LIKE LOWER(CAST(:pattern AS TEXT) COLLATE "default") ESCAPE '!' -- when: pattern
    OR LOWER(imsi COLLATE "default") LIKE LOWER(CAST(:pattern AS TEXT) COLLATE "default") ESCAPE '!' -- when: pattern
    OR LOWER(psk_identity COLLATE "default") LIKE LOWER(CAST(:pattern AS TEXT) COLLATE "default") ESCAPE '!' -- when: pattern
    OR LOWER(notes COLLATE "default") LIKE LOWER(CAST(:pattern AS TEXT) COLLATE "default") ESCAPE '!' -- when: pattern
  )                                            -- when: pattern
  AND psk_key_encrypted IS NOT NULL            -- when: with_psk
  AND psk_key_encrypted IS NULL                -- when: without_psk
ORDER BY iccid
LIMIT :limit;
