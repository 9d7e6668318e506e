-- Test results newest first, of all and by suite, status, device and card, without a sort; and keyset
-- pages of them since a time. One statement, which is done whole or not at all, and refused where it
-- would have writers wait.

ALTER TABLE test_results
    ADD INDEX ix_test_results_suite_name_started_at_created_at (suite_name, started_at, created_at),
    ADD INDEX ix_test_results_status_started_at_created_at (status, started_at, created_at),
    ADD INDEX ix_test_results_device_id_started_at_created_at (device_id, started_at, created_at),
    ADD INDEX ix_test_results_card_iccid_started_at_created_at (card_iccid, started_at, created_at),
    ADD INDEX ix_test_results_started_at_created_at_id (started_at, created_at, id),
    ADD INDEX ix_test_results_created_at_id (created_at, id),
    DROP INDEX ix_test_results_status,
    DROP INDEX ix_test_results_device_id,
    DROP INDEX ix_test_results_card_iccid,
    DROP INDEX ix_test_results_started_at,
    DROP INDEX ix_test_results_created_at,
    ALGORITHM = INPLACE, LOCK = NONE;
