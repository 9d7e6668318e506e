-- Reads of MySQL's and MariaDB's catalog that SQLAlchemy's inspector lacks.

-- name: indexes :many
-- The columns of the indexes of a table, in their order.
SELECT index_name, non_unique, column_name, collation, sub_part, index_type
FROM information_schema.statistics
WHERE table_schema = DATABASE() AND table_name = :name
ORDER BY index_name, seq_in_index;

-- name: options :one
-- The engine and the collation of a table.
SELECT engine, table_collation
FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name = :name;

-- name: definition :one
-- The CREATE TABLE of a table.
SHOW CREATE TABLE `{table}`;

-- name: extras :many
-- What else may change the rows of a table: its triggers, as far as the user may see them.
SELECT CONCAT('the trigger ', trigger_name) AS what
FROM information_schema.triggers
WHERE event_object_schema = DATABASE() AND event_object_table = :name
ORDER BY trigger_name;
