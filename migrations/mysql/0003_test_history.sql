-- Indexes for the history of a test and for the list of runs, which were two of one column each.
--
-- The first gives the runs with their starts from the index alone, and the results of one run.
-- The second gives how one test ended, newest first, and the results of a suite. The third gives
-- a range of dates. One statement, which is done whole or not at all.

ALTER TABLE test_results
    DROP INDEX ix_test_results_run_id,
    DROP INDEX ix_test_results_suite_name,
    ADD INDEX ix_test_results_run_id_started_at (run_id, started_at),
    ADD INDEX ix_test_results_suite_name_test_name_started_at (suite_name, test_name, started_at),
    ADD INDEX ix_test_results_started_at (started_at);
