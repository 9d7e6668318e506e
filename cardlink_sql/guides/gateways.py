r"""# Gateways and the unit of work

For the developer who imports the layer. A `DatabaseManager` stands for the database and serves
all threads of a process. A `UnitOfWork` is one transaction, of one thread; its gateways read and
write, and what they give are plain dataclasses.

```python
from cardlink_sql import CardProfile, DatabaseManager, Device, DeviceType, Direction, UnitOfWork

manager = DatabaseManager()  # DATABASE_URL, or sqlite:///data/cardlink.db
manager.create_tables()

with UnitOfWork(manager) as uow:
    uow.devices.create(Device(id="R58M123", device_type=DeviceType.PHONE, model="SM-G991B"))
    uow.cards.create_with_psk(CardProfile(iccid="89882110000000000312"), "card_0031", bytes(16))
    uow.commit()
```

Leaving the block without `commit()` rolls back. After `commit()` the work may go on: what follows
is a transaction of its own.

## The gateways

| Property | Table | Record |
|---|---|---|
| `uow.devices` | `devices` | `Device` |
| `uow.cards` | `card_profiles` | `CardProfile` |
| `uow.sessions` | `ota_sessions` | `OTASession` |
| `uow.logs` | `comm_logs` | `CommLog` |
| `uow.tests` | `test_results` | `TestResult` |
| `uow.settings` | `settings` | `Setting` |

All of them can `get_by_id`, `get_all`, `find_by`, `find_one_by`, `exists`, `count`, `count_by`,
`paginate`, `page_after`, `create`, `create_all`, `update`, `delete` and `delete_by_id`. What each
can do beyond that is in its own reference.

`find_by` takes columns by name; `None` asks for NULL. Which columns is decided by the query, line
by line in its SQL file, so a filter that the query does not know is an error and not a slow
surprise:

```python
from cardlink_sql import QueryError

with UnitOfWork(manager, read_only=True) as uow:
    (phone,) = uow.devices.find_by(device_type="phone", imei=None)
    try:
        uow.devices.find_by(connection_settings={})
    except QueryError as error:
        print(error)  # …devices.sql:…: devices cannot be filtered by 'connection_settings' …
```

## Reading

- `UnitOfWork(manager, read_only=True)` opens no transaction: a read is one round trip, and each
  statement sees what was committed before it. A connection that died while idle is replaced and
  the read is sent again.
- `paginate(page, per_page, order_by)` gives a numbered page with the total. A deep page costs as
  much as all the pages before it.
- `page_after(after, limit)` pages by key and costs the same everywhere; `after` of one page asks
  for the next.
- `uow.logs.stream_session(id)` and `stream_all()` give entries one by one, in flat memory.

```python
with UnitOfWork(manager, read_only=True) as uow:
    page = uow.devices.page_after(limit=100)
    while page.items:
        for device in page.items:
            print(device.id, device.model)
        if page.after is None:
            break
        page = uow.devices.page_after(page.after, limit=100)
```

## Writing, and what may fail

A statement that the database refused ends the unit of work on every backend: PostgreSQL would
refuse all that follows, the others would commit half. What may fail is tried inside a savepoint,
whose error undoes the block alone:

```python
from cardlink_sql import IntegrityError

with UnitOfWork(manager) as uow:
    try:
        with uow.savepoint():
            uow.devices.create(Device(id="R58M123", device_type=DeviceType.PHONE))
    except IntegrityError:
        uow.devices.update_last_seen("R58M123")  # it was there already
    uow.commit()
```

Every error is a `DatabaseError` with `what`, `where` and `remedy`:

| Error | What happened | What to do |
|---|---|---|
| `ValidationError` | a value was refused before it reached the database | mend the value; it is a `ValueError`, too |
| `IntegrityError` | a key, a foreign key or a CHECK refused the row | mend the row |
| `NotFoundError` | the row that was named does not exist | |
| `StateError` | the row does not allow the change | look at it again |
| `ConflictError` | another transaction was in the way; nothing was kept | run the unit of work again |
| `ConnectionError` | no connection | wait, or call somebody |
| `EncryptionError` | a PSK could not be encrypted or decrypted | set the encryption key |
| `QueryError` | an SQL file or its use is wrong | mend the code |
| `MigrationError`, `DriftError` | a migration failed, or files and database disagree | see the guide of migrations |

`ConflictError` is a deadlock or a wait of more than ten seconds for a lock. On PostgreSQL and
MySQL any unit of work that writes may meet one, so what must succeed runs again:

```python
from cardlink_sql import ConflictError


def rename(device_id: str, name: str, attempts: int = 3) -> None:
    for attempt in range(1, attempts + 1):
        try:
            with UnitOfWork(manager) as uow:
                device = uow.devices.get_by_id(device_id)
                assert device is not None
                device.name = name
                uow.devices.update(device)
                uow.commit()
            return
        except ConflictError:
            if attempt == attempts:
                raise


rename("R58M123", "bench phone")
```

## Sessions and their log

A session is pending, then active, and ends once as completed, failed or timeout. Each step is one
conditional UPDATE, so of two workers who end a session one gets a `StateError`. APDUs are buffered
and written together: before any other statement of the unit of work, and before its commit.

```python
with UnitOfWork(manager) as uow:
    session = uow.sessions.create_session(device_id="R58M123", card_iccid="89882110000000000312")
    uow.sessions.start_session(session.id)
    uow.logs.add_log(session.id, Direction.COMMAND, "00A40004023F00")
    uow.logs.add_log(session.id, Direction.RESPONSE, "6A82", latency_ms=17.4)
    uow.sessions.complete_session(session.id)
    uow.commit()

with UnitOfWork(manager, read_only=True) as uow:
    summary = uow.logs.get_session_summary(session.id)
    assert (summary.commands, summary.responses, summary.errors) == (1, 1, 1)
    (error,) = uow.logs.find_errors(session.id)
    assert error.status_message == "File or application not found"
```

How often to commit is yours to weigh: what was not committed is lost with the process. One commit
an APDU is the safest and the slowest; on SQLite and MySQL a commit costs as much as some hundred
entries.

## Threads, forks and the pool

- The manager is for all threads, a unit of work for one.
- The pool has `pool_size + max_overflow` connections, 15 if nothing else is said. When it is used
  up, a unit of work waits for `pool_timeout` seconds and then says so.
- A process that forks after connecting is safe: the child opens connections of its own.
- On SQLite one transaction writes at a time, across all processes; another that wants to write
  waits up to ten seconds. Reading never waits. Keep writing units of work short, and let nothing
  slow, such as a card, answer inside one.

## A query of your own

Another query is three things under one name. The statement, with its documentation, in the
gateway's SQL file:

```sql
-- name: find_silent :many
-- The active devices that nobody has seen since a time, longest silent first.
SELECT id, last_seen
FROM devices
WHERE is_active = TRUE
  AND last_seen < :before
ORDER BY last_seen, id;
```

a method of that name in the gateway, and a test. The columns stand in the order of the record's
fields; a test holds every query of every dialect to its record on the real schema. What
`sql/common` holds runs on all three dialects; a form in `sql/sqlite`, `sql/mysql` or
`sql/postgresql` wins over it and says why it differs.

```python
manager.close()
```
"""
