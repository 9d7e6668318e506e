r"""# Settings

What the server, the dashboard, the metrics and the purge are set to, kept in the database that
they share. A setting is a key with a JSON value, a description and a category.

| Key | Default | Takes | |
|---|---|---|---|
| `dashboard.enabled` | `true` | true or false | whether the dashboard runs |
| `dashboard.port` | 8080 | 1 to 65535 | TCP port |
| `metrics.enabled` | `true` | true or false | whether metrics are served |
| `metrics.port` | 9090 | 1 to 65535 | TCP port |
| `retention.logs_days` | 30 | 1 to 36500 | days that communication logs are kept |
| `retention.sessions_days` | 90 | 1 to 36500 | days that OTA sessions are kept |
| `server.port` | 8443 | 1 to 65535 | TCP port |
| `server.timeout` | 60 | 1 to 86400 | seconds that the server waits for a card |

These are declared, in `cardlink_sql/model/declared_settings.py`: each has a default that holds until
another value is stored, takes certain values only, and has the category that stands before its
period. Any other key may be stored as well, with any JSON value, of up to 262,144 characters and
31 levels, in a category of its own: `server.prot` is taken for a misspelled `server.port` and
refused, and so is `server` with a mapping behind it.

## In a component

```python
from cardlink_sql import DatabaseManager, UnitOfWork, ValidationError

manager = DatabaseManager()
manager.create_tables()

with UnitOfWork(manager) as uow:
    assert uow.settings.get_int("server.port") == 8443
    uow.settings.set_value("server.port", 9443)
    uow.settings.set_value("lab.operator", "Ada", description="who to call", category="people")
    uow.commit()

with UnitOfWork(manager, read_only=True) as uow:
    assert uow.settings.get_int("server.port") == 9443
    assert uow.settings.get_bool("dashboard.enabled")
    assert uow.settings.get_value("lab.colour", default=None) is None
    print([setting.key for setting in uow.settings.get_by_category("server")])
```

- `get_value` gives the stored value, or else the declared default, or else its `default`. A
  stored `None`, `False`, `0` or `""` is a value. Without a `default`, a key that is neither
  stored nor declared is a `NotFoundError`: a mistyped key is not read as nothing.
- `get_int`, `get_bool`, `get_float` and `get_str` hold the value to its type. `True` is no whole
  number, and `1` no boolean.
- `set_value` inserts or updates in one statement, so that two processes may set one new key at
  the same time; the later one wins. A description and a category that are not given stay.
- `get_all_settings`, `get_by_category` and `get_in_force` tell what holds, and whether it is
  stored; `get_all`, `find_by` and the like read the stored rows alone.
- `reset_to_defaults` deletes the stored values of declared settings. Other settings have no
  default and stay.

What is refused names what is accepted:

```python
with UnitOfWork(manager) as uow:
    try:
        uow.settings.set_value("server.port", 70000)
    except ValidationError as error:
        assert str(error) == "settings[server.port]: 70000 is not a whole number from 1 to 65535"

manager.close()
```

A read costs one round trip; nothing is cached. A component that needs a setting for every card
reads it when it starts, and again on `settings_changed`.

## For an operator

```console
$ cardlink-db settings list
lab.operator "Ada" … who to call
server.port 9443 … TCP port of the admin server
server.timeout 60 default Seconds that the admin server waits for a card
$ cardlink-db settings set retention.logs_days 14
retention.logs_days: 14
$ cardlink-db settings get retention.logs_days
14
$ cardlink-db settings export --output settings.yaml
$ cardlink-db settings reset --category retention --yes
retention.logs_days: 30
$ cardlink-db settings import settings.yaml --dry-run
1 created, 0 updated, 2 unchanged by a dry run: nothing was written.
```

`settings set` takes JSON (`9443`, `true`, `null`, `'["a", "b"]'`), and anything else as text; the
text `12` is `'"12"'`. `settings get` prints text as it is, for a shell.

## As YAML

`settings export` writes one key a line, to be read and changed by people. What only has its
default stands in a comment:

```yaml
# TCP port of the admin server: a whole number from 1 to 65535
server.port: 9443
# Seconds that the admin server waits for a card: a whole number from 1 to 86400
# server.timeout: 60

lab.operator:
  value: Ada
  description: who to call
  category: people
```

A mapping with the key `value` is the long form. Whatever else stands behind a key is its value; a
value that is itself a mapping with the key `value` needs the long form.

`settings import` merges: it stores what the file names, all of it or nothing, and leaves every
other setting alone. It says what was created, updated and unchanged. Everything that is wrong
with a file is named at once, each with its line.

PyYAML reads YAML 1.1, where `yes`, `no`, `on` and `off` are booleans: text of these needs quotes.
What would surprise there is refused, and the message says what to write: dates, `0123` (83 in
YAML 1.1), `12:30` (750), aliases, tags beyond JSON's types, and a key that stands twice. A file
has a MiB at most.
"""
