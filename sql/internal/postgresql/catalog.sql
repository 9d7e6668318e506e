-- Reads of PostgreSQL's catalog that SQLAlchemy's inspector lacks.

-- name: indexes :many
-- The indexes of a table that belong to no constraint; an interrupted build's is not valid.
SELECT c.relname, i.indisunique, PG_GET_INDEXDEF(i.indexrelid) AS definition, i.indisvalid
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = CAST(:name AS REGCLASS)
  AND NOT EXISTS (
    SELECT
    FROM pg_catalog.pg_constraint k
    WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u')
  );

-- name: extras :many
-- What else may change, hide or lose the rows of a table.
SELECT 'the trigger ' || t.tgname AS what
FROM pg_catalog.pg_trigger t
WHERE t.tgrelid = CAST(:name AS REGCLASS) AND NOT t.tgisinternal
UNION ALL
SELECT 'the rule ' || r.rulename
FROM pg_catalog.pg_rewrite r
WHERE r.ev_class = CAST(:name AS REGCLASS)
UNION ALL
SELECT 'row level security'
FROM pg_catalog.pg_class c
WHERE c.oid = CAST(:name AS REGCLASS) AND c.relrowsecurity
UNION ALL
SELECT 'UNLOGGED, which a crash empties'
FROM pg_catalog.pg_class c
WHERE c.oid = CAST(:name AS REGCLASS) AND c.relpersistence = 'u'
ORDER BY what;
