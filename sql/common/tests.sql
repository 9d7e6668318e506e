-- Test results. Gateway: cardlink_sql/gateways/tests.py
-- A run is what its results name as run_id; it begins with the first of them. A result without an
-- end is open. Within a run the order is that of the starts, then that of writing.

-- name: find_by_run :many
-- The results of a run in their order; with :failures, the tests whose last try failed or broke off
-- with an error. export_junit_xml and find_failures send it too.
SELECT
  id,
  run_id,
  suite_name,
  test_name,
  status,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  error_message,
  assertions,
  metadata,
  tries,
  created_at,
  updated_at
FROM test_results
WHERE run_id = :run_id
  AND status NOT IN ('passed', 'skipped') AND tries > 0 -- when: failures
ORDER BY started_at IS NOT NULL, started_at, created_at, id
LIMIT :limit;

-- name: find_by_filters :many
-- The results with a start that match all that is given, newest first: the end of an index, with no
-- sort. With :tried, what counts in a run: not a try that another one followed.
-- find_by_suite, find_by_status, find_by_device, find_by_card, find_by_date_range, find_failures and
-- history send it too.
-- allow-scan: it walks the index on the start until the limit: where few match it reads far
SELECT
  id,
  run_id,
  suite_name,
  test_name,
  status,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  error_message,
  assertions,
  metadata,
  tries,
  created_at,
  updated_at
FROM test_results
WHERE started_at IS NOT NULL
  AND run_id = :run_id                         -- when: run_id
  AND suite_name = :suite_name                 -- when: suite_name
  AND test_name = :test_name                   -- when: suite_name, test_name
  AND status = :status                         -- when: status
  AND tries > 0                                -- when: tried
  AND device_id = :device_id                   -- when: device_id
  AND card_iccid = :card_iccid                 -- when: card_iccid
  AND started_at >= :start                     -- when: start
  AND started_at < :end                        -- when: end
ORDER BY started_at DESC, created_at DESC, id DESC
LIMIT :limit;

-- name: find_without_start :many
-- The same without a start, which come last, newest first.
SELECT
  id,
  run_id,
  suite_name,
  test_name,
  status,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  error_message,
  assertions,
  metadata,
  tries,
  created_at,
  updated_at
FROM test_results
WHERE started_at IS NULL
  AND run_id = :run_id                         -- when: run_id
  AND suite_name = :suite_name                 -- when: suite_name
  AND test_name = :test_name                   -- when: suite_name, test_name
  AND status = :status                         -- when: status
  AND tries > 0                                -- when: tried
  AND device_id = :device_id                   -- when: device_id
  AND card_iccid = :card_iccid                 -- when: card_iccid
ORDER BY created_at DESC, id DESC
LIMIT :limit;

-- name: get_run_ids :many
-- The runs, the one that began last first, those without a start last. The index
-- (run_id, started_at) holds both columns.
-- allow-scan: a run is not a row: all are found by reading the index (run_id, started_at)
SELECT run_id
FROM test_results
WHERE 1 = 1
  AND suite_name = :suite_name                 -- when: suite_name
GROUP BY run_id
ORDER BY MIN(started_at) IS NULL, MIN(started_at) DESC, run_id
LIMIT :limit;

-- name: find_latest_runs :many
-- The runs that began last: results are walked from the newest back, and the first of each run
-- names it. It reads the results that started since the last of these runs began.
-- get_runs, find_flaky and get_run_ids send it too.
SELECT t.run_id
FROM test_results t
WHERE t.started_at IS NOT NULL
  AND t.started_at >= :since                   -- when: since
  AND NOT EXISTS (
    SELECT 1
    FROM test_results e
    WHERE e.run_id = t.run_id
      AND e.started_at <= t.started_at
      AND (e.started_at < t.started_at OR e.id < t.id)
  )
ORDER BY t.started_at DESC, t.created_at DESC, t.id DESC
LIMIT :limit;

-- name: find_runs_of_suite :many
-- The newest results of a suite and their runs. find_flaky sends it.
-- allow-scan: SQLite sorts results that have one start, a few at a time
SELECT
  run_id,
  id
FROM test_results
WHERE suite_name = :suite_name
  AND started_at IS NOT NULL
ORDER BY started_at DESC, created_at DESC, id DESC
LIMIT :limit;

-- name: get_suite_names :many
-- The names of the suites, in their order: from name to name, one step on an index for each.
WITH RECURSIVE names AS (
  SELECT MIN(suite_name) AS suite_name
  FROM test_results
  UNION ALL
  SELECT (
    SELECT t.suite_name
    FROM test_results t
    WHERE t.suite_name > names.suite_name
    ORDER BY t.suite_name
    LIMIT 1
  )
  FROM names
  WHERE names.suite_name IS NOT NULL
)

