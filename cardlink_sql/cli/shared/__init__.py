"""The parts that commands share: options, the database, lists, JSON and exit codes."""
