-- Metadata of a session: the client's address, the TLS version, the handshake's time, the reason of
-- the close. Sessions whose type is not known. And ids of devices of up to 255 characters, as udev
-- names serial modems; the outbox names devices too.
--
-- A nullable column and a longer VARCHAR change no row. A column of a foreign key cannot be changed,
-- so the two keys go first and come back last; that copies the two tables while
-- their writers wait: apply it while nothing runs.
-- allow-lint: type-change: a longer VARCHAR changes no row, and old servers know the type
-- allow-lint: copies-table: without the keys a device could not be deleted; run it while nothing runs

ALTER TABLE ota_sessions
    DROP FOREIGN KEY fk_ota_sessions_device_id,
    MODIFY COLUMN device_id VARCHAR(255),
    MODIFY COLUMN session_type VARCHAR(20),
    ADD COLUMN metadata JSON;
ALTER TABLE test_results
    DROP FOREIGN KEY fk_test_results_device_id,
    MODIFY COLUMN device_id VARCHAR(255);
ALTER TABLE devices MODIFY COLUMN id VARCHAR(255) NOT NULL;
ALTER TABLE event_outbox MODIFY COLUMN entity_id VARCHAR(255);
ALTER TABLE ota_sessions
    ADD CONSTRAINT fk_ota_sessions_device_id
        FOREIGN KEY (device_id) REFERENCES devices (id) ON DELETE SET NULL;
ALTER TABLE test_results
    ADD CONSTRAINT fk_test_results_device_id
        FOREIGN KEY (device_id) REFERENCES devices (id) ON DELETE SET NULL;