SELECT suite_name
FROM names
WHERE suite_name IS NOT NULL
ORDER BY suite_name;

-- name: find_known :many
-- Which of the keys are taken: the results of a report that was imported before.
-- list: keys
SELECT id
FROM test_results
WHERE id IN (:keys);

-- name: find_known_devices :many
-- Which of the devices that a report names there are.
-- list: keys
SELECT id
FROM devices
WHERE id IN (:keys);

-- name: find_known_cards :many
-- Which of the cards that a report names there are.
-- list: keys
SELECT iccid
FROM card_profiles
WHERE iccid IN (:keys);

-- name: count_old :scalar
-- How many results were recorded before a time.
SELECT COUNT(*)
FROM test_results
WHERE created_at < :before;

-- name: purge_old :exec
-- The first of the results that were recorded before a time, gone: one range of the index on
-- created_at.
DELETE FROM test_results
WHERE
  id IN (
    SELECT id
    FROM test_results
    WHERE created_at < :before
    ORDER BY created_at
    LIMIT :limit
  );

-- name: get_run_summary :many
-- The figures of a run, in the first row, whose suite has an empty name, and of its suites.
-- A test counts by its last try. An open result counts only as open. The pass rate is the passed share of what ended and was not
-- skipped; 1e0 makes a float of it.
SELECT
  '' AS suite_name,
  COUNT(CASE WHEN tries > 0 THEN 1 END) AS total,
  COUNT(CASE WHEN tries > 0 AND status = 'passed' AND ended_at IS NOT NULL THEN 1 END) AS passed,
  COUNT(CASE WHEN tries > 0 AND status = 'failed' AND ended_at IS NOT NULL THEN 1 END) AS failed,
  COUNT(CASE WHEN tries > 0 AND status = 'error' AND ended_at IS NOT NULL THEN 1 END) AS error,
  COUNT(CASE WHEN tries > 0 AND status = 'skipped' AND ended_at IS NOT NULL THEN 1 END) AS skipped,
  COUNT(CASE WHEN tries > 0 AND ended_at IS NULL THEN 1 END) AS open,
  COUNT(*) AS tries,
  COUNT(CASE WHEN tries > 1 AND status = 'passed' THEN 1 END) AS flaky,
  COUNT(CASE WHEN tries > 0 AND status = 'passed' AND ended_at IS NOT NULL THEN 1 END) * 1e0
  / NULLIF(COUNT(CASE WHEN tries > 0 AND status <> 'skipped' AND ended_at IS NOT NULL THEN 1 END), 0)
    AS pass_rate,
  COALESCE(SUM(duration_ms), 0) AS duration_ms,
  MIN(started_at) AS started_at,
  MAX(ended_at) AS ended_at
FROM test_results
WHERE run_id = :run_id
UNION ALL
SELECT
  suite_name,
  COUNT(CASE WHEN tries > 0 THEN 1 END) AS total,
  COUNT(CASE WHEN tries > 0 AND status = 'passed' AND ended_at IS NOT NULL THEN 1 END) AS passed,
  COUNT(CASE WHEN tries > 0 AND status = 'failed' AND ended_at IS NOT NULL THEN 1 END) AS failed,
  COUNT(CASE WHEN tries > 0 AND status = 'error' AND ended_at IS NOT NULL THEN 1 END) AS error,
  COUNT(CASE WHEN tries > 0 AND status = 'skipped' AND ended_at IS NOT NULL THEN 1 END) AS skipped,
  COUNT(CASE WHEN tries > 0 AND ended_at IS NULL THEN 1 END) AS open,
  COUNT(*) AS tries,
  COUNT(CASE WHEN tries > 1 AND status = 'passed' THEN 1 END) AS flaky,
  COUNT(CASE WHEN tries > 0 AND status = 'passed' AND ended_at IS NOT NULL THEN 1 END) * 1e0
  / NULLIF(COUNT(CASE WHEN tries > 0 AND status <> 'skipped' AND ended_at IS NOT NULL THEN 1 END), 0)
    AS pass_rate,
  COALESCE(SUM(duration_ms), 0) AS duration_ms,
  MIN(started_at) AS started_at,
  MAX(ended_at) AS ended_at
FROM test_results
WHERE run_id = :run_id
GROUP BY suite_name
ORDER BY suite_name;

