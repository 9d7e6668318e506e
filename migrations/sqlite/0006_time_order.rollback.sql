-- The indexes as they were, of one column each.

CREATE INDEX ix_test_results_status ON test_results (status);
CREATE INDEX ix_test_results_device_id ON test_results (device_id);
CREATE INDEX ix_test_results_card_iccid ON test_results (card_iccid);
CREATE INDEX ix_test_results_started_at ON test_results (started_at);
CREATE INDEX ix_test_results_created_at ON test_results (created_at);
DROP INDEX ix_test_results_created_at_id;
DROP INDEX ix_test_results_started_at_created_at_id;
DROP INDEX ix_test_results_card_iccid_started_at_created_at;
DROP INDEX ix_test_results_device_id_started_at_created_at;
DROP INDEX ix_test_results_status_started_at_created_at;
DROP INDEX ix_test_results_suite_name_started_at_created_at;
