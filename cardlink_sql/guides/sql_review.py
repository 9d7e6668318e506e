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

SQLite says it: each statement is prepared (`EXPLAIN`, nothing runs) on a database in memory that the
migrations made, under an authorizer that is asked about every table and column. That is exact for
what SQLite runs and for what all dialects share. What foreign keys and triggers do because of a
statement is told apart from what it names.

A form that only PostgreSQL or MySQL understands is read word by word instead, and `--json` has
`"is_exact": false` for it: nothing is missed, but a name that two of its tables have counts for both.
The tests hold the reading against SQLite for every query, and let PostgreSQL and MariaDB run each
query with rights on the recorded columns alone.

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

On a live database the check writes nothing. A role that may not run a query may not prepare it on MySQL
either: check as the `app` role.

## The lock

`sql/lock/<dialect>.json` has for each query a hash, its parameters and columns with their types, and
the tables and columns that it reads and writes; beside them the checksum of each migration. It is
written by `scripts/lock`, on PostgreSQL and MariaDB servers of its own, or on yours:

```text
cardlink-db sql lock -d postgresql://me@localhost/postgres -d mysql://me@localhost/test
```

Whoever changes a query or adds a migration writes the lock, and the diff shows what the change comes
to: another column read, a type, a table written. `cardlink-db sql check --locked` fails where the SQL
changed and the lock did not; the tests run it. Documentation and indentation are no change. Types are as
the server that wrote them calls them (`"server"`): MySQL's differ from MariaDB's in JSON.

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
