-- What an import writes, where MySQL and MariaDB differ from sql/common/exchange.sql.

-- name: insert_settings :batch
-- New settings, many in one statement.
-- differs: key is a reserved word here
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
