"""What gateways take and return: records, tables, columns, validation, declared settings."""
