-- Drops the number of tries: every try counts as a test again. It fails, and changes nothing, where
-- the name of a run is longer than 36 characters. The table is read to make sure.

ALTER TABLE test_results
    ALTER COLUMN run_id TYPE VARCHAR(36) COLLATE "C",
    DROP COLUMN tries;
