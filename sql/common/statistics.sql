-- Figures for cardlink-db stats, read only. Gateway: cardlink_sql/gateways/statistics.py
-- The log is reached through the sessions of a window of time: it has no B-tree on its timestamp,
-- and another one would slow the writing of APDUs by a third.

-- name: get_session_days :many
-- The sessions created since a time, by the day of their creation in UTC.
-- A time begins with its day, as text; both SQLite and MySQL read it as such. MySQL says of what
-- a function's value counts as nullable, hence COALESCE.
SELECT
  COALESCE(SUBSTR(created_at, 1, 10), '') AS day,
  COUNT(*) AS total,
  COUNT(CASE WHEN status = 'completed' THEN 1 END) AS completed,
  COUNT(CASE WHEN status = 'failed' THEN 1 END) AS failed,
  COUNT(CASE WHEN status = 'timeout' THEN 1 END) AS timeout
FROM ota_sessions
WHERE created_at >= :since
GROUP BY COALESCE(SUBSTR(created_at, 1, 10), '')
ORDER BY day;

-- name: get_duration_percentile :scalar
-- The duration that so many percent of the sessions do not exceed (nearest rank); NULL where none
-- has a duration. Whole numbers are compared, so that the rank is exact.
SELECT MIN(ranked.duration_ms)
FROM (
  SELECT
    duration_ms,
    ROW_NUMBER() OVER (ORDER BY duration_ms) AS place,
    COUNT(*) OVER () AS total
  FROM ota_sessions
  WHERE created_at >= :since
    AND duration_ms IS NOT NULL
) ranked
WHERE ranked.place * 100 >= ranked.total * :percent;

-- name: count_exchanges :many
-- The responses of the sessions created from :since to before :until, by the first six digits of
-- the command before each (CLA, INS, P1) and by status word. The header is NULL where no command
-- comes right before the response.
SELECT
  e.header,
  e.status_word,
  COUNT(*) AS responses,
  COUNT(e.latency_ms) AS latencies,
  COALESCE(SUM(e.latency_ms), 0) AS total_latency_ms,
  COALESCE(MAX(e.latency_ms), 0) AS maximum_latency_ms
FROM (
  SELECT
    l.direction,
    l.status_word,
    l.latency_ms,
    LAG(CASE WHEN l.direction = 'command' THEN SUBSTR(l.raw_data, 1, 6) END)
      OVER (PARTITION BY l.session_id ORDER BY l.id) AS header
  FROM ota_sessions s
  JOIN comm_logs l ON l.session_id = s.id
  WHERE s.created_at >= :since
    AND s.created_at < :until
) e
WHERE e.direction = 'response'
GROUP BY e.header, e.status_word;

-- name: find_slowest :many
-- The responses that took longest, in the sessions created from :since to before :until, each with
-- the command right before it.
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
  JOIN comm_logs r ON r.session_id = s.id
  WHERE s.created_at >= :since
    AND s.created_at < :until
    AND r.direction = 'response'
    AND r.latency_ms IS NOT NULL
  ORDER BY r.latency_ms DESC, r.id
  LIMIT :limit
) l
WHERE l.latency_ms IS NOT NULL
ORDER BY l.latency_ms DESC, l.id;

-- name: count_cards :one
-- The cards, and how many of them have a PSK.
SELECT
  COUNT(*) AS total,
  COUNT(psk_key_encrypted) AS with_psk,
  COUNT(*) - COUNT(psk_key_encrypted) AS without_psk
FROM card_profiles;
