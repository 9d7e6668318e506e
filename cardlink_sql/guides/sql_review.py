r"""# Reviewing the SQL

For the DBA who has to trust what reaches the server, and for the developer who changes it.
Everything is in `sql/` and `migrations/`; `cardlink-db sql` says what it comes to, and finds what
does not fit before it is merged.

```console
$ cardlink-db init
$ cardlink-db sql list --gateway sessions
sessions.delete_by_id…exec…id…ota_sessions…ota_sessions
```

| Question | Command |
|---|---|
| What can be sent? | `sql list` |
| What is sent, exactly? | `sql show sessions.find_stale` |
| Who reads or writes this column? | `sql impact card_profiles.psk_key_encrypted` |
| How is it answered here? | `sql explain sessions.find_stale` |
| Does it all fit this database? | `sql check` |
| Does anything read a whole table that grows? | `sql check --dialect postgresql -d URL` |
| What did this change come to? | the diff of `sql/lock/`, written by `scripts/lock` |
| Which rights does a role need? | `sql grants --role app` |
| All of it, to read or to print? | `sql report --output sql-report` |

## A query, ready to paste

```console
$ cardlink-db sql show sessions.page_after --dialect postgresql
-- sessions.page_after :many
-- takes: limit, [created_at], [id]
SELECT /* cardlink:sessions.page_after */
AND created_at <= :created_at…-- when: created_at, id
```

Every optional line is in, and marked with what brings it in; the whole is valid SQL. Parameters
stand as `:name`, which psql (`\set id '''S1'''`) and the SQLite shell (`.parameter set :id`) take; the
components send the driver's placeholders in their places and the values apart. The comment with the
name is sent as it is shown, so that `pg_stat_activity`, `SHOW PROCESSLIST` and the slow logs lead
back here.

## A plan

```console
$ cardlink-db sql explain sessions.find_by -p status=failed --order created_at
…ix_ota_sessions_status_created_at_id…
$ cardlink-db sql explain sessions.find_stale -p before=2026-11-22T08:00 --analyze
…
```

The plan of the live database, in its own words: `EXPLAIN` on PostgreSQL, MariaDB and MySQL (with
`--json` their JSON), `EXPLAIN QUERY PLAN` on SQLite. Optional lines are in where their `--param` is
given. A required parameter that is not given gets a placeholder of its type, which is named on
stderr; where the plan depends on how many rows a value has, give the value that was slow. Nothing is
written. `--analyze` runs the query and measures it, on a connection that only reads; a query that
writes is refused. SQLite measures rows and time of the whole.

## What is read and written

```console
$ cardlink-db sql impact comm_logs
sessions.delete_by_id…deletes…foreign key
$ cardlink-db sql impact card_profiles.psk_key_encrypted
cards.get_psk_key…reads…psk_key_encrypted
cards.update_psk…updates…psk_key_encrypted
```

[sqlglot](https://github.com/tobymao/sqlglot) parses each statement by the rules of its dialect, with
every optional line in. What foreign keys do because of a statement is listed separately; they are read
from `cardlink_sql/model/tables.py`. The tests compare the result with SQLite's own authorizer for
every query that SQLite runs, and let PostgreSQL and MariaDB run each query with rights on the recorded
columns only.

## The check

```console
$ cardlink-db sql check
…no faults.
$ cardlink-db sql check --dialect sqlite
…on a scratch database in memory: no faults.
```

| With | Checks on |
|---|---|
| nothing | the database of `DATABASE_URL`; where there is none, a scratch database in memory |
| `-d URL` | that database, only read: each query is prepared and none is executed |
| `--dialect postgresql -d URL` | a scratch database on that server, made by the migrations and dropped; where the role may not make one, the database of the URL, only read |
| `--locked` | no database: the files against `sql/lock/` |

| Check | Finds |
|---|---|
| `prepare` | a name or a statement that the database refuses, in any variant: with every line in, with none, with each condition, in each order |
| `columns` | columns that are not the record's fields, in their order |
| `types` | a column that the record's field does not take; a parameter that is not of the type that the gateway binds (PostgreSQL alone tells types of parameters) |
| `nullability` | NULL where the record has no `None`, and the other way round |
| `dialects` | a query that a dialect lacks, or whose forms take or give different things |
| `pairs`, `copy` | a parameter that goes into another column; a COPY that is not its batch |
| `quotes`, `star` | `"name"`, which SQLite or MySQL may take for a string; `SELECT *` |
| `schema`, `migrations` | a database, migrations and `Table` objects that do not agree |
| `plan` | on a scratch database: a query that reads or sorts the whole of a table that grows, and does not say why (below) |

What some servers lack, a query says above itself (`-- needs: pg_stat_statements`); where it is not
there, or not for this role, the check notes it on stderr, and the query is not prepared. The lock keeps
the name of what it needs, but no types.

Each fault has file, line, column, query and dialect, and what to do. All are listed; the exit code is 1
where there is one. What a query gives is declared in its gateway: the gateway's `record`, or an entry of
its `gives`.

How much each backend tells: PostgreSQL describes a prepared statement: types of parameters and columns,
and NOT NULL where a column is a table's own. MySQL and MariaDB give types and NULL of every column, by
way of a derived table without rows, and nothing of parameters. SQLite gives the declared type and NULL
of a table's own columns; of an expression, nothing. No server prepares COPY: its columns must be those
of the `:batch` query whose rows it takes.

On a live database the check writes nothing, and judges no plan. A role that may not run a query may not prepare it on MySQL
either: check as the `app` role.

## The plans

Tables that grow are `ota_sessions`, `comm_logs`, `test_results` and `event_outbox`. On a scratch
database, `sql check` explains each query as it may be sent: bare, with each condition alone, with all
of them, in each order. None is executed. What reads the whole of such a table, or sorts more than a
small part of it, is a fault, unless the query's documentation says why it may:

```text
-- name: count_old :scalar
-- How many entries are older than a time.
-- allow-scan: nothing but the table itself tells; an index on the time would slow each APDU written
SELECT COUNT(*)
```

The reason stands in `sql list --json` and `sql show`. It covers every variant of the query; which of
them scan is in the lock. In a form that dialects share it is right where one of them needs it, and a
fault of `sql check --locked` where none does: the locks of all three tell.

The scratch database is filled first, each time with the same rows (`cardlink_sql/review/dataset.py`):

| Table | Rows | |
|---|---|---|
| `ota_sessions` | 10,000 | over 90 days; 88 % completed, 8 % failed, 4 % timeout, 20 open; a few devices and cards do most |
| `comm_logs` | 60,000 | 2 to 12 a session |
| `test_results` | 10,000 | 200 runs of 50 tests; 90 % passed |
| `event_outbox` | 2,000 | |
| `devices`, `card_profiles`, `settings` | 40, 400, 40 | |

Then it gathers its statistics, from every row. All that costs a second on SQLite and two on a server. The
parameters are values of this data set: a failed session, the last day, a run.

| | It reads the whole | It sorts |
|---|---|---|
| SQLite | `SCAN`; `SEARCH` finds its way | `USE TEMP B-TREE` |
| PostgreSQL, `enable_seqscan = off` | `Seq Scan`, or a walk of an index without a condition on its first column | `Sort` and `Incremental Sort` |
| MySQL, MariaDB | `type` is `ALL` or `index` | `Using filesort`, `Using temporary` |

- A walk of an index that a LIMIT ends reads no more rows than it gives: the first page of a list. So it
  is none where nothing passes rows over on the way. SQLite's plan does not show that, so the
  statement must have a LIMIT and no condition, group or second table; PostgreSQL has a Limit right
  above it and no Filter; on MySQL and MariaDB `rows` is small and nothing is `Using where`. With a
  condition the walk ends when enough rows match, and that may be never: it is a scan. Where a
  caller gives no limit, he gets the whole table, which is what he asked for.
- A sort is one where the planner expects to sort more than a twentieth of the table. Below that an index
  narrowed it to what was asked for, one run or one day, and it grows with that and not with the
  table. SQLite tells no number in its plan; it expects as many rows as `ANALYZE` counted to a key on
  average, so a rare status counts as much as a frequent one, and of a range nothing is known.
- A range is as wide as its parameters ask: `created_at >= :since` is no scan, whatever `:since` is.
- `enable_seqscan = off` tells whether an index serves, and not whether PostgreSQL takes it.
- SQLite is asked with its statistics and without, for no component gathers any, and most files have
  none. Its plans have what foreign keys look up, too; those of the servers have not.

## The lock

`sql/lock/<dialect>/<gateway>.json` has for each query a hash, its parameters and columns with their
types, the tables and columns that it reads and writes, and the shape of its plan in each variant, with
the tables that it scans and sorts; `migrations.json` next to it has the checksum of each migration.
`scripts/lock` writes them, on PostgreSQL and MariaDB servers of its own, or on yours:

```text
cardlink-db sql lock -d postgresql://me@localhost/postgres -d mysql://me@localhost/test
```

Whoever changes a query or adds a migration writes the lock, and the diff shows what the change comes
to: another column read, a type, a table written, an index no longer taken. `cardlink-db sql check
--locked` fails where the SQL changed and the lock did not, and where a scan that the lock has is without
its `-- allow-scan:`; the tests run it. Documentation and indentation are no change. Types are as
the server that wrote them calls them (`"server"`): MySQL's differ from MariaDB's in JSON. A plan is in
its server's own words without costs, numbers of rows and values, so that it is the same each time on
that version (`"planner"`); another version may plan otherwise.

## The report

```console
$ cardlink-db sql report --output sql-report
Wrote…queries on…pages: sql-report/index.html
```

Static HTML: it opens from the disk, and runs no script and loads nothing from elsewhere. On paper each
query stays in one piece where a page holds it.

| Page | Holds |
|---|---|
| `index.html` | the gateways, figures, and an entity diagram of the schema |
| `gateway-sessions.html` and so on | each query: documentation, parameters, what it gives, reads and writes, the methods that send it, its plan |
| `table-ota_sessions.html` and so on | columns, keys and indexes, which query does what to which column, the DDL of each dialect |
| `matrix.html` | all queries against all tables: r reads, i inserts, u updates, d deletes |

Where dialects differ, their forms stand side by side, level line by line, each with its reason. Words
that are not in every form at that place are marked. A query has an address to send to others:
`gateway-sessions.html#find_stale`.

No database is asked. Types and plans are those of the lock; where it is of another text than the files,
the query says so. The same files give the same bytes, so two reports can be compared. An older report in
the folder is replaced; a folder that holds anything else is refused. A report that was interrupted has no
`index.html`.

## Rights

```console
$ cardlink-db sql grants --role app --dialect postgresql
GRANT USAGE ON SCHEMA public TO cardlink_app;
-- comm_logs: SELECT for …; INSERT for …; UPDATE for …; DELETE for …
GRANT SELECT, INSERT, UPDATE, DELETE ON comm_logs TO cardlink_app;
$ cardlink-db sql grants --role reader --dialect mysql --user report@10.0.0.%
GRANT SELECT ON …`devices` TO 'report'@'10.0.0.%';
```

Each right is there because a query needs it. `app` is for the components, `reader` for whoever only
reads (`DatabaseManager(config, read_only=True)`, `cardlink-db status`, an export), `dba` for
`cardlink-db migrate`. Foreign keys act with the owner's rights and need none. The tests of the layer run
as `app` on both servers, and every read as `reader`. Limits: rights are by table, and `reader` sees the encrypted PSKs, for a card's
`has_psk` looks at them. The role must exist, and on PostgreSQL its tables are in the schema `public`.
"""
