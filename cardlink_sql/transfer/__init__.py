"""Data into and out of the database: export, import, backup, traces, keys."""
