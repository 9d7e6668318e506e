-- Backup and restore, on every backend.

-- name: set_event_counter :exec
-- Set the counter of the events in a database that has none, to that of a backup.
INSERT INTO event_counter (id, last_id, publishes)
VALUES (1, :last_id, :publishes);
