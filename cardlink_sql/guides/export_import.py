'''# Export and import

The tables as a file, and back into any database of any backend: to move a bench from SQLite to a
server, to hand a colleague one failing session, to look at logs in a spreadsheet. For the whole
database as it is, with its keys, `backup` and `restore` are the shorter way.

## On the command line

```console
$ cardlink-db init
$ cardlink-db export --output lab.jsonl
Exported 0 devices, 0 cards, 0 sessions, 0 logs, 0 tests, 0 settings
$ cardlink-db export --tables devices,cards --output lab.yaml
$ cardlink-db export --since 2026-11-01 --output november.json
$ cardlink-db export --tables logs --output logs.csv
$ cardlink-db import lab.jsonl --dry-run
$ cardlink-db import lab.yaml --conflict merge
```

| Format | For | Memory | Imported |
|---|---|---|---|
| `jsonl` | databases of any size | flat | yes |
| `json` | programs | flat out, the whole file in | yes |
| `yaml` | people who read and edit | flat out, the whole file in | yes |
| `csv` | spreadsheets, one table a file | flat | no |

The file's name tells the format, or else `--format`. `--output -` writes to stdout, and the
summary to stderr. A file is written beside its place and renamed, so that it is there whole or
not at all. All tables are as they stood at one moment, and no writer waits for it; on SQLite the
log beside the database grows while the export reads.

- `--tables` takes the words of the commands: devices, cards, sessions, logs, tests, settings.
  Rows that they refer to in other tables do not come along.
- `--since` takes sessions created, entries logged and results recorded from then on, and the
  sessions of such entries. Devices, cards and settings are whole, so that every reference holds.
- `--session` takes one session with its log, its device and its card.

## What is in a file

A header, then the rows of each table under its name: `devices`, `card_profiles`, `ota_sessions`,
`comm_logs`, `test_results`, `settings`. A row has the columns of its table. Times are ISO 8601 in
UTC with microseconds, JSON documents are themselves, and keys are not there unless asked for.

```text
{"header": {"format": "cardlink-export", "format_version": 1, "schema_version": "0001_…",
            "exported_at": "2026-11-23T03:30:33.185707+00:00", "dialect": "sqlite",
            "tables": ["devices", "comm_logs"]}}
{"table": "devices", "id": "R58M", "device_type": "phone", "name": null, …}
{"table": "comm_logs", "id": 1, "session_id": "d35a8017-…", "raw_data": "00A4040000", …}
{"trailer": {"rows": {"devices": 1, "comm_logs": 1}}}
```

json and yaml are one object: `header`, and a list for each table. What was cut off is noticed: a
jsonl file ends in the line that counts its rows, a yaml file in a line of three dots. A file
written by hand needs of the header `format` and `format_version` alone, and of a row what has no
default:

```python
from pathlib import Path

Path("bench.yaml").write_text("""\\
header: {format: cardlink-export, format_version: 1}
devices:
- id: R58M12ABCDE
  device_type: phone
  connection_settings: {adb: {port: 5037}}
card_profiles:
- iccid: '89882110000000000312'   # digits in quotes: they are text
...
""")
```

```console
$ cardlink-db import bench.yaml
devices          1         0         0           0
cards            1         0         0           0
```

In **csv** every text is in quotes, times are UTC without a zone, and a `'` stands before text that
a spreadsheet would run as a formula or turn into a number: `=…`, `9000`, `6E00`, an ICCID. Take it
off with a replacement, if it is in the way; the file is for people, and no import reads it.

## What an import does

The file is read once and every row checked, as the gateways check what is written; the checked
rows wait in a temporary file. Only then the database is locked for writing, and all of it is
written in one transaction, references first, whatever the order of the file. On SQLite nobody
else writes meanwhile: about a second for 100,000 log entries, so that beyond a million others
may meet a `ConflictError` after their 10 s. Every fault is named with its place, the first hundred of them, and then nothing is imported:

```text
error: lab.jsonl: 2 faults
  line 4: devices[3].device_type: 'tablet' is not phone or modem
  line 9: ota_sessions[0].device_id: neither the file nor the database has 'R5' in devices
```

| `--conflict` | A row that the database has already |
|---|---|
| `skip` (default) | stays as it is |
| `overwrite` | gets every field of the file, times and nulls too; a field that the file leaves out stays |
| `merge` | keeps what it has: only NULL is filled, and JSON objects get the keys that they lack, at every depth; a list is one value, and a setting of null is not empty |

The summary counts rows: created, updated, skipped (different, and left alone), unchanged (as in
the file). `--dry-run` does the work and rolls it back. An import that is repeated changes nothing.

- A session's status, times and error belong together, and so do those of a test result: `merge`
  fills them only where the status is the same.
- An entry of a log is the same where session, time, direction and APDU are; of several such the
  second is the second. Its number is kept where it is free and the order of the session allows
  it; otherwise the database gives one behind all others. On PostgreSQL, numbers are kept where
  the role has `UPDATE` on the sequence `comm_logs_id_seq`.
- The role needs to read the record of migrations, too: a file from a newer schema is refused.

## Keys

The PSKs stay where they are unless `--include-keys` asks for them; then they are encrypted with
AES-256-GCM under a passphrase of 8 characters or more, by scrypt (2**17, 8, 1). It comes from
`--passphrase-file`, from `CARDLINK_EXPORT_PASSPHRASE`, or from a prompt, and never from the
command line. An import needs the same passphrase, and stores the keys under the
`CARDLINK_ENCRYPTION_KEY` of its own database.

```console
$ export CARDLINK_EXPORT_PASSPHRASE=correct-horse-battery
$ cardlink-db export --include-keys --yes --output with-keys.jsonl
$ cardlink-db import with-keys.jsonl --conflict merge
```

`--include-keys --unencrypted-keys` writes them as hex, for everyone who reads the file. A card
that has a PSK gets no other PSK identity from a file without its key: identity and key are one.

## In Python

```python
from datetime import UTC, datetime

from cardlink_sql import DatabaseManager, ValidationError
from cardlink_sql.transfer.exchange import Conflict, Selection, export, import_file

manager = DatabaseManager()
rows = export(
    manager,
    Path("recent.jsonl"),
    selection=Selection(tables=("sessions", "logs"), since=datetime(2026, 11, 1, tzinfo=UTC)),
)
try:
    report = import_file(manager, Path("recent.jsonl"), conflict=Conflict.MERGE)
except ValidationError as error:
    print(error)
else:
    assert report.tables["comm_logs"].created == 0
manager.close()
```

Handlers of `manager.events` learn of an import once it is committed: an event for each table that
it changed, with the number of rows, and a `batch_completed`.

## What it costs

Log entries a second as jsonl, of APDUs of 7 to 21 bytes, on two cores of an AMD EPYC that were
busy with other work, and the memory of the process at its peak (SQLite's own cache is 64 MB of
it). It is the same for a million entries as for 200,000; the file has 300 MB a million.

| | Export | Import | Import again | Memory |
|---|---:|---:|---:|---:|
| SQLite | 75,000 | 30,000 | 15,000 | 140 MB |
| PostgreSQL | 50,000 | 19,000 | 13,000 | 80 MB |
| MariaDB | 39,000 | 17,000 | 18,000 | 75 MB |

Beyond that an import keeps the keys of the rows that are no log entries, some hundred bytes for
each session or test result, and on disk a copy of the file in the folder for temporary files.
'''
