"""The schema as DDL in one canonical form, whatever server and version it is read from.

``reflect`` reads a database, ``expressions`` brings the conditions that a server has rewritten
back to one form, ``printer`` writes the SQL.
"""
