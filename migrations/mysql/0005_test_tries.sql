-- The number of tries of a test, by its last one, and longer names of runs.
--
-- A VARCHAR of more than 63 characters has one more byte for its length, so the table is copied while
-- its writers wait.
-- allow-lint: type-change: a longer VARCHAR changes no value, and old servers know the type

ALTER TABLE test_results
    MODIFY COLUMN run_id VARCHAR(255) NOT NULL,
    ADD COLUMN tries INTEGER NOT NULL DEFAULT 1;
