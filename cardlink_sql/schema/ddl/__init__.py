"""The schema as DDL in one canonical form, whatever server and version it is read from.

``reflect`` reads a database, ``declared`` the tables of the model, and ``printer`` writes the SQL.
"""
