-- What the review of queries does to its scratch databases.

-- name: claim_database :scalar
-- Return a name for a database; pg_stat_activity shows it until the session ends.
SELECT SET_CONFIG('application_name', CONCAT('cardlink_scratch_', CAST(:token AS TEXT)), FALSE);

-- name: find_dead_databases :many
-- The role's scratch databases whose session has ended, and that no other is connected to.
SELECT d.datname
FROM pg_catalog.pg_database d
WHERE d.datname LIKE 'cardlink\_scratch\_%'
  AND PG_GET_USERBYID(d.datdba) = CURRENT_USER
  AND NOT EXISTS (
    SELECT 1
    FROM pg_catalog.pg_stat_activity a
    WHERE d.datname IN (a.application_name, a.datname)
  );

-- name: create_database :exec
-- Make an empty database.
CREATE DATABASE "{database}";

-- name: drop_database :exec
-- Drop it.
DROP DATABASE IF EXISTS "{database}";

-- name: wait_for_disk :exec
-- VACUUM notes only rows whose commit is on the disk, which the next commit ensures.
SET synchronous_commit = on;

-- name: freeze_statistics :exec
-- Gather no statistics meanwhile: the plans are to be the same each time.
ALTER TABLE "{table}" SET (autovacuum_enabled = off);

-- name: read_every_row :exec
-- Take statistics from every row and not from a sample.
SET default_statistics_target = 1000;

-- name: gather :exec
-- Gather them, and note that everybody sees the rows: index-only scans need it.
VACUUM (ANALYZE) "{table}";

-- name: sample_again :exec
-- As it was.
RESET default_statistics_target;

-- name: commit_as_before :exec
-- As it was.
RESET synchronous_commit;

-- name: secondary_indexes :many
-- The indexes other than primary keys, and whether each is valid: an interrupted build's is not.
SELECT c.relname, i.indisvalid
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = CAST(CURRENT_SCHEMA() AS REGNAMESPACE) AND NOT i.indisprimary;

-- name: index_sizes :many
-- The bytes of each index.
SELECT indexrelname, PG_RELATION_SIZE(indexrelid) AS bytes
FROM pg_catalog.pg_stat_user_indexes
WHERE schemaname = CURRENT_SCHEMA();

-- name: index_uses :many
-- How often each index was scanned since the statistics were reset.
SELECT indexrelname, idx_scan
FROM pg_catalog.pg_stat_user_indexes
WHERE schemaname = CURRENT_SCHEMA();

-- name: nullable_columns :many
-- Whether each column of each table may be NULL.
SELECT attrelid, attnum, NOT attnotnull AS nullable
FROM pg_catalog.pg_attribute
WHERE attnum > 0;

-- name: plan_by_indexes :one
-- PostgreSQL's own planner, whatever the server has, except that it uses an index if there is one
-- and does not run in parallel.
SELECT
  SET_CONFIG('enable_seqscan', 'off', FALSE),
  SET_CONFIG('max_parallel_workers_per_gather', '0', FALSE),
  SET_CONFIG('random_page_cost', '4', FALSE),
  SET_CONFIG('cpu_index_tuple_cost', '0.005', FALSE),
  SET_CONFIG('effective_cache_size', '4GB', FALSE),
  SET_CONFIG('work_mem', '4MB', FALSE);