-- name: get_runs :many
-- The figures of some runs, as get_run_summary counts them, in no order.
-- list: keys
SELECT
  run_id,
  COUNT(CASE WHEN tries > 0 THEN 1 END) AS total,
  COUNT(CASE WHEN tries > 0 AND status = 'passed' AND ended_at IS NOT NULL THEN 1 END) AS passed,
  COUNT(CASE WHEN tries > 0 AND status = 'failed' AND ended_at IS NOT NULL THEN 1 END) AS failed,
  COUNT(CASE WHEN tries > 0 AND status = 'error' AND ended_at IS NOT NULL THEN 1 END) AS error,
  COUNT(CASE WHEN tries > 0 AND status = 'skipped' AND ended_at IS NOT NULL THEN 1 END) AS skipped,
  COUNT(CASE WHEN tries > 0 AND ended_at IS NULL THEN 1 END) AS open,
  COUNT(*) AS tries,
  COUNT(CASE WHEN tries > 1 AND status = 'passed' THEN 1 END) AS flaky,
  COUNT(CASE WHEN tries > 0 AND status = 'passed' AND ended_at IS NOT NULL THEN 1 END) * 1e0
  / NULLIF(COUNT(CASE WHEN tries > 0 AND status <> 'skipped' AND ended_at IS NOT NULL THEN 1 END), 0)
    AS pass_rate,
  COALESCE(SUM(duration_ms), 0) AS duration_ms,
  MIN(started_at) AS started_at,
  MAX(ended_at) AS ended_at
FROM test_results
WHERE run_id IN (:keys)
GROUP BY run_id;

-- name: compare_runs :many
-- What differs between two runs, test by test, and what fails in both.
-- A test counts by its last try. Of tests with one name the first is compared with the first, the
-- second with the second. A test that took less than a millisecond before counts as one, so that no
-- factor is of nothing.
SELECT
  CASE
    WHEN before_status IS NULL THEN 'new'
    WHEN after_status IS NULL THEN 'removed'
    WHEN open > 0 THEN 'open'
    WHEN before_status = 'passed' AND after_status IN ('failed', 'error') THEN 'regression'
    WHEN before_status IN ('failed', 'error') AND after_status = 'passed' THEN 'improvement'
    WHEN before_status IN ('failed', 'error') AND after_status IN ('failed', 'error')
      THEN 'still_failing'
    WHEN before_status <> after_status THEN 'changed'
    ELSE 'slower'
  END AS kind,
  suite_name,
  test_name,
  before_status,
  after_status,
  before_ms,
  after_ms,
  error_message
FROM (
  SELECT
    suite_name,
    test_name,
    place,
    MAX(CASE WHEN run_id = :before THEN status END) AS before_status,
    MAX(CASE WHEN run_id = :after THEN status END) AS after_status,
    MAX(CASE WHEN run_id = :before THEN duration_ms END) AS before_ms,
    MAX(CASE WHEN run_id = :after THEN duration_ms END) AS after_ms,
    MAX(CASE WHEN run_id = :after THEN error_message END) AS error_message,
    COUNT(CASE WHEN ended_at IS NULL THEN 1 END) AS open
  FROM (
    SELECT
      run_id,
      suite_name,
      test_name,
      status,
      ended_at,
      duration_ms,
      error_message,
      ROW_NUMBER() OVER (
        PARTITION BY run_id, suite_name, test_name
        ORDER BY started_at IS NULL, started_at, created_at, id
      ) AS place
    FROM test_results
    WHERE run_id IN (:before, :after)
      AND tries > 0
  ) placed
  GROUP BY suite_name, test_name, place
) pairs
WHERE before_status IS NULL
  OR after_status IS NULL
  OR open > 0
  OR before_status <> after_status
  OR before_status IN ('failed', 'error')
  OR (
    before_status = 'passed'
    AND after_ms > :slower_factor * CASE WHEN before_ms < 1 THEN 1 ELSE before_ms END
  )
ORDER BY suite_name, test_name, place;

-- name: find_flaky :many
-- The tests that both passed and failed within some runs, most failures first.
-- Every result counts: a test that failed and passed when it was tried again is flaky, too.
-- MAX of the one suite of a group keeps every planner on the index on the run.
-- list: keys
SELECT
  suite_name,
  test_name,
  COUNT(DISTINCT run_id) AS runs,
  COUNT(CASE WHEN status = 'passed' THEN 1 END) AS passed,
  COUNT(CASE WHEN status IN ('failed', 'error') THEN 1 END) AS failed,
  MAX(CASE WHEN status IN ('failed', 'error') THEN started_at END) AS last_failure
FROM test_results
WHERE run_id IN (:keys)
  AND ended_at IS NOT NULL
