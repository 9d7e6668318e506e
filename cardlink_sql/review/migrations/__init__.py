"""Reviews of the migrations and of the schema that they make."""
