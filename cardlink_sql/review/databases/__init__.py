"""The databases that queries are tried on: one class a dialect, and the rows in them."""
