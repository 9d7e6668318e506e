-- The indexes as they were, of one column each.

ALTER TABLE test_results
    ADD INDEX ix_test_results_status (status),
    ADD INDEX ix_test_results_device_id (device_id),
    ADD INDEX ix_test_results_card_iccid (card_iccid),
    ADD INDEX ix_test_results_started_at (started_at),
    ADD INDEX ix_test_results_created_at (created_at),
    DROP INDEX ix_test_results_created_at_id,
    DROP INDEX ix_test_results_started_at_created_at_id,
    DROP INDEX ix_test_results_card_iccid_started_at_created_at,
    DROP INDEX ix_test_results_device_id_started_at_created_at,
    DROP INDEX ix_test_results_status_started_at_created_at,
    DROP INDEX ix_test_results_suite_name_started_at_created_at,
    ALGORITHM = INPLACE, LOCK = NONE;
