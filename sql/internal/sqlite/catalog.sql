-- Reads of SQLite's catalog that SQLAlchemy's inspector lacks, and what its errors leave out.

-- name: indexes :many
-- The indexes of a table that a CREATE INDEX made.
SELECT i.name, i."unique", m.sql AS definition, TRUE AS is_valid
FROM PRAGMA_INDEX_LIST(:name) i
JOIN sqlite_master m ON m.type = 'index' AND m.name = i.name
WHERE i.origin = 'c';

-- name: definition :scalar
-- The CREATE TABLE of a table.
SELECT sql
FROM sqlite_master
WHERE type = 'table' AND name = :name;

-- name: orphaned :many
-- The columns of a refused row that refer to a row that is not there.
SELECT 'device_id' AS name
WHERE NOT EXISTS (SELECT 1 FROM devices WHERE id = :device_id)
  AND :device_id IS NOT NULL
UNION ALL
SELECT 'card_iccid'
WHERE NOT EXISTS (SELECT 1 FROM card_profiles WHERE iccid = :card_iccid)
  AND :card_iccid IS NOT NULL
UNION ALL
SELECT 'session_id'
WHERE NOT EXISTS (SELECT 1 FROM ota_sessions WHERE id = :session_id)
  AND :session_id IS NOT NULL;

-- name: extras :many
-- What else may change the rows of a table: its triggers.
SELECT 'the trigger ' || name AS what
FROM sqlite_master
WHERE type = 'trigger' AND tbl_name = :name
ORDER BY name;
