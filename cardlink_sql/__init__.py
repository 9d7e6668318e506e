"""The database layer of CardLink."""
