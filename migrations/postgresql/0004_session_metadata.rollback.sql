-- Drops the sessions' metadata and narrows the ids of devices to 64 characters again; sessions
-- without a type become triggered ones. It fails, and changes nothing, where an id is longer. Each
-- table is read to make sure, and its readers wait.

ALTER TABLE event_outbox ALTER COLUMN entity_id TYPE VARCHAR(128) COLLATE "C";
ALTER TABLE devices ALTER COLUMN id TYPE VARCHAR(64) COLLATE "C";
ALTER TABLE test_results ALTER COLUMN device_id TYPE VARCHAR(64) COLLATE "C";
UPDATE ota_sessions SET session_type = 'triggered' WHERE session_type IS NULL;
ALTER TABLE ota_sessions
    ALTER COLUMN session_type SET NOT NULL,
    ALTER COLUMN device_id TYPE VARCHAR(64) COLLATE "C",
    DROP COLUMN metadata;
