-- What a new connection to MySQL or MariaDB is sent.

-- name: use_utc :exec
-- Times are UTC. The modes are named in full: the reading of the SQL files and the refusal of bad
-- values rest on them.
SET
  time_zone = '+00:00',
  sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';

-- name: read_committed :exec
-- As on PostgreSQL: after an UPDATE that found no row, the read that explains why must see what the
-- other transaction committed.
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;

-- name: lock_timeout :exec
-- Wait ten seconds for a lock, in seconds.
SET innodb_lock_wait_timeout = 10, lock_wait_timeout = 10;

-- name: read_only :exec
-- Refuse to write.
SET SESSION TRANSACTION READ ONLY;
