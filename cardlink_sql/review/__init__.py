"""Reviews for a DBA: what each query reads and writes, and whether it fits the schema.

``statements/`` parses a query, in each of its variants. ``databases/`` makes databases, fills them
and asks them about queries without running these, by one class a dialect. ``migrations/`` judges
the migrations. The modules here compare: ``check`` the answers with the records, ``rules`` a query
with what every query keeps to, ``plans`` the plans with the size of the tables, ``answers`` the
rows with each other. ``lock`` keeps all of it in files; ``grants``, ``indexes``, ``impact`` and
``difference`` answer from them, and ``report`` shows them in a browser.
"""
