-- What an import writes, where PostgreSQL differs from sql/common/exchange.sql.

-- name: copy_logs :copy
-- New log entries with the numbers that they had, by COPY.
-- only: COPY is PostgreSQL's own; the other backends send insert_logs
COPY comm_logs (
  id,
  session_id,
  timestamp,
  latency_ms,
  direction,
  raw_data,
  decoded_data,
  status_word,
  status_message
)
FROM STDIN;

-- name: copy_new_logs :copy
-- New log entries that the database numbers, by COPY.
-- only: COPY is PostgreSQL's own; the other backends send append_logs
COPY comm_logs (
  session_id,
  timestamp,
  latency_ms,
  direction,
  raw_data,
  decoded_data,
  status_word,
  status_message
)
FROM STDIN;

-- name: find_first_log :one
-- The number of the first log entry that is not older than a time, by which the pages begin.
-- differs: OFFSET keeps the planner from walking the primary key where the BRIN index finds the time
SELECT MIN(late.id) AS id
FROM (
  SELECT l.id
  FROM comm_logs l
  WHERE l.timestamp >= :since
  OFFSET 0 -- noqa: AM09
) late
HAVING MIN(late.id) IS NOT NULL;

-- name: may_reserve_numbers :scalar
-- Whether the role may set the sequence that numbers log entries.
-- only: the other backends continue after the highest number by themselves
SELECT HAS_SEQUENCE_PRIVILEGE(PG_GET_SERIAL_SEQUENCE('comm_logs', 'id'), 'UPDATE');

-- name: reserve_numbers :scalar
-- Numbers up to :highest, kept from other writers: the sequence continues after them.
-- It needs UPDATE on the sequence, and no rollback undoes it.
-- only: the other backends continue after the highest number by themselves
SELECT SETVAL(
  CAST(PG_GET_SERIAL_SEQUENCE('comm_logs', 'id') AS REGCLASS),
  GREATEST(
    CAST(:highest AS BIGINT),
    NEXTVAL(CAST(PG_GET_SERIAL_SEQUENCE('comm_logs', 'id') AS REGCLASS))
  )
);
