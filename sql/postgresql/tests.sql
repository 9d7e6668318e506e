-- Test results, where PostgreSQL differs: the purge.

-- name: purge_old :exec
-- The first of the results that were recorded before a time, gone: one range of the index on
-- created_at.
-- differs: IN (…) would be a join with the whole table
DELETE FROM test_results
WHERE
  id = ANY(
    ARRAY(
      SELECT id
      FROM test_results
      WHERE created_at < :before
      ORDER BY created_at
      LIMIT :limit
    )
  );
