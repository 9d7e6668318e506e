"""The schema in a live database: migrations, its description, and drift."""
