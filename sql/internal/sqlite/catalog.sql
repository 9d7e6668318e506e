-- Reads of SQLite's catalog that SQLAlchemy's inspector lacks.

-- name: other_objects :many
-- Everything else than tables and indexes that a migration may make.
SELECT name
FROM sqlite_master
WHERE type NOT IN ('table', 'index');

-- name: indexes :many
-- The indexes of a table that a CREATE INDEX made.
SELECT i.name, i."unique", m.sql
FROM PRAGMA_INDEX_LIST(:name) i
JOIN sqlite_master m ON m.type = 'index' AND m.name = i.name
WHERE i.origin = 'c';

-- name: definition :scalar
-- The CREATE TABLE of a table.
SELECT sql
FROM sqlite_master
WHERE type = 'table' AND name = :name;
