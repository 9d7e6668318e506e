-- What a new connection to PostgreSQL is sent.

-- name: settings :one
-- The settings that reading and writing rest on, whatever the server, role or database prefers,
-- and whether a pooler is in between, whose clients see a process id that is not the server's. It
-- keeps the first three for each client, and would hand the others on to the rest of its clients,
-- so there they hold for this statement only.
SELECT
  PG_BACKEND_PID() <> :client_pid AS is_pooled,
  SET_CONFIG('TimeZone', 'UTC', FALSE),
  SET_CONFIG('DateStyle', 'ISO', FALSE),
  SET_CONFIG('standard_conforming_strings', 'on', FALSE),
  SET_CONFIG('extra_float_digits', '1', PG_BACKEND_PID() <> :client_pid),
  SET_CONFIG('lock_timeout', '10000', PG_BACKEND_PID() <> :client_pid),
  SET_CONFIG('default_transaction_isolation', 'read committed', PG_BACKEND_PID() <> :client_pid),
  SET_CONFIG('quote_all_identifiers', 'off', PG_BACKEND_PID() <> :client_pid),
  SET_CONFIG('transform_null_equals', 'off', PG_BACKEND_PID() <> :client_pid);
