-- What a live server knows of a session beside its columns: the client's address, the TLS version,
-- the handshake's time, the reason of the close.
--
-- Ids of devices may be 255 characters long from here on. SQLite checks no length, so its columns
-- stay as they are: a change would rebuild three tables.

ALTER TABLE ota_sessions ADD COLUMN metadata TEXT;
