-- Backup by pg_dump and restore by psql.

-- name: count_rows :scalar
-- The rows of a table.
SELECT COUNT(*)
FROM "{table}";

-- name: advance_event_counter :exec
-- Let the numbers of a restored database go on after every number that any database has given.
INSERT INTO event_counter (id, last_id, publishes)
VALUES (1, :beyond, FALSE)
ON CONFLICT (id) DO UPDATE SET
  last_id = 1 + GREATEST(event_counter.last_id, excluded.last_id);

-- name: begin_snapshot :exec
-- Begin the transaction whose snapshot pg_dump reads from.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: may_idle :exec
-- Let the connection wait while pg_dump reads from its snapshot.
SET LOCAL idle_in_transaction_session_timeout = 0;

-- name: export_snapshot :scalar
-- The name by which pg_dump joins the snapshot.
SELECT pg_catalog.pg_export_snapshot();

-- name: version :scalar
-- The server's version.
SELECT pg_catalog.current_setting('server_version');

-- name: user :scalar
-- The role of the connection.
SELECT CURRENT_USER;

-- name: schema :scalar
-- The schema that new tables are made in.
SELECT pg_catalog.current_schema();

-- name: settings :many
-- The settings that the server knows; a dump of a newer one sets others too.
SELECT name
FROM pg_catalog.pg_settings;

-- name: tables :many
-- The schema and the name of each of the tables that the role sees.
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relname = ANY(:tables) AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY c.relname;

-- name: unreadable_sequences :many
-- The sequences of the tables that the role sees and may not read.
SELECT pg_catalog.format('%I', s.relname) AS name
FROM pg_catalog.pg_class s
JOIN pg_catalog.pg_depend d
  ON d.classid = CAST('pg_catalog.pg_class' AS REGCLASS)
    AND d.objid = s.oid
    AND d.deptype IN ('a', 'i')
JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
WHERE s.relkind = 'S' AND t.relname = ANY(:tables) AND pg_catalog.pg_table_is_visible(t.oid)
  AND NOT pg_catalog.has_table_privilege(s.oid, 'SELECT')
ORDER BY name;

-- name: make_database :exec
-- Never sent: the error of a restore asks an administrator to run it.
CREATE DATABASE "{database}" OWNER "{user}";
