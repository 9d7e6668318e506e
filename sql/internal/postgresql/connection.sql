-- What a new connection to PostgreSQL is sent.

-- name: use_utc :exec
-- Times are UTC, whatever the server's zone is.
SET TIME ZONE 'UTC';

-- name: lock_timeout :exec
-- Wait ten seconds for a lock, in milliseconds.
SET lock_timeout = 10000;

-- name: read_only :exec
-- Refuse to write.
SET default_transaction_read_only = on;
