-- transactional: false
-- Test results newest first, of all and by suite, status, device and card, without a sort; and keyset
-- pages of them since a time. And the log by time: a BRIN index holds the first and the last time of
-- each 128 pages, so that writing pays little for it; autovacuum adds new ranges as they fill.
--
-- What is dropped goes last: until then readers go on while the others are built.

CREATE INDEX CONCURRENTLY ix_comm_logs_timestamp ON comm_logs USING brin (timestamp)
    WITH (autosummarize = on);
CREATE INDEX CONCURRENTLY ix_test_results_suite_name_started_at_created_at
    ON test_results (suite_name, started_at, created_at);
CREATE INDEX CONCURRENTLY ix_test_results_status_started_at_created_at
    ON test_results (status, started_at, created_at);
CREATE INDEX CONCURRENTLY ix_test_results_device_id_started_at_created_at
    ON test_results (device_id, started_at, created_at);
CREATE INDEX CONCURRENTLY ix_test_results_card_iccid_started_at_created_at
    ON test_results (card_iccid, started_at, created_at);
CREATE INDEX CONCURRENTLY ix_test_results_started_at_created_at_id
    ON test_results (started_at, created_at, id);
CREATE INDEX CONCURRENTLY ix_test_results_created_at_id ON test_results (created_at, id);
DROP INDEX CONCURRENTLY ix_test_results_status;
DROP INDEX CONCURRENTLY ix_test_results_device_id;
DROP INDEX CONCURRENTLY ix_test_results_card_iccid;
DROP INDEX CONCURRENTLY ix_test_results_started_at;
DROP INDEX CONCURRENTLY ix_test_results_created_at;
