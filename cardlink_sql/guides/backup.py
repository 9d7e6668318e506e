r"""# Backup and restore

One command makes one file, on every backend and while others use the database; one restores it.

```console
$ cardlink-db init
$ cardlink-db backup nightly.backup
Backed up 0 rows in … tables to nightly.backup (…
$ cardlink-db restore --check nightly.backup
nightly.backup is whole: 0 rows in … tables, …
```

An SQLite file is replaced, so stop the components that use it first. On a server a backup goes
into an empty database; see below. Back up the encryption keys (`CARDLINK_ENCRYPTION_KEY`)
elsewhere: no backup holds them, and its PSKs are worth nothing without them.

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
$ cardlink-db restore --yes moving.backup -d sqlite:///moved.db
Restored 0 rows in … tables from moving.backup, …
The replaced database is kept: …
When it is not needed any more: …
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
2. It is verified: integrity, the migrations, the rows of each table. A backup of a newer schema is
   refused; after one of an older schema `restore` says to run `cardlink-db migrate`.
3. It is restored, and the rows of each table are counted again.

`restore --check` does the first two steps without a database: it needs no URL, and for PostgreSQL's
dumps `pg_restore`. Unpacking takes room in the folder for temporary files (`TMPDIR`).

### SQLite: the file is replaced

The backup is unpacked to `NAME.restore-scratch` next to the database and then renamed over it; the
old file stays as `NAME.replaced-<time>`. Until the rename an error, Ctrl-C or a kill leaves the
database as it was; after it the restored one is whole. The next restore removes the scratch file of
a killed one. The new file gets the old one's owner and rights.

A file that any process has open, idle or not, is not replaced: that process would go on with the
old one. A component that starts in that very moment can read from the old file, and its writes are
refused.

### PostgreSQL, MariaDB and MySQL: into an empty database

Make a database, restore there, check it, and point `DATABASE_URL` at it. The old database is not
touched, so going back is changing the URL again:

```text
-- PostgreSQL
CREATE DATABASE cardlink_restored OWNER cardlink;
-- MariaDB, MySQL
CREATE DATABASE cardlink_restored;
GRANT ALL ON cardlink_restored.* TO cardlink@'%';
```

```sh
cardlink-db restore nightly.backup -d postgresql://cardlink@db.example/cardlink_restored
export DATABASE_URL=postgresql://cardlink@db.example/cardlink_restored
```

A database that already has CardLink's tables is refused, and the error has these commands with the
names of that server. JSON lines also go into the tables of `cardlink-db init`, while they have no
rows. Tables of others in the database are in nobody's way.

- **PostgreSQL** loads a dump in one transaction: an error, Ctrl-C or a kill leaves the database
  empty. A dump goes into the schema that it is of. It has the policies, triggers, indexes and
  statistics objects of its tables, but no owners and grants; JSON lines have rows alone.
- **MariaDB, MySQL** commit each statement of a dump. A load that is cut off has no record of
  migrations, and every command refuses such a database: drop it and make it again.
- Afterwards run the grants for the new database: `cardlink-db sql grants`.

| Role | PostgreSQL | MariaDB, MySQL |
|---|---|---|
| backs up | what `cardlink-db sql grants --role reader` prints: `SELECT` on the tables, and on the sequence of `comm_logs` | the same: `SELECT` on the tables |
| restores | owns the database, or has `CREATE` on its schema | what `cardlink-db sql grants --role dba` prints |

Without `SELECT` on the sequence, as for `--role app` on PostgreSQL, `auto` makes JSON lines and says
so.

## Events after a restore

Whether events are published is as it was in the backup. Their numbers never run twice: the counter
of a restored database goes on from the time in milliseconds since 1970, which no database has
counted to. A listener with a kept position gets a `NotFoundError`, reloads what it shows, and goes
on. A backup of a schema from before the events (`0001`) has no counter: there, start listeners
without a kept position.

## In Python

```python
from pathlib import Path

from cardlink_sql import DatabaseConfig, DatabaseManager
from cardlink_sql.transfer.backup import Method, check_backup, create_backup, restore_backup

with DatabaseManager() as manager:
    made = create_backup(manager, Path("from-python.backup"), method=Method.JSONL)
assert made.manifest.contents.tables["comm_logs"] == 0
assert check_backup(made.file) == made.manifest
with DatabaseManager(DatabaseConfig("sqlite:///moved.db")) as manager:
    done = restore_backup(manager, made.file)
    if done.replaced:
        print(done.replaced.name, done.replaced.removal)
```

A database in memory is backed up, too, and cannot be restored into: restore into a file.
"""
