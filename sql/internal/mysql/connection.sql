-- What a new connection to MySQL or MariaDB is sent.

-- name: settings :exec
-- The settings that reading and writing rest on, whatever the server prefers. The modes are named
-- in full, and a statement waits ten seconds for a lock.
SET
time_zone = '+00:00',
sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
innodb_lock_wait_timeout = 10,
lock_wait_timeout = 10,
autocommit = 1,
completion_type = 'NO_CHAIN',
div_precision_increment = 4,
foreign_key_checks = 1,
unique_checks = 1,
max_sort_length = 1024,
sql_auto_is_null = 0,
sql_big_selects = 1,
sql_quote_show_create = 1,
sql_safe_updates = 0,
sql_select_limit = 18446744073709551615;

-- name: read_committed :exec
-- As on PostgreSQL: after an UPDATE that found no row, the read that explains why must see what the
-- other transaction committed.
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;

-- name: largest_packet :scalar
-- The size of the largest statement that the server reads, in bytes.
SELECT @@max_allowed_packet AS largest_packet;

-- name: read_only :exec
-- Refuse to write.
SET SESSION TRANSACTION READ ONLY;

-- name: is_ready :exec
-- Do nothing, which a node of Galera that is not ready refuses; it lets SELECT and SET pass.
DO 0;

-- name: is_read_only :scalar
-- Whether the server is read-only, which it is too where super_read_only is on.
SELECT @@global.read_only AS is_read_only;
