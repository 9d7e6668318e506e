-- What the manager asks the server itself: cardlink_sql/manager.py

-- name: version :scalar
-- The server's version, for health_check.
-- differs: each server has its own function
SELECT SQLITE_VERSION();
