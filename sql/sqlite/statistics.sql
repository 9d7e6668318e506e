-- Figures for cardlink-db stats, where SQLite differs.

-- name: get_database_bytes :scalar
-- The bytes of the file, free pages included, the write-ahead log excluded.
-- differs: the size is pages of one size here
-- allow-rows: each of these functions returns one row
SELECT c.page_count * s.page_size
FROM PRAGMA_PAGE_COUNT() c
CROSS JOIN PRAGMA_PAGE_SIZE() s;

-- name: count_exchanges :many
-- The responses of the sessions created from :since to before :until, by the first six digits of
-- the command before each (CLA, INS, P1) and by status word. The header is NULL where no command
-- comes right before the response.
-- differs: CROSS JOIN keeps SQLite off the whole log; a step on the index costs it half of a window function
SELECT
  e.header,
  e.status_word,
  COUNT(*) AS responses,
  COUNT(e.latency_ms) AS latencies,
  COALESCE(SUM(e.latency_ms), 0) AS total_latency_ms,
  COALESCE(MAX(e.latency_ms), 0) AS maximum_latency_ms
FROM (
  SELECT
    l.status_word,
    l.latency_ms,
    (
      SELECT CASE WHEN c.direction = 'command' THEN SUBSTR(c.raw_data, 1, 6) END
      FROM comm_logs c
      WHERE c.session_id = l.session_id
        AND c.id < l.id
      ORDER BY c.id DESC
      LIMIT 1
    ) AS header
  FROM ota_sessions s
  CROSS JOIN comm_logs l ON l.session_id = s.id
  WHERE s.created_at >= :since
    AND s.created_at < :until
    AND l.direction = 'response'
) e
GROUP BY e.header, e.status_word;

-- name: find_slowest :many
-- The responses that took longest, in the sessions created from :since to before :until, each with
-- the command right before it.
-- differs: CROSS JOIN keeps SQLite from reading the whole log first
SELECT
  l.session_id,
  l.id AS log_id,
  l.timestamp,
  l.latency_ms,
  l.status_word,
  (
    SELECT CASE WHEN c.direction = 'command' THEN c.raw_data END
    FROM comm_logs c
    WHERE c.session_id = l.session_id
      AND c.id < l.id
    ORDER BY c.id DESC
    LIMIT 1
  ) AS command
FROM (
  SELECT
    r.session_id,
    r.id,
    r.timestamp,
    r.latency_ms,
    r.status_word
  FROM ota_sessions s
  CROSS JOIN comm_logs r ON r.session_id = s.id
  WHERE s.created_at >= :since
    AND s.created_at < :until
    AND r.direction = 'response'
    AND r.latency_ms IS NOT NULL
  ORDER BY r.latency_ms DESC, r.id
  LIMIT :limit
) l
WHERE l.latency_ms IS NOT NULL
ORDER BY l.latency_ms DESC, l.id;
