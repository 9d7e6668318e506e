-- The events that other processes read. Gateway: cardlink_sql/outbox/gateway.py
-- event_counter has one row, once publishing was turned on: the last number, and whether all
-- processes publish.

-- name: get_counter :one
-- The last number and whether events are published; no row means that they never were.
-- Each process that writes asks it every 10 s, outside of its transactions, and a listener at
-- each look.
SELECT
  last_id,
  publishes
FROM event_counter
WHERE id = 1;

-- name: set_publishing :exec
-- Publishing turned on or off; makes the row where it is missing, also when two do so at once.
-- A new row continues after the last event that is there. WHERE TRUE: without it SQLite
-- takes ON for the condition of a join.
INSERT INTO event_counter (id, last_id, publishes)
SELECT
  1 AS id,
  COALESCE(MAX(id), 0) AS last_id,
  :publishes AS publishes
FROM event_outbox
WHERE TRUE
ON CONFLICT (id) DO UPDATE SET publishes = excluded.publishes;

-- name: take_numbers :insert
-- The numbers of a transaction's events: the last of :count; none where publishing is off.
-- add sends it, right before the commit: the row stays locked until then, so that who has the
-- lower numbers commits first.
UPDATE event_counter
SET last_id = last_id + :count
WHERE id = 1
  AND publishes
RETURNING last_id;

-- name: add :batch
-- The events of a transaction.
INSERT INTO event_outbox (
  id,
  origin,
  event_type,
  entity_type,
  entity_id,
  action,
  occurred_at,
  data
)
VALUES (
  :id,
  :origin,
  :event_type,
  :entity_type,
  :entity_id,
  :action,
  :occurred_at,
  :data
);

-- name: read_after :many
-- The events after a number, in order. Those of the reader's own origin come without their
-- data, for it skips them; their numbers show that none is missing.
SELECT
  event_type,
  entity_type,
  entity_id,
  action,
  occurred_at,
  CASE WHEN origin <> :origin THEN data END AS data,
  id
FROM event_outbox
WHERE id > :after
ORDER BY id
LIMIT :limit;

-- name: count_old :scalar
-- How many events are older than a time.
-- allow-scan: an index on the time would cost those who publish
SELECT COUNT(*)
FROM event_outbox
WHERE occurred_at < :before;

-- name: find_purge_end :scalar
-- The number of the last event of a batch to purge; NULL where nothing is that old. purge_old
-- sends it first.
-- allow-scan: it walks the primary key until the limit, from the start, where the old ones are
SELECT MAX(oldest.id)
FROM (
  SELECT id
  FROM event_outbox
  WHERE occurred_at < :before
  ORDER BY id
  LIMIT :limit
) oldest;

-- name: purge_old :exec
-- The events older than a time up to the number that find_purge_end gave, gone.
DELETE FROM event_outbox
WHERE id <= :last
  AND occurred_at < :before;
