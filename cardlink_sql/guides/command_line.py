r"""# The command line

Every command takes the database from `--url`/`-d`, before or behind the command, or from
`DATABASE_URL`. What it prints for people goes to stdout and what it says of itself to stderr.
Colours are shown on a terminal only, and never with `NO_COLOR` set. Work that takes longer than
a second shows its progress on stderr.

Exit codes: 0 fine, 1 error, 2 wrong usage, 3 migrations are pending, 4 the database does not
agree with its migrations or tables (drift), 130 interrupted. An error is one line that says what
and where, and often a second that says what to do.

`cardlink-db --install-completion` installs completion for bash, zsh, fish and PowerShell.

<!-- help -->

## cardlink-db

```text
Usage: cardlink-db [OPTIONS] COMMAND [ARGS]...

  The database of CardLink: its schema, its contents, its state.

  Example: cardlink-db status

Options:
  -d, --url URL         The database. Without it DATABASE_URL is taken, then
                        sqlite:///data/cardlink.db.
  --install-completion  Install completion for the current shell.
  --show-completion     Show completion for the current shell, to copy it or
                        customize the installation.
  --help                Show this message and exit.

Commands:
  init         Make the schema in a new database.
  migrate      Apply pending migrations, or roll back to an earlier one.
  status       Show connection, migrations and drift; change nothing.
  replay       Record a trace of OTA sessions and show what was recorded.
  export       Write tables to a file: json, yaml, jsonl, or csv for a...
  import       Import an export: all of it, or nothing.
  import-keys  Give cards the PSKs of the admin server's YAML file, all or...
  backup       Back up the database into one file, while others use it.
  restore      Restore a backup: replace an SQLite file, or fill an empty...
  purge        Delete what is older than its retention.
  stats        Show what is recorded, and how sessions, APDUs and tests went.
  devices      Phones and modems.
  cards        Card profiles.
  sessions     OTA sessions and their APDUs.
  tests        Test results, by run.
  settings     What CardLink's components are set to.
  events       What others commit, as it happens: on, off, listen.
  keys         The keys that PSKs are encrypted with.
  schema       The schema and its migrations, for review.
  sql          The statements, for those who review them.

  Exit codes: 0 fine, 1 error, 2 wrong usage, 3 migrations are pending, 4 the
  database does not agree with its migrations (drift).
```

## cardlink-db init

```text
Usage: cardlink-db init [OPTIONS]

  Make the schema in a new database.

  Example: cardlink-db init -d sqlite:///data/cardlink.db

Options:
  --force        Drop every table of CardLink first, with its rows.
  -y, --yes      Do not ask.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db migrate

```text
Usage: cardlink-db migrate [OPTIONS]

  Apply pending migrations, or roll back to an earlier one.

  Example: cardlink-db migrate --dry-run

Options:
  --revision ID  Stop at this migration (0001 will do for 0001_initial_schema).
                 One that lies behind what is applied rolls back to it; base
                 rolls back everything.
  --dry-run      Print the SQL that would run, and what each statement locks;
                 change nothing.
  -y, --yes      Do not ask.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db status

```text
Usage: cardlink-db status [OPTIONS]

  Show connection, migrations and drift; change nothing.

  Migrations are applied or pending. Drift is where the database does not agree
  with the migration files or with the tables that the layer expects.

  Exit code: 0 fine, 1 no connection, 3 migrations are pending, 4 drift.

  Example: cardlink-db status --verbose

Options:
  -v, --verbose  Rows and bytes of each table, too.
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db replay

```text
Usage: cardlink-db replay [OPTIONS] {TRACE}

  Record a trace of OTA sessions and show what was recorded.

  All of it is recorded, or nothing. PSKs are stored encrypted, so
  CARDLINK_ENCRYPTION_KEY must be set.

  Example: cardlink-db replay trace.jsonl

Arguments:
  TRACE <path>  A recorded OTA trace (JSON lines), or a capture of APDUs (pcap,
                pcapng).  [required]

Options:
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db export

```text
Usage: cardlink-db export [OPTIONS]

  Write tables to a file: json, yaml, jsonl, or csv for a spreadsheet.

  All tables are as they stood at one moment, and no writer waits. jsonl takes a
  database of any size in flat memory. csv holds one table and is not imported.

  Example: cardlink-db export --tables devices,cards --output cards.yaml

Options:
  -o, --output FILE               The file to write; - is stdout.  [required]
  --format <json|yaml|jsonl|csv>  Without it the file's name tells.
  --tables LIST                   Which tables, with commas between: devices,
                                  cards, sessions, logs, tests, settings.
                                  Without it all of them.
  --since TIME                    Sessions, logs and tests from then on; the
                                  other tables are whole. ISO 8601 with a zone,
                                  or a date: its midnight in UTC.
  --session ID                    One session, with its log, device and card.
  --include-keys                  The PSKs, too, encrypted under a passphrase.
  --unencrypted-keys              With --include-keys: the PSKs as hex, for
                                  everyone who reads the file.
  --passphrase-file FILE          The passphrase of the keys, its first line.
                                  Without it CARDLINK_EXPORT_PASSPHRASE is
                                  taken, then it is asked for.
  -y, --yes                       Do not ask.
  -d, --url URL                   The database. Without it DATABASE_URL is
                                  taken, then sqlite:///data/cardlink.db.
  --help                          Show this message and exit.
```

## cardlink-db import

```text
Usage: cardlink-db import [OPTIONS] {FILE}

  Import an export: all of it, or nothing.

  The file is checked first, and every fault is named with its place. Keys in it
  need its passphrase, and CARDLINK_ENCRYPTION_KEY to be stored.

  Example: cardlink-db import lab.jsonl --conflict merge --dry-run

Arguments:
  FILE <path>  An export: json, yaml or jsonl.  [required]

Options:
  --format <json|yaml|jsonl|csv>  Without it the file's name tells.
  --conflict <skip|overwrite|merge>
                                  What happens to a row that the database has:
                                  skip keeps it, overwrite writes every field of
                                  the file, merge fills what is NULL and adds to
                                  JSON objects the keys that they lack.
                                  [default: skip]
  --dry-run                       Do all of it, and roll it back.
  --passphrase-file FILE          The passphrase of the keys, its first line.
                                  Without it CARDLINK_EXPORT_PASSPHRASE is
                                  taken, then it is asked for.
  --json                          As JSON.
  -d, --url URL                   The database. Without it DATABASE_URL is
                                  taken, then sqlite:///data/cardlink.db.
  --help                          Show this message and exit.
```

## cardlink-db import-keys

```text
Usage: cardlink-db import-keys [OPTIONS] {FILE}

  Give cards the PSKs of the admin server's YAML file, all or none.

  A key goes to the card that claims its identity; one that no card claims is an
  error. PSKs are stored encrypted, so CARDLINK_ENCRYPTION_KEY must be set.

  Example: cardlink-db import-keys keys.yaml --dry-run

Arguments:
  FILE <path>  YAML with keys: and its identity: hex lines.  [required]

Options:
  --dry-run      Say what would change; change nothing.
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db backup

```text
Usage: cardlink-db backup [OPTIONS] {FILE}

  Back up the database into one file, while others use it.

  The file holds the PSKs as they are stored, encrypted; only its owner may read
  it. The encryption keys are not in it: back them up elsewhere.

  Example: cardlink-db backup cardlink-2026-11-23.backup

Arguments:
  FILE <path>  The backup to make.  [required]

Options:
  --method <auto|native|jsonl>  native: SQLite's online backup, pg_dump,
                                mariadb-dump or mysqldump. jsonl: restores into
                                every backend. auto: native where the tool is
                                there.  [default: auto]
  --force                       Replace FILE if it is there.
  --json                        As JSON.
  -d, --url URL                 The database. Without it DATABASE_URL is taken,
                                then sqlite:///data/cardlink.db.
  --help                        Show this message and exit.
```

## cardlink-db restore

```text
Usage: cardlink-db restore [OPTIONS] {FILE}

  Restore a backup: replace an SQLite file, or fill an empty database of a
  server.

  The backup is verified first: integrity, migrations, the rows of each table.
  An SQLite file is replaced in one step, and the old one is kept; stop what
  uses it first. On a server make an empty database, restore there, and point
  DATABASE_URL at it.

  Example: cardlink-db restore cardlink-2026-11-23.backup -d
  sqlite:///data/cardlink.db

Arguments:
  FILE <file>  A backup.  [required]

Options:
  --check        Only read FILE and say whether it is whole.
  -y, --yes      Do not ask.
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db purge

```text
Usage: cardlink-db purge [OPTIONS]

  Delete what is older than its retention.

  A log entry is as old as its timestamp, a session as its end, a test result as
  its record, an event of the outbox as its time. A session that has not ended
  stays; one that goes takes its whole log along, whatever the retention of
  logs. The work is done in short batches, so that others can write;
  interrupted, it has done whole batches.

  Example: cardlink-db purge --older-than 30 --tables logs,sessions --dry-run

Options:
  --older-than DAYS  Without it the settings say: retention.logs_days for logs,
                     retention.sessions_days for sessions and tests; events go
                     after 7 days.
  --tables NAMES     What to purge, separated by commas.  [default:
                     logs,sessions,tests,events]
  --dry-run          Count what would be deleted; change nothing.
  -y, --yes          Do not ask.
  --json             As JSON.
  -d, --url URL      The database. Without it DATABASE_URL is taken, then
                     sqlite:///data/cardlink.db.
  --help             Show this message and exit.
```

## cardlink-db stats

```text
Usage: cardlink-db stats [OPTIONS]

  Show what is recorded, and how sessions, APDUs and tests went.

  Sessions, APDUs and test runs are those of the window; sizes and cards are of
  all times. The log is read through the sessions of the window, so that a short
  window is quick however large the log is.

  --queries shows calls, times and rows of each query, the one that took most in
  all first, as pg_stat_statements or performance_schema has them. It says what
  to do where they are off.

  Example: cardlink-db stats --days 7

Options:
  --days N       The window: sessions created within so many days; without it
                 30.
  --queries      Instead, what the server counted of each query.
  -n, --limit N  With --queries, rows at most; without it 20, in JSON all.
                 [x>=1]
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db devices

```text
Usage: cardlink-db devices [OPTIONS] COMMAND [ARGS]...

  Phones and modems.

  Example: cardlink-db devices list --type phone

Options:
  --help  Show this message and exit.

Commands:
  list  List devices, by id.
  show  Show a device, with the cards and the sessions that it had.
```

## cardlink-db devices list

```text
Usage: cardlink-db devices list [OPTIONS]

  List devices, by id.

  Example: cardlink-db devices list --type phone --search pixel

Options:
  --type <phone|modem>   Only these.
  --active / --inactive  In use, or out of use.
  --search TEXT          Id, name or model holds this, in any case.
  -n, --limit N          Rows at most.  [default: 100; x>=1]
  --json                 As JSON.
  -d, --url URL          The database. Without it DATABASE_URL is taken, then
                         sqlite:///data/cardlink.db.
  --help                 Show this message and exit.
```

## cardlink-db devices show

```text
Usage: cardlink-db devices show [OPTIONS] {ID}

  Show a device, with the cards and the sessions that it had.

  Example: cardlink-db devices show R58M42ABCDE

Arguments:
  ID <str>  ADB serial or serial port.  [required]

Options:
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db cards

```text
Usage: cardlink-db cards [OPTIONS] COMMAND [ARGS]...

  Card profiles.

  Example: cardlink-db cards list --without-psk

Options:
  --help  Show this message and exit.

Commands:
  list  List card profiles, by ICCID.
  show  Show a card profile, with the devices and the sessions that it had.
```

## cardlink-db cards list

```text
Usage: cardlink-db cards list [OPTIONS]

  List card profiles, by ICCID. The PSKs are not shown.

  Example: cardlink-db cards list --without-psk

Options:
  --with-psk / --without-psk  That have a PSK, or none.
  --search TEXT               ICCID, IMSI, PSK identity or notes hold this, in
                              any case.
  -n, --limit N               Rows at most.  [default: 100; x>=1]
  --json                      As JSON.
  -d, --url URL               The database. Without it DATABASE_URL is taken,
                              then sqlite:///data/cardlink.db.
  --help                      Show this message and exit.
```

## cardlink-db cards show

```text
Usage: cardlink-db cards show [OPTIONS] {ICCID}

  Show a card profile, with the devices and the sessions that it had. Its PSK is
  not shown.

  Example: cardlink-db cards show 89882110000000000312

Arguments:
  ICCID <str>  18 to 22 digits.  [required]

Options:
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db sessions

```text
Usage: cardlink-db sessions [OPTIONS] COMMAND [ARGS]...

  OTA sessions and their APDUs.

  Example: cardlink-db sessions list --status failed

Options:
  --help  Show this message and exit.

Commands:
  list    List sessions, newest first.
  show    Show a session and its APDUs, as the dialogue that they were.
  export  Write a session's APDUs as a capture for Wireshark.
```

## cardlink-db sessions list

```text
Usage: cardlink-db sessions list [OPTIONS]

  List sessions, newest first.

  An id is cut where it still tells the sessions listed apart, and show takes it
  so; --json has it whole.

  Example: cardlink-db sessions list --status failed --days 7

Options:
  --status <pending|active|completed|failed|timeout>
                                  Only these.
  --device ID                     Of this device.
  --card ICCID                    Of this card.
  --days N                        Created within so many days.
  -n, --limit N                   Rows at most.  [default: 50; x>=1]
  --json                          As JSON.
  -d, --url URL                   The database. Without it DATABASE_URL is
                                  taken, then sqlite:///data/cardlink.db.
  --help                          Show this message and exit.
```

## cardlink-db sessions show

```text
Usage: cardlink-db sessions show [OPTIONS] {ID}

  Show a session and its APDUs, as the dialogue that they were.

  A command stands with its name (ETSI TS 102 221, ISO/IEC 7816-4,
  GlobalPlatform), a response with what its status word means and the time from
  the command to it; in front stands the time since the session's start.

  Example: cardlink-db sessions show 6f0c7a1e

Arguments:
  ID <str>  A session's UUID, or enough of its beginning.  [required]

Options:
  -n, --limit N  Only the first so many APDUs.  [x>=1]
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db sessions export

```text
Usage: cardlink-db sessions export [OPTIONS] {ID}

  Write a session's APDUs as a capture for Wireshark.

  The capture holds GSMTAP packets, a command and its response in each. It holds
  what the APDUs hold, PINs and keys included. cardlink-db replay reads it back.
  The format of a whole database, or of a session with its device and card:
  cardlink-db export.

  Example: cardlink-db sessions export 6f0c7a1e --format pcap --output
  session.pcapng

Arguments:
  ID <str>  A session's UUID, or enough of its beginning.  [required]

Options:
  -o, --output FILE  The file to write; - is stdout.  [required]
  --format <pcap>    What to write.  [default: pcap]
  -d, --url URL      The database. Without it DATABASE_URL is taken, then
                     sqlite:///data/cardlink.db.
  --help             Show this message and exit.
```

## cardlink-db tests

```text
Usage: cardlink-db tests [OPTIONS] COMMAND [ARGS]...

  Test results, by run.

  Example: cardlink-db tests runs

Options:
  --help  Show this message and exit.

Commands:
  runs     List runs in figures, newest first.
  show     Show a run: its figures, its suites and its results.
  compare  Show what differs between two runs, by suite and test.
  history  Show how one test ended, newest first.
  flaky    List the tests that both passed and failed, most failures first.
  junit    Write a run as JUnit XML.
  import   Record JUnit reports as results of a run, all or none.
```

## cardlink-db tests runs

```text
Usage: cardlink-db tests runs [OPTIONS]

  List runs in figures, newest first.

  A test that was tried again counts each time. The pass rate is the passed
  share of what ended and was not skipped.

  Example: cardlink-db tests runs --limit 5

Options:
  -n, --limit N  Rows at most.  [default: 20; x>=1]
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db tests show

```text
Usage: cardlink-db tests show [OPTIONS] {RUN}

  Show a run: its figures, its suites and its results.

  Example: cardlink-db tests show build-4711 --failures

Arguments:
  RUN <str>  The run, as tests runs names it.  [required]

Options:
  --suite NAME   Only this suite.
  --failures     Only what failed, with its whole message.
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db tests compare

```text
Usage: cardlink-db tests compare [OPTIONS] {BEFORE} {AFTER}

  Show what differs between two runs, by suite and test.

  Of a test that ran several times within a run the last result counts. A
  difference is no error: the exit code is 0, but for --check.

  Example: cardlink-db tests compare build-4710 build-4711 --check

Arguments:
  BEFORE <str>  The earlier run.  [required]
  AFTER <str>   The later run.  [required]

Options:
  --factor N     A test is slower beyond so many times the duration.  [default:
                 2.0]
  --check        Exit with 1 where something regressed, for a CI.
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db tests history

```text
Usage: cardlink-db tests history [OPTIONS] {SUITE} {TEST}

  Show how one test ended, newest first.

  Example: cardlink-db tests history ota.install test_cap

Arguments:
  SUITE <str>  The suite.  [required]
  TEST <str>   The test.  [required]

Options:
  -n, --limit N  Rows at most.  [default: 20; x>=1]
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db tests flaky

```text
Usage: cardlink-db tests flaky [OPTIONS]

  List the tests that both passed and failed, most failures first.

  Example: cardlink-db tests flaky --runs 20

Options:
  --runs N       Over so many of the last runs.  [default: 10; x>=1]
  --suite NAME   Of this suite, over its own last runs.
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db tests junit

```text
Usage: cardlink-db tests junit [OPTIONS] {RUN}

  Write a run as JUnit XML.

  Example: cardlink-db tests junit build-4711 --output report.xml

Arguments:
  RUN <str>  The run, as tests runs names it.  [required]

Options:
  --output FILE  Write this file, not the terminal.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db tests import

```text
Usage: cardlink-db tests import [OPTIONS] {FILE...}...

  Record JUnit reports as results of a run, all or none.

  Those of pytest, Maven Surefire, gtest, jest and node are known. A report that
  the run has already changes nothing.

  Example: cardlink-db tests import target/surefire-reports/TEST-*.xml --run
  build-4711

Arguments:
  FILE... <list[Path]>  JUnit XML.  [required]

Options:
  --run RUN      The run that they are of.  [required]
  --device ID    The device of all.
  --card ICCID   The card of all.
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db settings

```text
Usage: cardlink-db settings [OPTIONS] COMMAND [ARGS]...

  What CardLink's components are set to.

  Example: cardlink-db settings set server.port 9443

Options:
  --help  Show this message and exit.

Commands:
  list    Show the settings that hold: the stored ones, and the defaults of...
  get     Print the value that holds for a key: text as it is, anything...
  set     Store the value of a setting.
  export  Write all settings as YAML; what only has a default stands in a...
  import  Store the settings of a YAML file, all or none; what it does not...
  reset   Give declared settings their defaults again; other settings stay.
```

## cardlink-db settings list

```text
Usage: cardlink-db settings list [OPTIONS]

  Show the settings that hold: the stored ones, and the defaults of the others.

  Example: cardlink-db settings list --category server

Options:
  --category NAME  Of this category only.
  --json           As JSON.
  -d, --url URL    The database. Without it DATABASE_URL is taken, then
                   sqlite:///data/cardlink.db.
  --help           Show this message and exit.
```

## cardlink-db settings get

```text
Usage: cardlink-db settings get [OPTIONS] {KEY}

  Print the value that holds for a key: text as it is, anything else as JSON.

  With --json what is known of the setting, too.

  Example: cardlink-db settings get server.port

Arguments:
  KEY <str>  Such as server.port.  [required]

Options:
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db settings set

```text
Usage: cardlink-db settings set [OPTIONS] {KEY} {VALUE}

  Store the value of a setting.

  Example: cardlink-db settings set server.port 9443

Arguments:
  KEY <str>    Such as server.port.  [required]
  VALUE <str>  JSON, such as 9443, true, null or '"12"'; anything else is text.
               [required]

Options:
  --description TEXT  What it is for; else it stays as it was.
  --category NAME     Without it, what stands before the first period of a new
                      key, or general.
  -d, --url URL       The database. Without it DATABASE_URL is taken, then
                      sqlite:///data/cardlink.db.
  --help              Show this message and exit.
```

## cardlink-db settings export

```text
Usage: cardlink-db settings export [OPTIONS]

  Write all settings as YAML; what only has a default stands in a comment.

  Example: cardlink-db settings export --output settings.yaml

Options:
  --output FILE  Write this file, not the terminal.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db settings import

```text
Usage: cardlink-db settings import [OPTIONS] {FILE}

  Store the settings of a YAML file, all or none; what it does not name stays.

  Example: cardlink-db settings import settings.yaml --dry-run

Arguments:
  FILE <path>  YAML as export writes it.  [required]

Options:
  --dry-run      Say what would change; change nothing.
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db settings reset

```text
Usage: cardlink-db settings reset [OPTIONS]

  Give declared settings their defaults again; other settings stay.

  Example: cardlink-db settings reset --category server --yes

Options:
  --category NAME  Of this category only.
  -y, --yes        Do not ask.
  -d, --url URL    The database. Without it DATABASE_URL is taken, then
                   sqlite:///data/cardlink.db.
  --help           Show this message and exit.
```

## cardlink-db events

```text
Usage: cardlink-db events [OPTIONS] COMMAND [ARGS]...

  What others commit, as it happens: on, off, listen.

  Example: cardlink-db events listen

Options:
  --help  Show this message and exit.

Commands:
  on      Let every process that writes to the database publish its events.
  off     Let no process publish its events any more.
  listen  Show the events that other processes commit, until Ctrl-C.
```

## cardlink-db events on

```text
Usage: cardlink-db events on [OPTIONS]

  Let every process that writes to the database publish its events.

  Processes that run already learn of it within 10 seconds. What it costs them
  stands in the guide of the events.

  Example: cardlink-db events on

Options:
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db events off

```text
Usage: cardlink-db events off [OPTIONS]

  Let no process publish its events any more.

  Example: cardlink-db events off

Options:
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db events listen

```text
Usage: cardlink-db events listen [OPTIONS]

  Show the events that other processes commit, until Ctrl-C.

  Example: cardlink-db events listen --timeout 60

Options:
  --after NUMBER     Go on behind this event; 0 begins with the oldest that is
                     kept. Without it only what is committed from now on is
                     shown.  [x>=0]
  --timeout SECONDS  End after so long without an event; without it, never.
  --json             As JSON, one object a line.
  -d, --url URL      The database. Without it DATABASE_URL is taken, then
                     sqlite:///data/cardlink.db.
  --help             Show this message and exit.
```

## cardlink-db keys

```text
Usage: cardlink-db keys [OPTIONS] COMMAND [ARGS]...

  The keys that PSKs are encrypted with.

  Example: cardlink-db keys check

Options:
  --help  Show this message and exit.

Commands:
  generate  Print a new encryption key.
  check     Count the PSKs under each key of CARDLINK_ENCRYPTION_KEY;...
  rotate    Encrypt every PSK anew under the first key of...
```

## cardlink-db keys generate

```text
Usage: cardlink-db keys generate [OPTIONS]

  Print a new encryption key.

  Example: export CARDLINK_ENCRYPTION_KEY=$(cardlink-db keys generate)

Options:
  --help  Show this message and exit.
```

## cardlink-db keys check

```text
Usage: cardlink-db keys check [OPTIONS]

  Count the PSKs under each key of CARDLINK_ENCRYPTION_KEY; change nothing.

  Keys are named by their position. The exit code is 1 where no key opens a
  card's PSK.

  Example: cardlink-db keys check

Options:
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db keys rotate

```text
Usage: cardlink-db keys rotate [OPTIONS]

  Encrypt every PSK anew under the first key of CARDLINK_ENCRYPTION_KEY.

  It may be interrupted, and goes on when it is run again. The exit code is 1
  where no key opens a card's PSK; the others are done.

  Example: cardlink-db keys rotate

Options:
  --batch N      PSKs in a transaction.  [default: 500; 1<=x<=10000]
  --json         As JSON.
  -d, --url URL  The database. Without it DATABASE_URL is taken, then
                 sqlite:///data/cardlink.db.
  --help         Show this message and exit.
```

## cardlink-db schema

```text
Usage: cardlink-db schema [OPTIONS] COMMAND [ARGS]...

  The schema and its migrations, for review.

  Example: cardlink-db schema dump --dialect postgresql

Options:
  --help  Show this message and exit.

Commands:
  dump        Print the schema as canonical DDL, the same text from every...
  lint        Hold the migrations of all dialects to the rules for a...
  compatible  Prepare the queries of another release on the schema of this...
```

## cardlink-db schema dump

```text
Usage: cardlink-db schema dump [OPTIONS]

  Print the schema as canonical DDL, the same text from every version of a
  server.

  Example: cardlink-db schema dump --dialect postgresql

Options:
  --dialect <sqlite|mysql|postgresql>
                                  Without it, the dialect of the database's URL.
  --fresh                         Make it anew: migrate a scratch database on
                                  the URL's server, read it and drop it.
  -d, --url URL                   The database. Without it DATABASE_URL is
                                  taken, then sqlite:///data/cardlink.db.
  --help                          Show this message and exit.
```

## cardlink-db schema lint

```text
Usage: cardlink-db schema lint [OPTIONS]

  Hold the migrations of all dialects to the rules for a database that is in
  use.

  A rule is let off in the comment above a statement: -- allow-lint: rule: the
  reason. The exit code is 1 where something is wrong.

  Example: cardlink-db schema lint

Options:
  --json  As JSON.
  --help  Show this message and exit.
```

## cardlink-db schema compatible

```text
Usage: cardlink-db schema compatible [OPTIONS] {RELEASE}

  Prepare the queries of another release on the schema of this one.

  So its servers can go on while this release is rolled out. The schema is that
  of the migrations, in a scratch database: SQLite's in memory, a server's
  beside the database of the URL. The exit code is 1 where a query is refused.

  Example: cardlink-db schema compatible cardlink_sql-0.1.0-py3-none-any.whl

Arguments:
  RELEASE <path>  Its wheel, a checkout of it, or its sql/ folder.  [required]

Options:
  --dialect <sqlite|mysql|postgresql>
                                  Without it, the dialect of the database's URL.
  --json                          As JSON.
  -d, --url URL                   The database. Without it DATABASE_URL is
                                  taken, then sqlite:///data/cardlink.db.
  --help                          Show this message and exit.
```

## cardlink-db sql

```text
Usage: cardlink-db sql [OPTIONS] COMMAND [ARGS]...

  The statements, for those who review them.

  Example: cardlink-db sql list --gateway sessions

Options:
  --help  Show this message and exit.

Commands:
  list     List every query: what it takes, gives, reads and writes.
  show     Show a query as it reaches the server, with its documentation,...
  explain  Show the plan of a query on the live database, in the database's...
  check    Hold every query against a database, and the dialects' forms...
  lock     Write sql/lock/: what each query takes, gives, reads and writes,...
  impact   Show which queries read or write a table or a column.
  report   Write a report for a browser or a printer: every query, side by...
  grants   Print the GRANT statements of a role: what the queries need, and...
```

## cardlink-db sql list

```text
Usage: cardlink-db sql list [OPTIONS]

  List every query: what it takes, gives, reads and writes.

  Parameters in brackets may be left out. A query that differs has a form of its
  own in the dialects named.

  Example: cardlink-db sql list --gateway sessions

Options:
  --gateway NAME  Of this gateway alone.
  --json          As JSON.
  --help          Show this message and exit.
```

## cardlink-db sql show

```text
Usage: cardlink-db sql show [OPTIONS] {NAME}

  Show a query as it reaches the server, with its documentation, ready to paste.

  Each form that differs is shown, or that of one dialect. Every optional line
  is in and marked: of those that end in "-- when:" the ones whose parameter is
  given are sent, of those that end in "-- order:" the one that was asked for.
  Parameters are written :name; the drivers send placeholders in their places,
  and the values apart.

  Example: cardlink-db sql show sessions.find_by --dialect postgresql

Arguments:
  NAME <str>  Such as sessions.find_active.  [required]

Options:
  --dialect <sqlite|mysql|postgresql>
                                  Of this dialect.
  --json                          As JSON.
  --help                          Show this message and exit.
```

## cardlink-db sql explain

```text
Usage: cardlink-db sql explain [OPTIONS] {NAME}

  Show the plan of a query on the live database, in the database's own words.

  Parameters are bound. Optional lines are in where their --param is given; a
  parameter that must be there and is not given gets a placeholder of its type,
  which is shown. Nothing is written, and without --analyze nothing runs. A time
  is ISO 8601 in UTC, a list has commas, bytes are hex.

  Example: cardlink-db sql explain sessions.find_by -p status=failed --order
  "created_at"

Arguments:
  NAME <str>  Such as sessions.find_active.  [required]

Options:
  -p, --param NAME=VALUE  A parameter; again for another. A condition that has
                          none: its name alone.
  --order ORDER           One of its orders, such as "name desc".
  --analyze               Run it and measure; for what only reads.
  --json                  As JSON.
  -d, --url URL           The database. Without it DATABASE_URL is taken, then
                          sqlite:///data/cardlink.db.
  --help                  Show this message and exit.
```

## cardlink-db sql check

```text
Usage: cardlink-db sql check [OPTIONS]

  Hold every query against a database, and the dialects' forms against each
  other.

  Every query is prepared in every variant and none is executed: parameters,
  columns, types and NULL must agree with the record that it fills; tables,
  migrations and database with one another. The database is the live one of the
  URL, which is only read; where nothing is named, a scratch database in memory.
  Every fault is listed; the exit code is 1 where there is one.

  On a scratch database the plans are judged, too: it is filled with a data set,
  and a query that reads or sorts the whole of a table that grows must say why
  it may (-- allow-scan).

  Example: cardlink-db sql check --dialect postgresql -d
  postgresql://me@localhost/cardlink

Options:
  --dialect <sqlite|mysql|postgresql>
                                  Check on a scratch database of this dialect,
                                  made by the migrations and dropped again:
                                  SQLite's in memory, a server's beside the
                                  database that the URL names.
  --locked                        Instead, hold the files against the lock of
                                  each dialect; needs no database.
  --json                          As JSON.
  -d, --url URL                   The database. Without it DATABASE_URL is
                                  taken, then sqlite:///data/cardlink.db.
  --help                          Show this message and exit.
```

## cardlink-db sql lock

```text
Usage: cardlink-db sql lock [OPTIONS]

  Write sql/lock/: what each query takes, gives, reads and writes, and its
  plans, for a diff.

  SQLite's is made in memory. A server's needs the --url of one, where a scratch
  database is made and dropped again; without it that lock stays, and must be
  right as it is. scripts/lock does it all on servers of its own.

  Example: cardlink-db sql lock -d postgresql://me@localhost/x -d
  mysql://me@localhost/x

Options:
  -d, --url URL  A server; again for another.
  --help         Show this message and exit.
```

## cardlink-db sql impact

```text
Usage: cardlink-db sql impact [OPTIONS] {TABLE[.COLUMN]}

  Show which queries read or write a table or a column.

  Inserting or deleting a row counts for each of its columns. What foreign keys
  do because of a query is included.

  Example: cardlink-db sql impact card_profiles.psk_key_encrypted

Arguments:
  TABLE[.COLUMN] <str>  Such as card_profiles.psk_identity.  [required]

Options:
  --json  As JSON.
  --help  Show this message and exit.
```

## cardlink-db sql report

```text
Usage: cardlink-db sql report [OPTIONS]

  Write a report for a browser or a printer: every query, side by side where
  dialects differ.

  A page for each gateway and each table, a matrix of queries against tables,
  and an entity diagram of the schema; static HTML without scripts. Types and
  plans are those of sql/lock/. No database is needed.

  Example: cardlink-db sql report --output build/sql-report

Options:
  -o, --output DIR  The folder to write: new, empty, or with an older report,
                    which is replaced.  [required]
  --help            Show this message and exit.
```

## cardlink-db sql grants

```text
Usage: cardlink-db sql grants [OPTIONS]

  Print the GRANT statements of a role: what the queries need, and no more.

  Each right is given because a query needs it, which is named. Nothing is
  changed and nothing is connected to. The user must exist. What foreign keys do
  needs no right: they act with the owner's. SQLite has no roles.

  Example: cardlink-db sql grants --role app --dialect postgresql --user
  cardlink_app

Options:
  --role <app|reader|dba>         app runs the components, reader only reads,
                                  dba migrates.  [required]
  --dialect <sqlite|mysql|postgresql>
                                  Without it, that of the URL.
  --user NAME                     Whom to grant it; on MySQL NAME or NAME@HOST.
                                  Without it cardlink_ROLE.
  --json                          As JSON.
  -d, --url URL                   The database. Without it DATABASE_URL is
                                  taken, then sqlite:///data/cardlink.db.
  --help                          Show this message and exit.
```

<!-- end of help -->
"""
