-- Figures for cardlink-db stats, where MySQL and MariaDB differ.

-- name: get_database_bytes :scalar
-- The bytes of all tables of the database with their indexes; MySQL 8 may report figures of up to a
-- day ago (information_schema_stats_expiry).
-- differs: the sizes are in information_schema here, as InnoDB last estimated them
SELECT COALESCE(SUM(t.data_length + t.index_length), 0)
FROM information_schema.tables t
WHERE t.table_schema = DATABASE();
