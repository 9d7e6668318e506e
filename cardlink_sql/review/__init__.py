"""Reviews for a DBA: what each query reads and writes, and whether it fits the schema.

``variants`` renders a query for a server, ``statement`` parses it with sqlglot,
``footprint`` finds what it reads and writes, ``scratch`` makes databases to try queries on,
``describe`` asks a database about a query without running it, ``check`` compares the answers
with the records, ``lock`` keeps them in files, and ``grants`` derives the rights from them.
``dataset`` and ``seeding`` fill a database; ``plans`` explains the queries on it and checks their
plans. ``senders`` finds the methods that send a query, and ``report`` shows all of it in a browser.
"""
