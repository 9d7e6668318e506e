-- The two indexes as the first migration made them.

ALTER TABLE test_results
    DROP INDEX ix_test_results_started_at,
    DROP INDEX ix_test_results_suite_name_test_name_started_at,
    DROP INDEX ix_test_results_run_id_started_at,
    ADD INDEX ix_test_results_suite_name (suite_name),
    ADD INDEX ix_test_results_run_id (run_id);
