-- Backup by mariadb-dump or mysqldump and restore by the client.

-- name: count_rows :scalar
-- The rows of a table.
SELECT COUNT(*)
FROM `{table}`;

-- name: advance_event_counter :exec
-- Let the numbers of a restored database go on after every number that any database has given.
INSERT INTO event_counter (id, last_id, publishes)
VALUES (1, :beyond, FALSE)
ON DUPLICATE KEY UPDATE last_id = 1 + GREATEST(last_id, VALUES (last_id));

-- name: commit_each :exec
-- The client that loads a dump would lose it all where the server's default is not to commit.
SET autocommit = 1, completion_type = 'NO_CHAIN';

-- name: version :scalar
-- The server's version, which names MariaDB too.
SELECT VERSION();

-- name: user :scalar
-- The account of the connection.
SELECT CURRENT_USER();

-- name: make_database :exec
-- Never sent: the error of a restore asks an administrator to run it.
CREATE DATABASE `{database}`;

-- name: let_use_database :exec
-- Never sent: the right to restore into it.
GRANT ALL ON `{database}`.* TO `{user}`@`{host}`;
