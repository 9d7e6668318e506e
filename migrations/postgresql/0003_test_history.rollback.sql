-- The two indexes as the first migration made them; dropping comes last, for readers wait for it.

CREATE INDEX ix_test_results_suite_name ON test_results (suite_name);
CREATE INDEX ix_test_results_run_id ON test_results (run_id);
DROP INDEX ix_test_results_started_at;
DROP INDEX ix_test_results_suite_name_test_name_started_at;
DROP INDEX ix_test_results_run_id_started_at;
