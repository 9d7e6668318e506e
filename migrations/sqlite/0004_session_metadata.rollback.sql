-- Drops the sessions' metadata. Ids of devices of more than 64 characters stay: SQLite checks none.

ALTER TABLE ota_sessions DROP COLUMN metadata;
