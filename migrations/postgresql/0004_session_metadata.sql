-- Metadata of a session: the client's address, the TLS version, the handshake's time, the reason of
-- the close. Sessions whose type is not known. And ids of devices of up to 255 characters, as udev
-- names serial modems; the outbox names devices too.
--
-- A nullable column and a longer VARCHAR change the catalog alone: no table is rewritten or read.
-- squawk-ignore-file ban-drop-not-null
-- allow-lint: type-change: a longer VARCHAR changes the catalog alone, and old servers know the type

ALTER TABLE ota_sessions
    ADD COLUMN metadata JSONB,
    ALTER COLUMN session_type DROP NOT NULL,
    ALTER COLUMN device_id TYPE VARCHAR(255) COLLATE "C";
ALTER TABLE test_results ALTER COLUMN device_id TYPE VARCHAR(255) COLLATE "C";
ALTER TABLE devices ALTER COLUMN id TYPE VARCHAR(255) COLLATE "C";
ALTER TABLE event_outbox ALTER COLUMN entity_id TYPE VARCHAR(255) COLLATE "C";
