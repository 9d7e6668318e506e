-- What a new connection to PostgreSQL is sent.

-- name: settings :one
-- The settings that reading and writing rest on, whatever the server, role or database prefers,
-- and whether a pooler is in between, whose clients see a process id that is not the server's. It
-- keeps the first three for each client, and would hand the others on to the rest of its clients,
-- so there they hold for this statement only.
SELECT
  pg_backend_pid() <> :client_pid AS is_pooled,
  set_config('TimeZone', 'UTC', FALSE),
  set_config('DateStyle', 'ISO', FALSE),
  set_config('standard_conforming_strings', 'on', FALSE),
  set_config('extra_float_digits', '1', pg_backend_pid() <> :client_pid),
  set_config('lock_timeout', '10000', pg_backend_pid() <> :client_pid),
  set_config('default_transaction_isolation', 'read committed', pg_backend_pid() <> :client_pid),
  set_config('quote_all_identifiers', 'off', pg_backend_pid() <> :client_pid),
  set_config('transform_null_equals', 'off', pg_backend_pid() <> :client_pid);
