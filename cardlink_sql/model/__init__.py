"""Values of the gateways: records, tables, columns, validation, declared settings."""
