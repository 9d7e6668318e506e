"""File formats, read and written without a database: JUnit, YAML, atomic writing."""
