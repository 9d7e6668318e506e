"""The longer guides, one a module; ``scripts/docs`` renders them with the reference.

Every sample in them is run by the tests on SQLite, PostgreSQL and MariaDB: a guide's Python
blocks and ``$ cardlink-db`` lines from top to bottom, in one empty folder with one database.
"""
