-- Settings, where MySQL differs: key in a list of columns, and the upsert.

-- name: create :exec
-- A new setting.
-- differs: key is a reserved word
INSERT INTO settings (
  `key`,
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

-- name: set_value :exec
-- A value for a key, new or not; created_at is kept, and so is what is not given.
-- import_yaml sends it too. Two writers of one new key do not collide.
-- differs: ON DUPLICATE KEY; the new values by name, for MySQL and MariaDB call the new row differently
INSERT INTO settings (
  `key`,
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
)
ON DUPLICATE KEY UPDATE
  value = :value,
  description = :description,                  -- when: new_description
  category = :category,                        -- when: new_category
  updated_at = :updated_at;
