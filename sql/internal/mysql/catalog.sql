-- Reads of MySQL's and MariaDB's catalog that SQLAlchemy's inspector lacks.

-- name: other_objects :many
-- Everything else than tables and indexes that a migration may make.
SELECT table_name
FROM information_schema.views
WHERE table_schema = DATABASE()
UNION ALL
SELECT trigger_name
FROM information_schema.triggers
WHERE trigger_schema = DATABASE()
UNION ALL
SELECT routine_name
FROM information_schema.routines
WHERE routine_schema = DATABASE()
UNION ALL
SELECT event_name
FROM information_schema.events
WHERE event_schema = DATABASE();

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
