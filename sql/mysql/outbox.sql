-- The events that other processes read, where MySQL differs: the upsert, and no RETURNING.

-- name: set_publishing :exec
-- Publishing turned on or off; makes the row where it is missing, also when two do so at once.
-- A new row continues after the last event that is there.
-- differs: ON DUPLICATE KEY
INSERT INTO event_counter (id, last_id, publishes)
SELECT
  1 AS id,
  COALESCE(MAX(event_outbox.id), 0) AS last_id,
  :publishes AS publishes
FROM event_outbox
ON DUPLICATE KEY UPDATE publishes = :publishes;

-- name: take_numbers :insert
-- The numbers of a transaction's events: the last of :count; none where publishing is off.
-- add sends it, right before the commit: the row stays locked until then, so that who has the
-- lower numbers commits first.
-- differs: LAST_INSERT_ID carries the new value to the client, where the others return it
UPDATE event_counter
SET last_id = LAST_INSERT_ID(last_id + :count)
WHERE id = 1
  AND publishes;
