-- Drops the sessions' metadata and narrows the ids of devices to 64 characters again. It fails, and
-- changes nothing, where an id is longer. Each table is read to make sure, and its readers wait.

ALTER TABLE event_outbox ALTER COLUMN entity_id TYPE VARCHAR(128) COLLATE "C";
ALTER TABLE devices ALTER COLUMN id TYPE VARCHAR(64) COLLATE "C";
ALTER TABLE test_results ALTER COLUMN device_id TYPE VARCHAR(64) COLLATE "C";
ALTER TABLE ota_sessions
    ALTER COLUMN device_id TYPE VARCHAR(64) COLLATE "C",
    DROP COLUMN metadata;
