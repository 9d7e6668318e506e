-- Drops the six tables and all that is in them, those that refer to others first.

DROP TABLE settings;
DROP TABLE test_results;
DROP TABLE comm_logs;
DROP TABLE ota_sessions;
DROP TABLE card_profiles;
DROP TABLE devices;
