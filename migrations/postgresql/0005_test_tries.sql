-- The number of tries of a test, by its last one, and longer names of runs.
--
-- A column with a constant default and a longer VARCHAR change the catalog alone.
-- squawk-ignore-file prefer-bigint-over-int
-- allow-lint: type-change: a longer VARCHAR changes the catalog alone, and old servers know the type

ALTER TABLE test_results
    ALTER COLUMN run_id TYPE VARCHAR(255) COLLATE "C",
    ADD COLUMN tries INTEGER NOT NULL DEFAULT 1;