GROUP BY suite_name, test_name
HAVING COUNT(CASE WHEN status = 'passed' THEN 1 END) > 0
  AND MAX(suite_name) = :suite_name            -- when: suite_name
  AND COUNT(CASE WHEN status IN ('failed', 'error') THEN 1 END) > 0
ORDER BY failed DESC, suite_name, test_name;

-- generated from tables.py by scripts/generate-sql; do not edit

-- name: get_by_id :one
-- The test result with this key.
SELECT
  id,
  run_id,
  suite_name,
  test_name,
  status,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  error_message,
  assertions,
  metadata,
  tries,
  created_at,
  updated_at
FROM test_results
WHERE id = :id;

-- name: get_many :many
-- The test results with these keys.
-- list: keys
SELECT
  id,
  run_id,
  suite_name,
  test_name,
  status,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  error_message,
  assertions,
  metadata,
  tries,
  created_at,
  updated_at
FROM test_results
WHERE id IN (:keys);

-- name: find_by :many
-- The test results that match every filter given, a page of them.
-- find_one_by, get_all and paginate send it too. NULL sorts first, on every backend.
SELECT
  id,
  run_id,
  suite_name,
  test_name,
  status,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  error_message,
  assertions,
  metadata,
  tries,
  created_at,
  updated_at
FROM test_results
WHERE 1 = 1
  AND id = :id                                 -- when: id
  AND run_id = :run_id                         -- when: run_id
  AND started_at = :started_at                 -- when: started_at
  AND started_at IS NULL                       -- when: started_at_is_null
  AND created_at = :created_at                 -- when: created_at
ORDER BY
  created_at DESC, id DESC,                    -- order: created_at desc
  created_at, id
LIMIT :limit OFFSET :offset;

-- name: count_by :scalar
-- How many test results match every filter given.
-- count and paginate send it too.
SELECT COUNT(*)
FROM test_results
WHERE 1 = 1
  AND id = :id                                 -- when: id
  AND run_id = :run_id                         -- when: run_id
  AND started_at = :started_at                 -- when: started_at
  AND started_at IS NULL                       -- when: started_at_is_null
  AND created_at = :created_at                 -- when: created_at
;

-- name: exists :scalar
-- Whether there is a test result with this key.
SELECT EXISTS (SELECT 1 FROM test_results WHERE id = :id);

-- name: page_after :many
-- A page of the test results by key: as quick at the end of the table as at its start.
SELECT
  id,
  run_id,
  suite_name,
  test_name,
  status,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  error_message,
  assertions,
  metadata,
  tries,
  created_at,
  updated_at
FROM test_results
WHERE 1 = 1
  AND id > :id                                 -- when: id
ORDER BY id
LIMIT :limit;

-- name: create :exec
-- A new test result.
INSERT INTO test_results (
  id,
  run_id,
  suite_name,
  test_name,
  status,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  error_message,
  assertions,
  metadata,
  tries,
  created_at,
  updated_at
)
VALUES (
  :id,
  :run_id,
  :suite_name,
  :test_name,
  :status,
  :device_id,
  :card_iccid,
  :started_at,
  :ended_at,
  :duration_ms,
  :error_message,
  :assertions,
  :metadata,
  :tries,
  :created_at,
  :updated_at
);

-- name: create_results :batch
-- Many new test results in one statement.
INSERT INTO test_results (
  id,
  run_id,
  suite_name,
  test_name,
  device_id,
  card_iccid,
  started_at,
  ended_at,
  duration_ms,
  status,
  error_message,
  assertions,
  metadata,
  created_at,
  updated_at,
  tries
)
VALUES (
  :id,
  :run_id,
  :suite_name,
  :test_name,
  :device_id,
  :card_iccid,
  :started_at,
  :ended_at,
  :duration_ms,
  :status,
  :error_message,
  :assertions,
  :metadata,
  :created_at,
  :updated_at,
  :tries
);

-- name: update :exec
-- All fields of a test result but its key and created_at.
UPDATE test_results
SET
  run_id = :run_id,
  suite_name = :suite_name,
  test_name = :test_name,
  status = :status,
  device_id = :device_id,
  card_iccid = :card_iccid,
  started_at = :started_at,
  ended_at = :ended_at,
  duration_ms = :duration_ms,
  error_message = :error_message,
  assertions = :assertions,
  metadata = :metadata,
  tries = :tries,
  updated_at = :updated_at
WHERE id = :id;

-- name: delete_by_id :exec
-- The test result with this key, gone. delete sends it too.
DELETE FROM test_results
WHERE id = :id;

-- end of generated
