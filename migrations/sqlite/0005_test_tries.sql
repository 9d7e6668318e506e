-- The number of tries of a test, by its last one, and longer names of runs.
--
-- SQLite checks no length, so run_id stays as it is.

ALTER TABLE test_results ADD COLUMN tries INTEGER NOT NULL DEFAULT 1;
