r"""# Operations

What an operator does with `cardlink-db` once CardLink runs: look, count, make room.

```console
$ cardlink-db init
```

## Looking

```console
$ cardlink-db devices list
No devices.
$ cardlink-db cards list --without-psk --limit 20
$ cardlink-db sessions list --status failed --days 7
```

`devices`, `cards` and `sessions` have `list` and `show`. Lists have a stable order: devices by
id, cards by ICCID, sessions newest first; they end at `--limit` and say so. A table that is wider
than the terminal becomes blocks of names and values, one below the other; into a pipe, nothing is
folded. `--json` gives the records as one document, with times in ISO 8601.

`sessions show` takes the beginning of an id, as git does; one that fits several sessions is an
error that names them. It prints the session's APDUs as a dialogue:

```text
     +0.001 s  → SELECT           00A40004 02 3F00
     +0.019 s  ← 6120     17.4 ms  Normal ending, 32 more bytes available
     +0.020 s  → GET RESPONSE     00C00000 20
     +0.043 s  ← 9000     22.9 ms  Normal ending of the command
                 62208202 78218302 3F00A503 8001718A 01058B03 2F0602C6
     +0.044 s  → READ RECORD      00B20104 24
     +0.061 s  ← 6A83     16.9 ms  Record not found
```

In front stands the time since the session's start. Commands have the names of ETSI TS 102 221,
ISO/IEC 7816-4 and the GlobalPlatform Card Specification; errors are red on a terminal, warnings
yellow. A session of any length is read in flat memory.

A control character in a name or a message is shown as `\x1b`, and controls nothing. Colours are
for terminals: never with `NO_COLOR` set, always with `FORCE_COLOR` set.

Look while the server runs: reading holds nobody up. An APDU shown may hold a PIN, as what is
sent to a card does.

## Counting

```console
$ cardlink-db stats --days 7
Cards: 0 with a PSK, 0 without.
```

`stats` shows sizes, the sessions by status and by day, the status words of their responses, the
latencies by command, the slowest responses and the latest test runs.

Sizes and cards are of all times; everything else is of the sessions created within `--days` (30).
The log has no index on its timestamp, for that would slow the writing of APDUs, so it is reached
through those sessions: the cost grows with the window, not with the log. A window of 500,000
entries in a log of a million took 2 seconds on SQLite, 3 on PostgreSQL and 10 on MariaDB, on two
cores that others used as well; a window of 7 days 1 to 2 seconds on each. From the first second on
it shows how far it has come.

`stats --json` prints one object. Times are ISO 8601 in UTC, durations and latencies milliseconds,
rates 0 to 1; what nothing is known of is `null`. Keys may be added; these stay:

| Key | What it holds |
|---|---|
| `days`, `since`, `taken_at` | the window, its begin, and when the figures were taken |
| `database_bytes` | the whole database; on SQLite the file without the log beside it |
| `tables` | of each table `name`, `rows` and `bytes` with its indexes (`null` where SQLite has no dbstat) |
| `cards` | `total`, `with_psk`, `without_psk` |
| `sessions` | `total`; by status `pending`, `active`, `completed`, `failed`, `timeout`; `success_rate`, the completed share of those that ended; `average_duration_ms` |
| `p95_duration_ms` | the duration that 95 percent of the sessions do not exceed, by nearest rank |
| `session_days` | of each `day` of UTC, without a gap, `total`, `completed`, `failed`, `timeout` |
| `status_words` | the most frequent first: `status_word` (`null` for none), `meaning`, `responses` |
| `commands` | by name, the slowest on average first: `command`, `responses`, `not_9000`, `average_latency_ms`, `maximum_latency_ms` |
| `slowest` | the ten responses that took longest: `session_id`, `log_id`, `timestamp`, `latency_ms`, `status_word`, `command` (the APDU right before it) |
| `test_runs` | the latest ten that began in the window: `run_id`, `total`, `passed`, `failed`, `error`, `skipped`, `open`, `pass_rate`, `duration_ms`, `first_start`, `last_end` |

In Python it is `cardlink_sql.operations.statistics.take_statistics(manager, days)`.

## Timing

A process logs its slow statements: with `CARDLINK_SLOW_QUERY_MS=200` in its environment, or
`DatabaseConfig(url, slow_query_ms=200)`, each one that took 200 ms or longer is a warning of the
logger `cardlink_sql.slow_query`, one line: name, duration, rows, place in `sql/`. 0 logs all.

```text
sessions.find_stale: 412.6 ms, 3 rows, sql/common/sessions.sql:201
COMMIT: 230.1 ms, 0 rows
```

For a metric, a handler is called after each statement:

```python
from cardlink_sql import DatabaseManager, ObservedStatement, UnitOfWork

manager = DatabaseManager()
longest: dict[str, float] = {}


def keep_longest(told: ObservedStatement) -> None:
    longest[told.name] = max(told.duration_ms, longest.get(told.name, 0))


manager.statements.on(keep_longest)
with UnitOfWork(manager) as uow:
    uow.cards.get_psk_key_by_identity("card_0031")
    uow.commit()
assert "cards.get_psk_key_by_identity" in longest
assert "COMMIT" in longest
manager.statements.off(keep_longest)
manager.close()
```

- It is told `name`, `duration_ms`, `rows`, `error` (the class, such as `ConflictError`), `where` (the
  place in `sql/`), `dialect` and `started_at`: never a value, and no message that could quote one.
- The duration is that of the statement as the component waits for it: on its way, in the server, and
  until its last row was fetched. `rows` are those read, or those that a write found.
- What frames a transaction is told, too, as `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT`: it is the
  commit that waits for the disk, and on SQLite `BEGIN IMMEDIATE` that waits for other writers. Not
  told are the settings of a new connection and what migrates or looks at the schema.
- A stream is told page by page, and a batch statement by statement: SQLite and MySQL may take several
  for one batch, PostgreSQL's COPY is one.
- Handlers are called on the thread that sent the statement and take its time: hand long work on. A
  unit of work that was open before the first handler was there does not tell. One that raises is
  logged with its name and stops nobody. What a handler itself sends is not told.
- Nobody observing costs nothing: the statements go to the driver's own cursor. A handler costs some
  7 µs a statement, the slow-query log 5.

What the server counted since it began to, by query:

```text
$ cardlink-db stats --queries --limit 3
Query                           calls   total ms   mean ms   longest ms      rows
logs.copy_log_batch            21,411   96,349.5     4.500        212.8 2,141,100
cards.get_psk_key_by_identity  80,200    2,406.0     0.030          3.1    80,200
sessions.get_by_id             40,102    1,604.1     0.040          2.9    40,102
all others                    161,833    3,236.7     0.020        230.1        12
And 31 more; --limit shows them.
```

| Server | Reads | Turned on by |
|---|---|---|
| PostgreSQL | `pg_stat_statements` | `shared_preload_libraries = 'pg_stat_statements'`, a restart, and in the database `CREATE EXTENSION pg_stat_statements` |
| MySQL | `performance_schema`, by a sample of each statement | on by default |
| MariaDB | `performance_schema` | `performance_schema = ON` and a restart |
| SQLite | nothing: use a handler or the slow-query log | |

Times are the server's own. `all others` is what has no name of a query: `BEGIN` and `COMMIT`, migrations,
other programs in the same database. Two queries that are the same statement to the server count under
one name. MariaDB keeps no comment, so there a query is found by its words, and where two have the same
words, both are named: `cards.page_after or cards.search`. The right it takes is in the guide for the
DBA. `--json` prints `queries`, `others`, `lost` (calls that the server had no room to keep apart) and
`is_approximate`; in Python it is `cardlink_sql.operations.query_statistics.take_query_statistics(manager)`.

## Making room

```console
$ cardlink-db purge --dry-run
Table …
$ cardlink-db purge --yes
$ cardlink-db purge --older-than 14 --tables logs --yes
```

| Name | What goes | Without `--older-than` |
|---|---|---|
| `logs` | entries whose timestamp is older | `retention.logs_days`, 30 |
| `sessions` | sessions that were created and ended before that, with their whole logs | `retention.sessions_days`, 90 |
| `tests` | results recorded before that | `retention.sessions_days` |
| `events` | what the outbox keeps for listeners | 7 days |

A session that has not ended stays. `--dry-run` counts the rows that the purge would delete; a log
entry that goes with its session counts under `logs`. Counting reads the whole log, for it has no
index on time. Without `--yes` the purge asks first, and for that it counts.

The work is done in batches, each a short transaction, and what is old is looked for outside of
them. On SQLite, where writers wait for each other, a batch is 1,000 rows, and after each the purge
pauses for as long as it took: while 211,000 rows went in 6 to 9 seconds, a writer in another process
waited 33 ms at worst and half a millisecond as a rule. PostgreSQL and MariaDB took 8 and 4 seconds, and a
writer there waited for the disk alone. Two purges at once do no harm.

Ctrl-C ends a purge between two batches, and the line that it ends with tells what is gone. What is
gone stays gone; the next purge goes on.

Every night from cron, as a user that may write to the database:

```text
17 3 * * *  cardlink-db purge --yes -d sqlite:////var/lib/cardlink/cardlink.db
```

A server can do it itself, from a timer of its own:

```python
from cardlink_sql import DatabaseManager
from cardlink_sql.operations.retention import purge, retention_days

with DatabaseManager() as manager:
    for table, rows in purge(manager, retention_days(manager)).items():
        print(f"{rows} rows of {table} are gone")
```

SQLite keeps the pages that become free for new rows, and the file its size: `VACUUM` gives the
room back, and locks the database while it copies it. PostgreSQL's autovacuum and InnoDB's purge
need no help.
"""
