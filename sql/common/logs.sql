-- The APDUs of the sessions. Gateway: cardlink_sql/gateways/logs.py

-- name: find_by_session :many
-- The log of a session in the order of writing, straight off the index (session_id, id).
SELECT
  session_id,
  direction,
  raw_data,
  latency_ms,
  decoded_data,
  status_word,
  status_message,
  timestamp,
  id
FROM comm_logs
WHERE session_id = :session_id
ORDER BY id
LIMIT :limit OFFSET :offset;

-- name: stream_session :many
-- The next entries of a session, or of all, after a number: flat memory and constant time.
SELECT
  session_id,
  direction,
  raw_data,
  latency_ms,
  decoded_data,
  status_word,
  status_message,
  timestamp,
  id
FROM comm_logs
WHERE id > :after
  AND session_id = :session_id                 -- when: session_id
ORDER BY id
LIMIT :limit;

-- name: find_matching :many
-- The entries that have everything asked for: of one session in the order of writing, or the newest
-- of all. Errors are responses whose status word is not 9000 (ISO/IEC 7816-4). 61, 91, 92 and 9F end
-- a command normally, too (ETSI TS 102 221 §10.2.1.1, 3GPP TS 51.011 §9.4), but 9240 is a memory
-- problem. find_by_direction, find_commands, find_responses, find_by_status and find_errors send it too.
-- allow-scan: of all sessions it walks the primary key until the limit: where few match it reads far
SELECT
  session_id,
  direction,
  raw_data,
  latency_ms,
  decoded_data,
  status_word,
  status_message,
  timestamp,
  id
FROM comm_logs
WHERE 1 = 1
  AND session_id = :session_id                 -- when: session_id
  AND direction = :direction                   -- when: direction
  AND status_word = :status_word               -- when: status_word
  AND direction = 'response' AND status_word <> '9000' -- when: errors
  AND (                                        -- when: without_normal_endings
    SUBSTR(status_word, 1, 2) NOT IN ('61', '91', '92', '9F') -- when: without_normal_endings
    OR status_word = '9240'                    -- when: without_normal_endings
  )                                            -- when: without_normal_endings
  AND timestamp >= :since                      -- when: since
ORDER BY
  id DESC,                                     -- order: id desc
  id
LIMIT :limit;

-- name: search_hex :many
-- The entries after a number whose hex holds the pattern, at any offset; the gateway keeps those
-- where it begins at a byte. A trigram index would find them sooner and make writing 8 to 40
-- times slower.
-- allow-like: hex digits need no escape
SELECT
  session_id,
  direction,
  raw_data,
  latency_ms,
  decoded_data,
  status_word,
  status_message,
  timestamp,
  id
FROM comm_logs
WHERE id > :after
  AND raw_data LIKE :pattern
  AND session_id = :session_id                 -- when: session_id
  AND timestamp >= :since                      -- when: since
ORDER BY id
LIMIT :limit;

-- name: count_by_session :scalar
-- How many entries a session has.
SELECT COUNT(*)
FROM comm_logs
WHERE session_id = :session_id;

-- name: get_session_summary :one
-- The log of a session in figures; no row where there is no such session. Errors are the responses
-- that find_errors returns without normal endings.
SELECT
  s.id AS session_id,
  COUNT(l.id) AS total,
  COUNT(CASE WHEN l.direction = 'command' THEN 1 END) AS commands,
  COUNT(CASE WHEN l.direction = 'response' THEN 1 END) AS responses,
  COUNT(
    CASE
      WHEN l.direction = 'response'
        AND l.status_word <> '9000'
        AND (
          SUBSTR(l.status_word, 1, 2) NOT IN ('61', '91', '92', '9F')
          OR l.status_word = '9240'
        ) THEN 1
    END
  ) AS errors,
  AVG(l.latency_ms) AS average_latency_ms,
  MAX(l.latency_ms) AS maximum_latency_ms,
  MIN(l.timestamp) AS first_at,
  MAX(l.timestamp) AS last_at
FROM ota_sessions s
LEFT JOIN comm_logs l ON l.session_id = s.id
WHERE s.id = :session_id
GROUP BY s.id;

