"""What a DBA reviews: what each query reads and writes, and whether it fits the schema.

``variants`` renders a query as a server knows it, ``statement`` reads it with sqlglot,
``footprint`` finds what it reads and writes, ``scratch`` makes databases to try queries on,
``describe`` asks a database about a query without running it, ``check`` holds the answers
to the records, ``lock`` keeps them in files, ``grants`` makes rights of them. ``dataset`` and
``seeding`` fill a database, ``plans`` has it explain the queries and judges how it answers them.
``senders`` finds the methods that send a query, and ``report`` shows all of it in a browser.
"""
