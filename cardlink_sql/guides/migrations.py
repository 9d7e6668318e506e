r"""# Migrations

For who changes the schema, and for who applies the change. The files are in
`migrations/<dialect>/`, the same numbers and names in each of the three folders:

```text
migrations/sqlite/0001_initial_schema.sql            what it does
migrations/sqlite/0001_initial_schema.rollback.sql   how it is undone
```

yoyo reads, splits and orders them and keeps its usual tables (`_yoyo_migration`, `_yoyo_log`,
`_yoyo_version`). Connections, locks, atomicity and drift are the layer's own, with one table more
(`cardlink_migration_journal`).

## Applying

```console
$ cardlink-db migrate --dry-run
…CREATE TABLE devices…
$ cardlink-db migrate
Applied 0001_initial_schema
$ cardlink-db status
applied  0001_initial_schema…
```

`--dry-run` prints the statements that would run and changes nothing. `status` changes nothing
either, works on a role that may only read, and says by its exit code how things stand: 0 fine, 1
no connection, 3 pending, 4 drift. So a deployment is:

```console
$ cardlink-db migrate
Nothing to apply: no migration is pending.
$ cardlink-db status
```

In Python it is `manager.create_tables()`, or `manager.migrator.migrate()`, `plan()`, `status()`
and `rollback()`.

Two processes that migrate at once do not meet: a lock that dies with its process keeps them apart
(an advisory lock on PostgreSQL, `GET_LOCK` on MySQL, a locked file beside an SQLite database). Who
waits too long is told who holds it. DDL waits at most ten seconds for a lock on a table, so a
migration behind a long transaction fails instead of holding up everybody behind it.

## When it fails

- **SQLite and PostgreSQL**: a migration and the record of it are one transaction. An error or a
  kill leaves nothing of it. Mend the cause and migrate again.
- **MySQL and MariaDB** commit each DDL statement. The journal notes every step before and after,
  so an error or a kill at any point leaves a database that says where it stands: `status` and
  `migrate` name the statement, and `migrate` goes on from there. Statements that were run must not
  be edited; those still to come may be.
- **PostgreSQL outside a transaction** (`-- transactional: false`, for `CREATE INDEX CONCURRENTLY`)
  is journaled in the same way. An invalid index that a failure left is dropped before the next
  attempt.

## Rolling back

```console
$ cardlink-db migrate --revision base --dry-run
…DROP TABLE settings…
$ cardlink-db migrate --revision base --yes
Rolled back 0001_initial_schema
$ cardlink-db migrate
Applied 0001_initial_schema
```

`--revision ID` goes to that migration, forwards or back; `base` goes back behind all. Rolling back
asks first, because it loses what the migration held, and needs the `.rollback.sql`.

## Drift

Applied migrations are compared with their files by content. An edited file, a missing one, or one
whose number lies behind what is applied is drift: `status` reports it, `migrate` refuses.
`status` also compares the live schema with `cardlink_sql/tables.py`, and names the table, column,
index or constraint that differs.

A schema that was made by hand from `--dry-run` is not recorded as migrated, and `migrate` says so.

## Writing one

1. The next number, the same name in the three folders, with a `.rollback.sql` each. The number is
   four digits; the name is lower case.
2. A comment on top says what it is for and what it locks. A directive (`-- depends:`,
   `-- transactional: false`) stands before it, in the first lines.
3. `cardlink_sql/tables.py` to match. A test makes the schema by the migrations on each backend and
   holds both against each other, and a rollback must lead back to the schema before.
4. The servers that still run the last release must go on working: add columns that may be NULL or
   have a default, and drop what is unused one release later.
5. On PostgreSQL an index on a table that grows is made `CONCURRENTLY`. On MySQL and MariaDB InnoDB
   adds indexes online. On SQLite a change that `ALTER TABLE` cannot do is a rebuild of the table;
   foreign keys are off while a migration runs and are checked before it commits.
6. Every name follows the convention: `pk_table`, `fk_table_column`, `uq_table_column`,
   `ix_table_column_column`, `ck_table_name`.

What is refused when the files are read: a BOM, `DELIMITER`, a stray `COMMIT` or `BEGIN`, a
directive behind a comment, an unknown directive, an empty file.
"""
