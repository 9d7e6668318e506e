-- What the review of queries does to its scratch databases.

-- name: gather :exec
-- Count every row, for the planner.
ANALYZE;

-- name: averages :many
-- What ANALYZE counted: the rows of a table, then the average numbers of rows to a key.
SELECT idx, stat
FROM sqlite_stat1
WHERE idx IS NOT NULL;

-- name: secondary_indexes :many
-- The indexes other than primary keys; SQLite keeps no invalid one.
SELECT i.name, TRUE AS is_valid
FROM sqlite_master m
JOIN PRAGMA_INDEX_LIST(m.name) i ON i.origin <> 'pk'
WHERE m.type = 'table';

-- name: index_sizes :many
-- The bytes of each index; an SQLite that was built without dbstat refuses the statement.
SELECT m.name, SUM(s.pgsize) AS bytes
FROM sqlite_master m
JOIN dbstat s ON s.name = m.name
WHERE m.type = 'index'
GROUP BY m.name;