-- name: count_old :one
-- How many of the next entries after a number are older than a time, how many were read, and the
-- last of them. Counting reads the whole log, for an index on the time would slow each APDU written;
-- page by page, no statement is long.
SELECT
  COUNT(*) AS entries,
  COUNT(CASE WHEN page.timestamp < :before THEN 1 END) AS old_entries,
  MAX(page.id) AS last_id
FROM (
  SELECT
    id,
    timestamp
  FROM comm_logs
  WHERE id > :after
  ORDER BY id
  LIMIT :limit
) page;

-- name: find_old :many
-- The numbers of the first entries after a number that are older than a time.
-- It walks the primary key. Old entries are at its start, so it stops soon; only the last page,
-- which finds too few, reads the table to its end. An index on timestamp would save that and cost
-- every APDU written a third of its speed.
SELECT id
FROM comm_logs
WHERE id > :after
  AND timestamp < :before
ORDER BY id
LIMIT :limit;

-- name: find_of_sessions :many
-- The numbers of entries of some sessions, from the index (session_id, id) alone. In no order,
-- for PostgreSQL would sort the whole log of the sessions.
-- list: session_ids
SELECT id
FROM comm_logs
WHERE session_id IN (:session_ids)
LIMIT :limit; -- noqa: AM09

-- name: delete_many :exec
-- The entries with these numbers, gone. purge_old sends it too.
-- list: ids
DELETE FROM comm_logs
WHERE id IN (:ids);

-- generated from tables.py by scripts/generate-sql; do not edit

-- name: get_by_id :one
-- The log entry with this key.
SELECT
  session_id,
  direction,
  raw_data,
  latency_ms,
  decoded_data,
  status_word,
  status_message,
  timestamp,
  id
FROM comm_logs
WHERE id = :id;

-- name: get_many :many
-- The log entries with these keys.
-- list: keys
SELECT
  session_id,
  direction,
  raw_data,
  latency_ms,
  decoded_data,
  status_word,
  status_message,
  timestamp,
  id
FROM comm_logs
WHERE id IN (:keys);

-- name: find_by :many
-- The log entries that match every filter given, a page of them.
-- find_one_by, get_all and paginate send it too. NULL sorts first, on every backend.
SELECT
  session_id,
  direction,
  raw_data,
  latency_ms,
  decoded_data,
  status_word,
  status_message,
  timestamp,
  id
FROM comm_logs
WHERE 1 = 1
  AND id = :id                                 -- when: id
  AND session_id = :session_id                 -- when: session_id
ORDER BY
  id DESC,                                     -- order: id desc
  id
LIMIT :limit OFFSET :offset;

-- name: count_by :scalar
-- How many log entries match every filter given.
-- count and paginate send it too.
SELECT COUNT(*)
FROM comm_logs
WHERE 1 = 1
  AND id = :id                                 -- when: id
  AND session_id = :session_id                 -- when: session_id
;

-- name: exists :scalar
-- Whether there is a log entry with this key.
SELECT EXISTS (SELECT 1 FROM comm_logs WHERE id = :id);

-- name: page_after :many
-- A page of the log entries by key: as quick at the end of the table as at its start.
SELECT
  session_id,
  direction,
  raw_data,
  latency_ms,
  decoded_data,
  status_word,
  status_message,
  timestamp,
  id
FROM comm_logs
WHERE 1 = 1
  AND id > :id                                 -- when: id
ORDER BY id
LIMIT :limit;

-- name: create :insert
-- A new log entry.
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
);

-- name: add_log_batch :batch
-- Many new log entries in one statement.
INSERT INTO comm_logs (
  session_id,
  timestamp,
  latency_ms,
  direction,
  raw_data,
  decoded_data,
  status_word,
  status_message
)
VALUES (
  :session_id,
  :timestamp,
  :latency_ms,
  :direction,
  :raw_data,
  :decoded_data,
  :status_word,
  :status_message
);

-- name: update :exec
-- All fields of a log entry but its key.
UPDATE comm_logs
SET
  session_id = :session_id,
  direction = :direction,
  raw_data = :raw_data,
  latency_ms = :latency_ms,
  decoded_data = :decoded_data,
  status_word = :status_word,
  status_message = :status_message,
  timestamp = :timestamp
WHERE id = :id;

-- name: delete_by_id :exec
-- The log entry with this key, gone. delete sends it too.
DELETE FROM comm_logs
WHERE id = :id;

-- end of generated
