r"""# Backup and restore

One command makes one file, on every backend and while others use the database; one puts it back.

```console
$ cardlink-db init
$ cardlink-db backup nightly.backup
Backed up 0 rows in … tables to nightly.backup (…
$ cardlink-db restore --check nightly.backup
nightly.backup is whole: 0 rows in … tables, …
$ cardlink-db restore --yes nightly.backup
Restored 0 rows in … tables from nightly.backup, …
The replaced database is kept: …
When it is not needed any more: …
```

Stop the components that use a database before you restore it. Back up the encryption keys
(`CARDLINK_ENCRYPTION_KEY`) elsewhere: they are in no backup, and the PSKs in it are worth nothing
without them.

## What is in the file

A zip with two parts: the payload, and `manifest.json`, which names the version of the format, the
dialect and the server, the migrations applied, the rows of each table, the time (UTC), for JSON
lines the counter of the events, and the payload's size and SHA-256. `unzip -p FILE manifest.json` shows it; `--json` behind `backup` and
`restore` prints it.

| `--method` | SQLite | PostgreSQL | MariaDB, MySQL |
|---|---|---|---|
| `native` | the online backup | `pg_dump`, custom format | `mariadb-dump`, `mysqldump` |
| `jsonl` | the lines of `cardlink-db export` | the same | the same |
| `auto`, the default | native | native where the tool will do | native where the tool will do |

Where a tool is missing, is older than a PostgreSQL server, is of the other product (MySQL's for
MariaDB), or wants a right that the role has not, `auto` makes JSON lines and says so on stderr; `native` refuses. A native backup takes the
tables as they are, indexes of your own with them, and is restored into the same dialect and
product. JSON lines hold the rows, and are restored into **every** backend. Of the events (see their
guide) they carry the last number and whether events are published, not the events themselves. So
this moves a database from one to another, keys and log numbers with it:

```console
$ cardlink-db backup --method jsonl moving.backup
$ cardlink-db restore --yes moving.backup -d sqlite:///moved.db
Restored 0 rows in … tables from moving.backup, …
```

The file is readable by its owner alone (0600), for it holds the PSKs as they are stored. Its hash
finds damage, not forgery: a dump is a program that the server carries out, so restore only what
you trust, and keep backups where nobody else writes.

## While others write

A backup is of one moment, and no writer waits for it.

- **SQLite**: the online backup inside one read transaction. Without that it begins again whenever
  another process has written, and may never end. The write-ahead log cannot be reused meanwhile,
  so it grows by what is written. The copy is checked (`integrity_check`, `foreign_key_check`)
  before it is packed, beside the backup; the room for one more copy is needed there.
- **PostgreSQL**: `pg_dump` reads from a snapshot in which the rows were counted.
- **MariaDB, MySQL**: `--single-transaction`; the rows are counted in the dump itself. Migrations
  wait, for a changed table would end the snapshot.
- **JSON lines**: one read-only transaction over all tables.

On the servers CardLink's tables and the bookkeeping of its migrations are taken, and nothing else
that lives in the same database. On SQLite it is the file, with all that is in it; from JSON lines
it is a new file with CardLink's tables alone.

Passwords go to the tools by `PGPASSWORD` or by an option file that only this user can read and
that is gone afterwards; they are on no command line. The SSL options of the URL go with them.

## Restoring

1. The file is read from end to end: zip, sizes, SHA-256, manifest.
2. It is unpacked aside and looked through: integrity, the migrations, the rows of each table. A
   backup of a newer schema is refused; after one of an older schema `restore` says to run
   `cardlink-db migrate`.
3. The database is replaced in one step, and kept.

| | Aside | The step | Kept as |
|---|---|---|---|
| SQLite | `NAME.restore-scratch` beside it | a rename over the name | `NAME.replaced-<time>` |
| PostgreSQL | a transaction; for JSON lines, the schema `cardlink_restore_scratch` | its commit | the schema `cardlink_replaced_<time>` |
| MariaDB, MySQL | the database `NAME_restore_scratch` | one `RENAME TABLE` | the database `NAME_replaced_<time>` |

Until the step an error, Ctrl-C or a kill leaves the database as it was, and behind it the restored
one is whole. What a killed restore has left aside is cleared by the next one. `restore --check`
does the first two steps without a database: it needs no URL, and for PostgreSQL's dumps
`pg_restore`. Unpacking takes room in the folder for temporary files (`TMPDIR`).

- **SQLite** refuses while any process has the file open, idle or not: it would go on with the
  replaced file. A component that starts in that very moment can read from the old file, and its
  writes are refused. The new file gets the old one's owner and rights.
- **PostgreSQL** holds the tables for as long as the restore of a dump takes; it gives up after ten
  seconds where somebody else holds one. The new tables, their columns and sequences get the old
  ones' owner and grants, and no others, whatever `ALTER DEFAULT PRIVILEGES` says. Policies and row
  level security, triggers, places in a publication, views and foreign keys of yours stay with the
  replaced tables: `restore` names those that the new ones lack (`replaced.attached` with `--json`),
  for you to make anew. A dump brings along the policies and triggers of its time, and your indexes,
  storage parameters and statistics objects, which are not named; JSON lines bring none of them.
  After a backup of an older schema, print and run the grants anew behind `cardlink-db migrate`. A
  dump goes back into the schema that it is of.
- **MariaDB, MySQL**: a table with triggers does not leave its database, so drop them first.
  Grants go by name and hold for the new tables.

| Role | PostgreSQL | MariaDB, MySQL |
|---|---|---|
| backs up | what `cardlink-db sql grants --role reader` prints: `SELECT` on the tables, and on the sequence of `comm_logs` | the same: `SELECT` on the tables |
| restores | owns the tables, or there are none; `CREATE` on the database and on the schema, on the latter also for the tables' owner where that is a group of the role's | what `cardlink-db sql grants --role dba` prints, on the databases ``NAME`` and ``NAME\_re%`` |

Where a right is missing, nothing is changed and the error gives the `GRANT`. Without `SELECT` on
the sequence, as for `--role app` on PostgreSQL, `auto` makes JSON lines and says so.

## Events behind a restore

Whether events are published is as it was in the backup. Their numbers never run twice: the counter
of the restored database goes on behind that of the replaced one and leaves a number out, so that a
listener with a kept position gets a `NotFoundError`, reads anew what it shows, and goes on. Without
a database to replace, or with one that is damaged or never counted, nobody knows how far it was:
then the counter goes on from the time in milliseconds since 1970, which no database has counted to.

A backup of a schema from before the events (`0001`) has no counter, nor has one that was made
before publishing was first turned on, where it replaces nothing: begin anew with listeners there,
without a kept position. So do where you put a *replaced* database back by hand.

## In Python

```python
from pathlib import Path

from cardlink_sql import DatabaseManager
from cardlink_sql.transfer.backup import Method, check_backup, create_backup, restore_backup

with DatabaseManager() as manager:
    made = create_backup(manager, Path("from-python.backup"), method=Method.AUTO)
    assert made.manifest.contents.tables["comm_logs"] == 0
    assert check_backup(made.file) == made.manifest
    done = restore_backup(manager, made.file)
    if done.replaced:
        print(done.replaced.name, done.replaced.removal)
```

A database in memory is backed up, too, and cannot be restored into: restore into a file.
"""
