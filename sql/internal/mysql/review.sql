-- What the review of queries does to its scratch databases.

-- name: claim_database :scalar
-- Return a name for a database, and take a lock of that name until the session ends. The nodes of a
-- cluster share their databases but not their locks, so the name identifies the node.
SELECT n.name
FROM (
  SELECT CONCAT('cardlink_scratch_', LEFT(SHA1(CONCAT(@@hostname, ':', @@port)), 8), '_', :token) AS name
) n
WHERE GET_LOCK(n.name, 0) = 1;

-- name: find_dead_databases :many
-- The scratch databases of this node whose session has ended.
SELECT s.schema_name
FROM information_schema.schemata s
WHERE s.schema_name LIKE CONCAT(
    'cardlink\_scratch\_', LEFT(SHA1(CONCAT(@@hostname, ':', @@port)), 8), '\_%'
  )
  AND IS_USED_LOCK(s.schema_name) IS NULL;

-- name: create_database :exec
-- Make an empty database.
CREATE DATABASE `{database}`;

-- name: drop_database :exec
-- Drop it.
DROP DATABASE IF EXISTS `{database}`;

-- name: freeze_statistics :exec
-- Take statistics from every row and only when asked: the plans are to be the same each time.
ALTER TABLE `{table}` STATS_PERSISTENT = 1, STATS_AUTO_RECALC = 0, STATS_SAMPLE_PAGES = 65535;

-- name: gather :many
-- Gather them.
ANALYZE TABLE `{table}`;

-- name: secondary_indexes :many
-- The indexes other than primary keys; InnoDB keeps no invalid one.
SELECT DISTINCT index_name, TRUE AS is_valid
FROM information_schema.statistics
WHERE table_schema = DATABASE() AND index_name <> 'PRIMARY';

-- name: index_sizes :many
-- The bytes of each index, as its statistics last had them.
SELECT index_name, CAST(stat_value * @@innodb_page_size AS SIGNED) AS bytes
FROM mysql.innodb_index_stats
WHERE database_name = DATABASE() AND stat_name = 'size';

-- name: index_uses :many
-- How often a row was read by each index since the server started.
SELECT index_name, count_read
FROM performance_schema.table_io_waits_summary_by_index_usage
WHERE object_schema = DATABASE() AND index_name IS NOT NULL;

-- name: prepare_query :exec
-- Prepare a query under review, which is not run.
PREPARE described FROM :statement;

-- name: forget_prepared :exec
-- Forget it.
DEALLOCATE PREPARE described;
