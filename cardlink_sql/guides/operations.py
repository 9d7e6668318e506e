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

In Python it is `cardlink_sql.statistics.take_statistics(manager, days)`.

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
from cardlink_sql.retention import purge, retention_days

with DatabaseManager() as manager:
    for table, rows in purge(manager, retention_days(manager)).items():
        print(f"{rows} rows of {table} are gone")
```

SQLite keeps the pages that become free for new rows, and the file its size: `VACUUM` gives the
room back, and locks the database while it copies it. PostgreSQL's autovacuum and InnoDB's purge
need no help.
"""
