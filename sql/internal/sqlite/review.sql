-- What the review of queries does to its scratch databases.

-- name: gather :exec
-- Count every row, for the planner.
ANALYZE;

-- name: averages :many
-- What ANALYZE counted: the rows of a table, then the average numbers of rows to a key.
SELECT idx, stat
FROM sqlite_stat1
WHERE idx IS NOT NULL;

-- name: definitions :many
-- The schema of a file, tables first: an index or a trigger needs its own.
SELECT sql
FROM sqlite_master
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!'
ORDER BY type <> 'table', rowid;

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

-- name: described_columns :many
-- The columns of the view that a query is described by, with their declared types.
SELECT name, type
FROM PRAGMA_TABLE_INFO('described', 'temp');

-- name: drop_described :exec
-- Drop that view.
DROP VIEW described;

-- name: ignore_checks :exec
-- Let a statement run with NULL for each parameter, to learn what it returns.
PRAGMA ignore_check_constraints = ON;

-- name: columns_of_table :many
-- The columns of a table, and whether each is NOT NULL.
SELECT name, "notnull"
FROM PRAGMA_TABLE_INFO(:table);
