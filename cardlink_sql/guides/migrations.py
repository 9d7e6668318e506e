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
…
-- locks: nothing that others use: devices is new
CREATE TABLE devices…
$ cardlink-db migrate
Applied 0001_initial_schema
$ cardlink-db status
applied  0001_initial_schema…
```

`--dry-run` prints the statements that would run, as SQL to paste, with what each of them locks
([below](#what-a-statement-locks)), and changes nothing. `status` changes nothing
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
`status` also compares the live schema with `cardlink_sql/model/tables.py`, and names the table, column,
index or constraint that differs.

A schema that was made by hand from `--dry-run` is not recorded as migrated, and `migrate` says so.

## Writing one

1. The next number, the same name in the three folders, with a `.rollback.sql` each. The number is
   four digits; the name is lower case.
2. A comment on top says what it is for and what it locks. A directive (`-- depends:`,
   `-- transactional: false`) stands before it, in the first lines.
3. `cardlink_sql/model/tables.py` to match. A test makes the schema by the migrations on each backend and
   holds both against each other, and a rollback must lead back to the schema before.
4. The servers that still run the last release must go on working: add columns that may be NULL or
   have a default, and drop what is unused one release later.
5. On PostgreSQL an index on a table that grows is made `CONCURRENTLY`. On MySQL and MariaDB InnoDB
   adds indexes online. On SQLite a change that `ALTER TABLE` cannot do is a rebuild of the table;
   foreign keys are off while a migration runs and are checked before it commits.
6. Every name follows the convention: `pk_table`, `fk_table_column`, `uq_table_column`,
   `ix_table_column_column`, `ck_table_name`.

7. `cardlink-db schema dump --fresh -d URL > migrations/schema/<dialect>.sql` for each dialect, and
   commit it: a reviewer sees there what becomes of the schema.

What is refused when the files are read: a BOM, `DELIMITER`, a stray `COMMIT` or `BEGIN`, a
directive behind a comment, an unknown directive, an empty file.

## Rules for a database in use

```console
$ cardlink-db schema lint
Nothing is wrong.
```

holds the migrations of all three dialects to rules; the tests do so too. A fault names file, line,
column and rule, and says what to do:

| Rule | What breaks it |
|---|---|
| `refused` | what the migrator refuses to read |
| `missing-dialect`, `missing-rollback` | a migration that a dialect lacks, or that cannot be undone |
| `index-concurrently` | PostgreSQL: an index on a table that grows, built while its writers wait |
| `concurrently-in-transaction` | PostgreSQL: `CONCURRENTLY` without `-- transactional: false` |
| `required-column` | a new column that is NOT NULL without a default |
| `type-change` | a column's type changed in place |
| `copies-table` | MySQL, MariaDB: a check or a foreign key added to a table that grows |
| `breaks-old-servers` | a table or column dropped or renamed that the last release uses |
| `unknown-statement` | a statement of which nobody can tell what it locks |

The tables that grow are `ota_sessions`, `comm_logs` and `test_results`; a table made in the same
migration is nobody's yet. A rule is let off with a reason, in the comment above the statement, or
on top of the file for all of it; one that lets nothing off is a fault itself:

```text
-- allow-lint: required-column: nothing writes to the table before this release
ALTER TABLE test_results ADD COLUMN weight INTEGER NOT NULL;
```

squawk checks the PostgreSQL files for much more, in the tests (`.squawk.toml`). It is let off by
`-- squawk-ignore RULE` above a statement. The rules read statements, not data: they do not see
what a rebuilt table on SQLite has lost, nor what a statement inside a routine does.

## What a statement locks

Above each statement `--dry-run` says which lock it takes on which table, who waits, and whether
rows are read or written anew meanwhile. On top of each migration it says how long locks last: on
PostgreSQL to the end of the migration, on MySQL and MariaDB to the end of the statement, and on
SQLite all of it runs under the one write lock, beside which readers go on.

| | PostgreSQL | MariaDB | MySQL |
|---|---|---|---|
| add a column, constant default | ACCESS EXCLUSIVE, no row | INSTANT | INSTANT |
| add a column, computed default | ACCESS EXCLUSIVE, written anew | assume the strongest | assume the strongest |
| drop a column | ACCESS EXCLUSIVE, no row | INPLACE; INSTANT if not indexed | INPLACE, written anew |
| change a type | ACCESS EXCLUSIVE, written anew | COPY | COPY |
| create an index | SHARE, every row | INPLACE, every row | INPLACE, every row |
| the same `CONCURRENTLY` | SHARE UPDATE EXCLUSIVE, every row | | |
| add a foreign key | SHARE ROW EXCLUSIVE on both, every row | COPY | COPY |
| add a check | ACCESS EXCLUSIVE, every row | COPY | COPY |
| validate a constraint | SHARE UPDATE EXCLUSIVE, every row | | |

It is declared in `cardlink_sql/schema/migrator/table_locks.py`, of the version that locks most. The tests
hold it against `pg_locks` within each statement's transaction, and ask MariaDB for the very
algorithm; the figures for MySQL are from its manual. A statement of an unknown kind says so. Not
told is how long: that depends on the rows, and on the transactions that the lock waits for.

## The schema as one file

`migrations/schema/<dialect>.sql` is the schema that all migrations together make. The same text
comes from every version of a server, for it is printed from what the database says of itself, not
copied from its dump: tables behind those they refer to, constraints and indexes by name,
conditions with no more brackets than they need.

```console
$ cardlink-db schema dump --dialect postgresql
-- The schema on PostgreSQL as the migrations up to … make it.
…
CREATE TABLE card_profiles (
```

With `--fresh` it is made anew: the migrations run in a scratch database on the server of the URL
(in memory for SQLite), which is dropped again; the role needs `CREATE DATABASE`. A test holds the
committed file against the migrations on each backend, makes a database of it, and edits the
migrations in many ways to see that each edit shows in the dump. What the dump has no words for
(views, triggers, generated columns, index methods) is refused, and never left out.

## Old servers on the new schema

While a release is rolled out, servers of the last one meet the migrated schema. What they send must
still be prepared there:

```text
$ cardlink-db schema compatible cardlink_sql-0.1.0-py3-none-any.whl -d postgresql://…
```

takes a wheel, a checkout or a `sql/` folder, and prepares its queries, each in every variant, on a
scratch database with the schema of this release. The tests do so with the newest release tag of
the repository; before the first release there is none. What only fails with rows in hand (a value
that a new check refuses) it does not see.
"""
