r"""# Events

What is committed can be told: to the handlers of the same process, always; and to other
processes, such as a dashboard beside the server, where that is turned on.

## In the process

```console
$ cardlink-db init
```

```python
from cardlink_sql import DatabaseEvent, DatabaseManager, Device, DeviceType, EventType, UnitOfWork

manager = DatabaseManager()
seen = []


def show(event: DatabaseEvent) -> None:
    seen.append((event.event_type, event.entity_id, event.action))


manager.events.on("device_changed", show)  # or EventType.DEVICE_CHANGED, or "*" for all
with UnitOfWork(manager) as uow:
    uow.devices.create(Device(id="R58M123", device_type=DeviceType.PHONE))
    uow.devices.deactivate("R58M123")
    assert seen == []
    uow.commit()
assert seen == [
    ("device_changed", "R58M123", "created"),
    ("device_changed", "R58M123", "deactivated"),
]
manager.events.off("device_changed", show)
```

- Events fire after the commit, in the order of the writes, on the thread that committed. What was
  rolled back, by a savepoint too, or was lost with a failed commit is never told. Between two
  threads there is no order; a listener (below) gives that of the commits.
- A handler is called once an event, however often it was registered. One that raises is logged by
  the logger `cardlink_sql.database.event_bus` with its name, and stops nobody. What a handler itself commits is
  told after the events that came before.
- A handler takes the committer's time: hand long work to a thread of your own. It may open a unit
  of work, which takes a second connection of the pool. A database in memory has only one: there a
  handler must leave the database alone.
- `manager.events.emit(event)` tells the handlers of this process of an event of your own.
- Nobody listening costs a look at an attribute for each write: a transaction without work takes
  0.5 µs longer than without events at all, and the look-up of a PSK nothing.

## What an event says

`event_type`, `entity_type`, `entity_id`, `action`, `timestamp` (UTC, when it was written), `data`
(JSON-ready) and, from a listener, `position`. Where many rows were written at once, `entity_id` is
`None` and `data` has their `count`. No event holds a PSK, encrypted or not; `data` of a device, a
session, a result or a setting is the record as it was stored, with all that you put into it.

| Type | Entity, id | Actions | `data` |
|---|---|---|---|
| `device_changed` | `device`, its id | `created`, `updated`, `seen`, `activated`, `deactivated`, `deleted`; of many `created`, `imported` | the record; `{}` when deleted; of many `{count}` |
| `profile_changed` | `card`, its ICCID | `created`, `updated`, `psk_updated`, `psk_cleared`, `deleted`; of many `created`, `imported` | the record, with `has_psk` and `psk_identity`; `{}` when deleted; of many `{count}` |
| `session_changed` | `session`, its UUID | `created`, `updated`, `started`, `tls_info_set`, `completed`, `failed`, `timeout`, `deleted`; of many `created`, `timeout`, `deleted`, `imported` | the record; `{}` when deleted; of many `{count}`, and `device_id` where they went with their device |
| `log_added` | `session`, its UUID; of an import `log`, `None` | `logged`; `imported` | `{count}`: one event a session for the entries of a transaction that nothing else came between |
| `test_result_added` | `test_result`, its id | `created`, `updated`; of many `created`, `imported` | the record; of many `{count, run_id}`, one event a run; of an import `{count}` |
| `settings_changed` | `setting`, its key | `set`, `created`, `updated`, `deleted`; of many `created`, `imported` | the record; `{}` when deleted; of many `{count}` |
| `batch_completed` | as of its table, `None` | `completed` | `{table, operation, count}`: a method for many rows (`create_all`, `add_log_batch`, `create_results`, `close_stale`, `purge_old`, `delete_many`, `import_yaml`, `import`) is through; it follows the events of the rows. Log entries changed or deleted, and deleted results, are told by it alone |
| `database_error` | `database`, `None` | `failed` | `{error, what, where}`: class, sentence and place of what the database refused; never values |

`database_error` is told at once, for there is no commit to wait for, and to this process alone. The
transaction is still open then: on SQLite a handler that writes would wait for it.

## Across processes

```python
manager.publish_events()  # once for this database; publish_events(on=False) ends it
```

or, from the command line:

```console
$ cardlink-db events on
Who writes to … publishes its events.
```

From then on every process that writes to the database publishes, the command line included: a
process that runs already learns of it within 10 s, before its next transaction. In another
process, here another manager:

```python
dashboard = DatabaseManager()
with dashboard.listen(timeout=5) as listener:
    with UnitOfWork(manager) as uow:
        uow.devices.activate("R58M123")
        uow.commit()
    for event in listener:  # ends after 5 s without an event
        assert event.data["is_active"]
        position = event.position
        break
    assert listener.get(timeout=0) is None

with dashboard.listen(after=position) as listener:  # later, or in another process
    assert listener.position == position
```

`cardlink-db events listen` shows them on a terminal, `--json` as one object a line.

- The events come in the order of the commits, with nothing left out and of any size. One's own are
  not among them: they are those of other managers.
- `get(timeout)` waits for one event and gives `None` when the time is over. An iteration ends
  after `timeout` seconds without an event, and may be begun again. `close()`, from any thread or a
  signal's handler, ends both at once; so does closing the manager.
- `position` is the number of the last event handed out. Keep it beside what you made of the events,
  and `listen(after=position)` goes on there; `after=0` begins with the oldest event kept; without
  it, what is committed from now on is heard.
- A lost connection is made anew and nothing is missed. While the database is away the listener
  tries again every `interval` (0.5 s) and logs it; if it is still away at the end of a timeout,
  that is a `ConnectionError`, after which one goes on as before.
- Events that were purged before they were read raise a `NotFoundError` that names them, and so do
  those that a restore lost: a restored database leaves numbers out. It is raised once: reload what
  you show, then go on.
- A listener is one thread's. After a fork the child goes on with its copy, over a connection of its
  own.

A listener polls: it reads one row every `interval` (0.5 s), on every backend.

A database in memory is its manager's own and refuses `listen()`. So does an SQLite file opened
`read_only`. On the servers a read-only manager may listen.

## How it works, and what it costs

Right before its `COMMIT`, a transaction that publishes adds the number of its events to the one
row of `event_counter`, and inserts them into `event_outbox` with the numbers that it got: two
statements, whatever the number of events. The row stays locked until the commit, so the numbers have no gaps
and are in the order of the commits: no reader can pass by an event that commits late.

So those who publish commit one after another, each holding the row for two round trips
and the flush of its commit. On a machine of two cores with other work beside, one run, alternating:

| | SQLite | PostgreSQL | MariaDB |
|---|---:|---:|---:|
| a transaction of one UPDATE, off | 0.05 ms | 4.0 ms | 5.0 ms |
| the same, on | 0.11 ms | 4.1 ms | 7.0 ms |
| the same without waiting for the disk, off and on | | 0.4 ms, 1.0 ms | |
| 100 APDUs, off | 0.74 ms | 8.0 ms | 10.5 ms |
| the same, on | 0.83 ms | 8.9 ms | 10.4 ms |
| 8 threads, transactions of one UPDATE a second, off | 8,100 | 1,230 | 1,220 |
| the same, on | 2,800 | 350 | 680 |

Log in batches, and the cost is lost beside the writing itself; do not publish where thousands of
small transactions a second come from many connections. It is off until it is turned on, and then
costs each process that writes one read of one row every 10 s. On Galera, publishers on different
nodes conflict at the row (`ConflictError`): let them write through one node. A transaction that
waits for the row for 10 s is a `ConflictError` too, and nothing of it was kept.

## For the operator

Publishing is a fact of the database: `event_counter.publishes`. Whoever writes needs
`SELECT, INSERT, UPDATE` on `event_counter` and `SELECT, INSERT, DELETE` on `event_outbox` (`DELETE`
to purge); whoever listens needs `SELECT` on both, and nothing more for `LISTEN`. Where a role may not read `event_counter`, or the
schema is older, all else works and a warning of `cardlink_sql.outbox.publisher` says that nothing is
published.

The outbox keeps its events until they are purged: longer than any listener is away. They hold
what the records held, deleted ones too.

```python
with UnitOfWork(manager) as uow:
    print(uow.outbox.count_old(days=7), "events are older than a week")
    while uow.outbox.purge_old(days=7, limit=10_000) == 10_000:
        uow.commit()
    uow.commit()
manager.close()
dashboard.close()
```
"""
