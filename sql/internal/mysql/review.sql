-- What the review of queries does to its scratch databases.

-- name: create_database :exec
-- Make an empty database.
CREATE DATABASE `{database}`;

-- name: drop_database :exec
-- Drop it.
DROP DATABASE `{database}`;

-- name: freeze_statistics :exec
-- Take statistics from every row and only when asked: the plans are to be the same each time.
ALTER TABLE `{table}` STATS_PERSISTENT = 1, STATS_AUTO_RECALC = 0, STATS_SAMPLE_PAGES = 65535;

-- name: gather :many
-- Gather them.
ANALYZE TABLE `{table}`;
