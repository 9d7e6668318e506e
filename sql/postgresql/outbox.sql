-- The events that other processes read, where PostgreSQL differs: it wakes those who listen.

-- name: take_numbers :insert
-- The numbers of a transaction's events: the last of :count; none where publishing is off.
-- add sends it, right before the commit: the row stays locked until then, so that who has the
-- lower numbers commits first.
-- differs: the notification, which goes out with the commit; what happened is in the outbox
UPDATE event_counter
SET last_id = last_id + :count
WHERE id = 1
  AND publishes
RETURNING last_id, PG_NOTIFY('cardlink_events', CAST(last_id AS TEXT));
