-- Drops the number of tries: every try counts as a test again. It fails where the name of a run is
-- longer than 36 characters.

ALTER TABLE test_results
    MODIFY COLUMN run_id VARCHAR(36) NOT NULL,
    DROP COLUMN tries;
