-- Indexes for the history of a test and for the list of runs, which were two of one column each.
--
-- The first gives the runs with their starts from the index alone, and the results of one run.
-- The second gives how one test ended, newest first, and the results of a suite. The third gives
-- a range of dates. What is dropped goes last: until then readers go on beside the building.
--
-- allow-lint: index-concurrently: nothing was released before it, so there are no rows yet
-- squawk-ignore-file require-concurrent-index-deletion

CREATE INDEX ix_test_results_run_id_started_at ON test_results (run_id, started_at);
CREATE INDEX ix_test_results_suite_name_test_name_started_at
    ON test_results (suite_name, test_name, started_at);
CREATE INDEX ix_test_results_started_at ON test_results (started_at);
DROP INDEX ix_test_results_run_id;
DROP INDEX ix_test_results_suite_name;
