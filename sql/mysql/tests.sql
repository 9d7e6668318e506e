-- Test results, where MySQL and MariaDB differ.

-- name: get_suite_names :many
-- The names of the suites, in their order.
-- differs: here a plain DISTINCT goes from name to name on the index
SELECT DISTINCT suite_name
FROM test_results
ORDER BY suite_name;

-- name: purge_old :exec
-- The first of the results that were recorded before a time, gone: one range of the index on
-- created_at.
-- differs: no LIMIT inside IN here, and a DELETE by a subquery reads and locks the whole table
DELETE FROM test_results
WHERE created_at < :before
ORDER BY created_at
LIMIT :limit;
