"""The gateways: one class a table, one SQL file a gateway, one query a method."""
