-- The APDUs of the sessions, where PostgreSQL differs from sql/common/logs.sql.

-- name: create :insert
-- Inserts a log entry; returns its number.
-- differs: PostgreSQL's driver has no last row id, so the statement returns it
INSERT INTO comm_logs (
  session_id,
  direction,
  raw_data,
  latency_ms,
  decoded_data,
  status_word,
  status_message,
  timestamp
)
VALUES (
  :session_id,
  :direction,
  :raw_data,
  :latency_ms,
  :decoded_data,
  :status_word,
  :status_message,
  :timestamp
)
RETURNING id;

-- name: copy_log_batch :copy
-- Many APDUs by COPY, half again as quick as INSERT: batches of 32 and more take this way.
-- only: COPY is PostgreSQL's own; the other backends send add_log_batch
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
