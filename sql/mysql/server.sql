-- What the manager and the status command ask of MySQL and MariaDB themselves.

-- name: version :scalar
-- The server's version, for health_check. Its type would hold the length of the version.
-- differs: each server has its own function
SELECT CAST(VERSION() AS CHAR(64));

-- name: table_sizes :many
-- The bytes of each table with its indexes; MySQL 8 may report figures of up to a day ago
-- (information_schema_stats_expiry), and with lower_case_table_names = 1 it says that a name of
-- a table may be NULL.
-- differs: the sizes are in information_schema here, as InnoDB last estimated them
SELECT
  COALESCE(t.table_name, '') AS name,
  t.data_length + t.index_length AS bytes
FROM information_schema.tables t
WHERE t.table_schema = DATABASE()
  AND t.table_name IN (
    'devices', 'card_profiles', 'ota_sessions', 'comm_logs', 'test_results', 'settings',
    'event_counter', 'event_outbox'
  );

-- name: estimate_rows :many
-- The rows of each table, as InnoDB last estimated them; that may be off by a third.
-- differs: each server has its own catalog
SELECT
  COALESCE(t.table_name, '') AS name,
  COALESCE(t.table_rows, 0) AS row_count
FROM information_schema.tables t
WHERE t.table_schema = DATABASE()
  AND t.table_name IN (
    'devices', 'card_profiles', 'ota_sessions', 'comm_logs', 'test_results', 'settings',
    'event_counter', 'event_outbox'
  );

-- name: has_performance_schema :scalar
-- Whether the server was started with its performance_schema on.
-- only: PostgreSQL has an extension for it
SELECT @@performance_schema;

-- name: read_digest_samples :many
-- What was counted of each statement of this database, with the beginning of a sample up to the
-- name of its query, for the rest holds values; where it has no name, its normalised text. The row
-- without a text is of all databases, and sums up what the server had no room to separate.
-- only: each server has its own statistics, and MariaDB keeps no sample
-- needs: performance_schema.events_statements_summary_by_digest.query_sample_text
SELECT
  COALESCE(
    REGEXP_SUBSTR(d.query_sample_text, '^[A-Z]+ /[*] cardlink:[a-z0-9_.]+ [*]/'),
    d.digest_text
  ) AS text,
  d.count_star AS calls,
  d.sum_timer_wait * 1e-9 AS total_ms,
  d.max_timer_wait * 1e-9 AS longest_ms,
  d.sum_rows_sent + d.sum_rows_affected AS row_count
FROM performance_schema.events_statements_summary_by_digest d
WHERE d.schema_name = DATABASE() OR d.digest IS NULL;

-- name: read_digests :many
-- The same from MariaDB, with the normalised text of the statement: its words, but no comment.
-- only: each server has its own statistics, and MySQL keeps the name of the query
-- needs: performance_schema.events_statements_summary_by_digest
SELECT
  d.digest_text AS text,
  d.count_star AS calls,
  d.sum_timer_wait * 1e-9 AS total_ms,
  d.max_timer_wait * 1e-9 AS longest_ms,
  d.sum_rows_sent + d.sum_rows_affected AS row_count
FROM performance_schema.events_statements_summary_by_digest d
WHERE d.schema_name = DATABASE() OR d.digest IS NULL;
