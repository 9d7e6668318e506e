"""One database connection: engine, transaction, rows, driver errors, events and observers."""
