-- Settings. Gateway: cardlink_sql/gateways/settings.py
-- key is a reserved word of MySQL, except after a period: hence settings.key.

-- name: get_categories :many
-- The categories that stored settings have, straight off the index on category.
SELECT DISTINCT category
FROM settings
ORDER BY category;

-- generated from tables.py by scripts/generate-sql; do not edit

-- name: get_by_id :one
-- The setting with this key.
SELECT
  settings.key,
  value,
  description,
  category,
  created_at,
  updated_at
FROM settings
WHERE settings.key = :key;

-- name: get_many :many
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

-- name: find_by :many
-- The settings that match every filter given, a page of them.
-- find_one_by, get_all and paginate send it too. NULL sorts first, on every backend.
SELECT
  settings.key,
  value,
  description,
  category,
  created_at,
  updated_at
FROM settings
WHERE 1 = 1
  AND settings.key = :key                      -- when: key
  AND description = :description               -- when: description
  AND description IS NULL                      -- when: description_is_null
  AND category = :category                     -- when: category
  AND created_at = :created_at                 -- when: created_at
  AND updated_at = :updated_at                 -- when: updated_at
ORDER BY
  settings.key DESC,                           -- order: key desc
  description IS NOT NULL, description, settings.key, -- order: description
  description IS NULL, description DESC, settings.key DESC, -- order: description desc
  category, settings.key,                      -- order: category
  category DESC, settings.key DESC,            -- order: category desc
  created_at, settings.key,                    -- order: created_at
  created_at DESC, settings.key DESC,          -- order: created_at desc
  updated_at, settings.key,                    -- order: updated_at
  updated_at DESC, settings.key DESC,          -- order: updated_at desc
  settings.key
LIMIT :limit OFFSET :offset;

-- name: count_by :scalar
-- How many settings match every filter given.
-- count and paginate send it too.
SELECT COUNT(*)
FROM settings
WHERE 1 = 1
  AND settings.key = :key                      -- when: key
  AND description = :description               -- when: description
  AND description IS NULL                      -- when: description_is_null
  AND category = :category                     -- when: category
  AND created_at = :created_at                 -- when: created_at
  AND updated_at = :updated_at                 -- when: updated_at
;

-- name: exists :scalar
-- Whether there is a setting with this key.
SELECT EXISTS (SELECT 1 FROM settings WHERE settings.key = :key);

-- name: page_after :many
-- A page of the settings by key: as quick at the end of the table as at its start.
SELECT
  settings.key,
  value,
  description,
  category,
  created_at,
  updated_at
FROM settings
WHERE 1 = 1
  AND settings.key > :key                      -- when: key
ORDER BY settings.key
LIMIT :limit;

-- name: create :exec
-- A new setting.
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

-- name: update :exec
-- All fields of a setting but its key and created_at.
UPDATE settings
SET
  value = :value,
  description = :description,
  category = :category,
  updated_at = :updated_at
WHERE settings.key = :key;

-- name: delete_by_id :exec
-- The setting with this key, gone. delete sends it too.
DELETE FROM settings
WHERE settings.key = :key;

-- end of generated
