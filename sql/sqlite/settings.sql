-- Settings, where SQLite differs from MySQL: the upsert.

-- name: set_value :exec
-- A value for a key, new or not; created_at is kept, and so is what is not given.
-- import_yaml sends it too. Two writers of one new key do not collide.
-- differs: the upsert is ON CONFLICT, and MySQL has none
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
)
ON CONFLICT (key) DO UPDATE SET
  value = EXCLUDED.value,
  description = EXCLUDED.description,          -- when: new_description
  category = EXCLUDED.category,                -- when: new_category
  updated_at = EXCLUDED.updated_at;
