r"""# For the DBA

What reaches your server, which rights it needs, what it locks, how it grows, and what to watch.

## What reaches the server

Two folders hold all of it:

- `migrations/<dialect>/` makes and changes the schema.
- `sql/common/` and `sql/<dialect>/` hold the statements of the components: one file a gateway, one
  statement a method, with its documentation above it. A statement in a dialect's folder wins over
  the common one and says why it differs.

Beside them the layer sends a handful of its own: `BEGIN`, `COMMIT`, `ROLLBACK` and savepoints; the
settings of a connection (below); and, only while `cardlink-db` migrates or looks at the schema, the
bookkeeping of the migrations (`cardlink_sql/schema/migrator/statements.py`) and reflection.

No statement is put together from values. Parameters are bound by the driver: by the server's own
protocol on PostgreSQL and SQLite, by PyMySQL's escaping in strict mode on MySQL. Optional lines
(`-- when:`) are in or out as a whole.

A statement names its query in a comment behind its first word:

```text
SELECT /* cardlink:sessions.find_active */ id, …
```

So what the server shows leads to a line in `sql/`: the name before the dot is the file, the name
behind it the query.

| To see | PostgreSQL | MySQL, MariaDB |
|---|---|---|
| what runs or waits now | `SELECT pid, wait_event_type, query FROM pg_stat_activity` | `SHOW FULL PROCESSLIST` |
| what was slow | the log, with `log_min_duration_statement` | the slow log, with `long_query_time` |
| what took most in all | `pg_stat_statements` | `performance_schema` |
| the last by query | `cardlink-db stats --queries` | the same |
| what a component waited for | its own slow-query log: `CARDLINK_SLOW_QUERY_MS` | the same |

The tests read the name there, on both servers. It takes less than 2 % of the quickest statements'
time (`scripts/bench --label`). The servers show values beside it: MySQL and MariaDB in the text of the
statement, PostgreSQL in its log (`log_parameter_max_length = 0` keeps them out). The components' own
slow-query log holds none (the guide of the operations).

## Each connection

| | PostgreSQL | MySQL, MariaDB | SQLite |
|---|---|---|---|
| Isolation | READ COMMITTED | READ COMMITTED | serialised; writers begin `IMMEDIATE` |
| Time zone | UTC | `+00:00` | times are text in UTC |
| Lock wait | `lock_timeout` 10 s | `innodb_lock_wait_timeout` and `lock_wait_timeout` 10 s | busy timeout 10 s |
| Strictness | | `STRICT_ALL_TABLES`, `ONLY_FULL_GROUP_BY` and the rest of strict mode | foreign keys on |
| Text | `COLLATE "C"` by column | `utf8mb4`, binary collation without padding | binary |
| Durability | the server's | the server's | WAL, `synchronous = NORMAL`: a power cut may lose the last commits, never the file |

Reads outside a transaction are sent in autocommit: one round trip, no idle transaction. The pool
has 5 connections and 10 more under load for each process, if nothing else is configured.

## Rights

| Role | PostgreSQL | MySQL, MariaDB |
|---|---|---|
| migrates | owns the schema, or `CREATE` on it | `CREATE, ALTER, DROP, REFERENCES` and the four below on the database |
| runs | `SELECT, INSERT, UPDATE, DELETE` on the tables of CardLink | the same |
| reads, `status` and `stats`, backs up | `SELECT` on the tables of CardLink, on `_yoyo_migration`, `_yoyo_log`, `_yoyo_version` and on `cardlink_migration_journal`; for `pg_dump` also on `comm_logs_id_seq` | the same, without the sequence |

`cardlink-db stats --queries` needs one right more, which `sql grants` leaves to you, for it shows the
statements of all who use the server: `GRANT pg_read_all_stats TO …` on PostgreSQL, on MySQL and MariaDB
`GRANT SELECT ON performance_schema.events_statements_summary_by_digest TO …`.

The exact statements for the three roles, off the record of what each query reads and writes:

```console
$ cardlink-db sql grants --role app --dialect postgresql --user cardlink_app
GRANT SELECT, INSERT, UPDATE, DELETE ON card_profiles TO cardlink_app;
…
$ cardlink-db sql grants --role reader --dialect mysql --user cardlink_reader
…GRANT SELECT ON…
```

The secrets of the database are the PSKs, encrypted in `card_profiles.psk_key_encrypted`. The key
that opens them is in the environment of the components and never on the server.

## Tables and growth

| Table | A row is | Grows |
|---|---|---|
| `comm_logs` | one APDU; some 200 bytes with its index in recorded sessions, more where APDUs are long | with the traffic: it is nearly all of the database |
| `ota_sessions` | one OTA session, with five index entries | with the traffic, much slower than the log |
| `test_results` | one test of one run | with the test runs |
| `devices`, `card_profiles`, `settings` | a device, a card, a setting | hardly |
| `event_outbox`, `event_counter` | an event for other processes; the last number | not at all, unless events are published; then with the transactions, until purged (the guide of the events) |

`comm_logs` has one index beside its key, `(session_id, id)`. Each further one would cost a third
or more of the speed at which APDUs are written, so what looks for entries by their time goes
through the sessions or along the primary key.

`cardlink-db purge` deletes what is older than the retention settings say, in batches of their own
transactions: no long lock, no long undo, no replica far behind. PostgreSQL's autovacuum deals with
what that leaves; on a busy `comm_logs` a lower `autovacuum_vacuum_scale_factor` (0.02) keeps it
from coming late. InnoDB uses the room again but does not give it back; `OPTIMIZE TABLE` does. SQLite
uses the pages again, too; `VACUUM` shrinks the file and needs it for itself meanwhile.

## What locks what

- A unit of work that writes holds row locks until its commit, and on SQLite the one write lock.
  They are short: a session's step, or a batch of APDUs.
- Two units of work that change the same rows in different order may meet in a deadlock. The server
  ends one; its component gets a `ConflictError` and runs it again.
- Where events are published, a transaction locks the one row of `event_counter` right before its
  commit: those who publish commit one after another.
- Migrations take DDL locks for at most ten seconds before they give up.
- Foreign keys: a deleted device or card leaves its sessions and results behind without it
  (`SET NULL`); a deleted session takes its log along (`CASCADE`). All are served by an index.

## Replicas and clusters

- READ COMMITTED wants `binlog_format` ROW or MIXED.
- Galera and Percona XtraDB Cluster: every table has a primary key and is InnoDB. Migrate through
  one node, because `GET_LOCK` is that node's own. A conflict that shows at the commit is a
  `ConflictError`, and nothing of the transaction was kept.
- A pooler that shares server sessions between transactions (PgBouncer in transaction mode) serves
  the components if it keeps the settings of the connection: put them into the role
  (`ALTER ROLE … SET timezone = 'UTC'`). Migrate over a direct connection, for such a pooler cannot
  keep an advisory lock.
- A read replica serves whoever only reads (`DatabaseManager(config, read_only=True)`, or
  `UnitOfWork(manager, read_only=True)`), as far behind as it is.

## Ten minutes with it

```console
$ cardlink-db migrate --dry-run
…CREATE TABLE comm_logs…
$ cardlink-db migrate
$ cardlink-db status --verbose
applied  0001_initial_schema…
…comm_logs…0…
```

1. Read `migrations/<your dialect>/`. Comments say what each index is for.
2. Read `sql/common/logs.sql` and `sql/common/cards.sql`: the hot paths.
3. Read what differs for your dialect: `sql/<dialect>/`, each with its reason.
4. Run a component, or replay a trace, with `log_min_duration_statement = 0` or the general log on,
   and hold what you see against `sql/`.
"""
