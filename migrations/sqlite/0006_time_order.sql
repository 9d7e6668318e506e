-- Test results newest first, of all and by suite, status, device and card, without a sort; and keyset
-- pages of them since a time.

CREATE INDEX ix_test_results_suite_name_started_at_created_at
    ON test_results (suite_name, started_at, created_at);
CREATE INDEX ix_test_results_status_started_at_created_at
    ON test_results (status, started_at, created_at);
CREATE INDEX ix_test_results_device_id_started_at_created_at
    ON test_results (device_id, started_at, created_at);
CREATE INDEX ix_test_results_card_iccid_started_at_created_at
    ON test_results (card_iccid, started_at, created_at);
CREATE INDEX ix_test_results_started_at_created_at_id ON test_results (started_at, created_at, id);
CREATE INDEX ix_test_results_created_at_id ON test_results (created_at, id);
DROP INDEX ix_test_results_status;
DROP INDEX ix_test_results_device_id;
DROP INDEX ix_test_results_card_iccid;
DROP INDEX ix_test_results_started_at;
DROP INDEX ix_test_results_created_at;
