"""The lock: each query's parameters, columns, reads, writes and plans, in files that diff well.

``sql/lock/<dialect>/`` is written from a database that the migrations made: a file for each
gateway, and ``migrations.json`` for what they share: the server, the hashes of the migrations and
of ``sql/internal``. Rewrite it after changing a query, so that the diff shows the effect of the
change.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError
from cardlink_sql.formats.files import write_atomically
from cardlink_sql.queries import Library, Query, Rows, load_internal, load_library, resources
from cardlink_sql.review.databases.backend import NO_REASON, Description, Planned, Refused, Typed
from cardlink_sql.review.databases.target import Target
from cardlink_sql.review.findings import Finding, fault_of
from cardlink_sql.review.statements.access import Access
from cardlink_sql.review.statements.footprint import footprint
from cardlink_sql.review.statements.forms import by_place
from cardlink_sql.review.statements.variants import as_written, query_text
from cardlink_sql.schema.migrator.files import read_migrations, statements_checksum

# The lock of a dialect; what it has of a query; and the entries of its queries, by title.
Lock = dict[str, Any]
Entry = dict[str, Any]
Entries = dict[str, Entry]

REMEDY: Final = "review the change, then rewrite the lock: scripts/lock"

# The file for everything outside the gateways.
_SCHEMA: Final = "migrations"
_NO_TABLE: Final = "no table is read"


def make_lock(target: Target, planner: str, plans: Mapping[str, Sequence[Planned]]) -> Lock:
    """Return the lock of a dialect.

    Args:
        target: a database that the migrations made, for the types.
        planner: the planner of the plans, such as ``PostgreSQL 15``.
        plans: of each query, by title.

    Raises:
        QueryError: the database refuses a query; ``sql check`` reports details.
    """
    library = load_library(target.dialect)
    queries = {
        query.title: _entry(query, _describe(query, target), plans[query.title])
        for query in library.all()
    }
    return {
        "server": target.asked.server(),
        "planner": planner,
        "migrations": _migrations(target.dialect),
        "internal": _internal(target.dialect),
        "queries": queries,
    }


def write_lock(folder: Path, dialect: Dialect, lock: Lock) -> Path:
    """Write the lock of a dialect; return its folder."""
    place = folder / dialect
    place.mkdir(parents=True, exist_ok=True)
    schema = {name: lock[name] for name in lock if name != "queries"}
    parts: dict[str, dict[str, Any]] = {_SCHEMA: schema}
    for title, entry in entries_of(lock).items():
        gateway, _, name = title.partition(".")
        parts.setdefault(gateway, {})[name] = entry
    for name, part in parts.items():
        with write_atomically(place / f"{name}.json") as opened:
            opened.write(f"{json.dumps(part, indent=2, ensure_ascii=False)}\n")
    for file in place.glob("*.json"):
        if file.stem not in parts:
            file.unlink()
    return place


def lock_folder() -> Path:
    """Return the folder of the locks.

    Raises:
        DatabaseError: this kind of installation has no such folder.
    """
    folder = resources.folder("sql")
    if not isinstance(folder, Path):
        raise DatabaseError("the SQL files are inside an archive", str(folder), "use a checkout")
    return folder / "lock"


def read_lock(dialect: Dialect, folder: Traversable | None = None) -> Lock | None:
    """Return the lock of a dialect from its files; None if there is none.

    Raises:
        DatabaseError: a file of it is not a JSON object.
    """
    place = (folder or resources.folder("sql").joinpath("lock")).joinpath(dialect)
    if not place.joinpath(f"{_SCHEMA}.json").is_file():
        return None
    files = sorted((file for file in place.iterdir()), key=lambda file: file.name)
    parts = {file.name.removesuffix(".json"): _read(file, dialect) for file in files}
    schema = parts.pop(_SCHEMA)
    queries = {f"{gateway}.{n}": entry for gateway, of in parts.items() for n, entry in of.items()}
    return {**schema, "queries": queries}


def entries_of(lock: Lock | None) -> Entries:
    """Return the entries of a lock, by title; empty if there is no lock."""
    entries: Entries = lock["queries"] if lock else {}
    return entries


def _read(file: Traversable, dialect: Dialect) -> dict[str, Any]:
    try:
        part = json.loads(file.read_text("utf-8"))
        if isinstance(part, dict):
            return part
    except ValueError:
        pass
    raise DatabaseError("this is not a lock", f"sql/lock/{dialect}/{file.name}", REMEDY)


def check_lock(library: Library, lock: Lock | None) -> list[Finding]:
    """Return the differences between the files and the lock. Needs no database."""
    dialect = library.dialect
    place = f"sql/lock/{dialect}"
    if lock is None:
        return [Finding("lock", place, None, dialect, "there is no lock", REMEDY)]
    migrations = _changed("migration", lock.get("migrations", {}), _migrations(dialect))
    internal = _changed("statement", lock.get("internal", {}), _internal(dialect))
    faults = [
        Finding("lock", where, None, dialect, what, REMEDY)
        for where, sentences in ((f"migrations/{dialect}", migrations), ("sql/internal", internal))
        for what in sentences
    ]
    now = {query.title: query for query in library.all()}
    entries = entries_of(lock)
    for title in sorted(now.keys() | entries.keys()):
        query, entry = now.get(title), entries.get(title)
        if query is None:
            what = "the lock has this query, but the SQL files do not"
            file = f"{place}/{title.partition('.')[0]}.json"
            faults.append(Finding("lock", file, title, dialect, what, REMEDY))
        elif entry is None or entry.get("hash") != hash_of(query):
            what = "is not in the lock" if entry is None else "differs from the lock"
            faults.append(Finding("lock", query.where, title, dialect, what, REMEDY))
    return faults


def check_reasons(
    libraries: Sequence[Library], locks: Mapping[Dialect, Lock | None]
) -> list[Finding]:
    """Return the queries whose plans contradict their ``-- allow-scan:``. Needs no database.

    A shared form needs its reason if it does in any dialect, so it is checked only if the locks
    of all its dialects are up to date.
    """
    faults: list[Finding] = []
    for forms in by_place(query for library in libraries for query in library.all()):
        shared = [(form, entries_of(locks[form.dialect]).get(form.title, {})) for form in forms]
        if all(entry.get("hash") == hash_of(form) for form, entry in shared):
            faults += _check_reason(shared)
    return faults


def _check_reason(shared: Sequence[tuple[Query, Entry]]) -> Iterator[Finding]:
    query = shared[0][0]
    heavy = [
        (form.dialect, f"{does} {entry[does]}")
        for form, entry in shared
        for does in ("scans", "sorts")
        if does in entry
    ]
    if query.source.allow_scan is None and heavy:
        dialect, what = heavy[0]
        said = f"{what}, as its lock has it, and does not say why it may"
        yield Finding("plan", query.where, query.title, dialect, said, NO_REASON)
    elif query.source.allow_scan is not None and not heavy:
        what = "none of its plans reads or sorts a whole growing table, in any dialect"
        remedy = "remove its line -- allow-scan:"
        yield Finding("plan", query.where, query.title, None, what, remedy)


def changed_plans(query: Query, plans: Sequence[Planned], lock: Lock | None) -> Iterator[Finding]:
    """Yield the first plan of a query that differs from the lock; one that it lacks does not."""
    locked = plans_in(entries_of(lock).get(query.title, {}))
    for planned in plans:
        label, now = planned.variant.label, planned.shape.lines or (_NO_TABLE,)
        before = locked.get(label, now)
        if before != now:
            what = f"the plan ({label}) is {' / '.join(now)}, and in the lock {' / '.join(before)}"
            yield fault_of("plan", query, what, REMEDY)
            return


def hash_of(query: Query) -> str:
    """Return a hash of a query's meaning, without its documentation, indentation and place."""
    lines = (" ".join(line.split()) for line in query_text(query).splitlines())
    lists = " ".join(sorted(query.source.lists))
    needs = [query.source.needs] if query.source.needs else []
    return sha256("\n".join([query.rows, lists, *needs, *lines]).encode()).hexdigest()[:16]


def _changed(sort: str, before: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            is_there = "differs from the lock" if name in before else "is not in the lock"
            yield f"the {sort} {name} {is_there if name in now else 'is gone'}"


def _migrations(dialect: Dialect) -> dict[str, str]:
    return {
        migration.id: statements_checksum(migration.statements("apply"))[:16]
        for migration in read_migrations(resources.folder("migrations"), dialect)
    }


def _internal(dialect: Dialect) -> dict[str, str]:
    return {query.title: hash_of(query) for query in load_internal(dialect).all()}


def _entry(query: Query, found: Description, plans: Sequence[Planned]) -> Entry:
    touched = footprint(query)
    shapes = {planned.variant.label: planned.shape for planned in plans}
    scans = {table for shape in shapes.values() for table in shape.scans}
    sorts = {table for shape in shapes.values() for table in shape.sorts}
    entry = {
        "from": query.source.file,
        "hash": hash_of(query),
        "gives": query.rows.value,
        "parameters": dict(sorted(_typed(found.parameters).items())),
        "columns": _typed(found.columns),
        "needs": query.source.needs,
        "may_be_given": ", ".join(sorted(query.conditions)),
        "orders": ", ".join(query.orders),
        **_listed(touched.own),
        "by_foreign_key": _listed(touched.by_foreign_key),
        "plan": {label: _text(shape.lines) for label, shape in shapes.items()},
        "scans": ", ".join(sorted(scans)),
        "sorts": ", ".join(sorted(sorts)),
    }
    return {name: value for name, value in entry.items() if value}


def _text(lines: Sequence[str]) -> str | list[str]:
    """Return a plan; one line becomes a string, so that its diff is one line."""
    return list(lines) if len(lines) > 1 else (*lines, _NO_TABLE)[0]


def _listed(access: Access) -> dict[str, Any]:
    """Return each table's columns on one line, so that a diff has one line per table."""
    return {
        does: {table: ", ".join(columns) for table, columns in tables.items()}
        if isinstance(tables, dict)
        else ", ".join(tables)
        for does, tables in access.as_json().items()
    }


def access_of(entry: Entry) -> Access:
    """Return what an entry has of reads and writes: of a query, or of its foreign keys."""
    reads, inserts, updates = (
        {table: frozenset(names_in(columns)) for table, columns in entry.get(does, {}).items()}
        for does in ("reads", "inserts", "updates")
    )
    return Access(reads, inserts, updates, frozenset(names_in(entry.get("deletes", ""))))


def names_in(listed: str) -> list[str]:
    """Return the names that an entry lists on one line."""
    return [name for name in listed.split(", ") if name]


def plans_in(entry: Entry) -> dict[str, tuple[str, ...]]:
    """Return the lines of each plan of an entry, by variant."""
    return {
        variant: (lines,) if isinstance(lines, str) else tuple(lines)
        for variant, lines in entry.get("plan", {}).items()
    }


def _describe(query: Query, target: Target) -> Description:
    # The types of tables that some databases lack do not come from the migrations.
    if query.rows is Rows.COPY or query.source.needs:
        return Description((), ())
    try:
        return target.asked.describe(as_written(query))
    except Refused as refused:
        raise query.fault(refused.what, "see: cardlink-db sql check") from None


def _typed(of: Iterable[Typed]) -> dict[str, str]:
    """Return the types by name; a name with several types has all of them."""
    types: dict[str, list[str]] = {}
    for one in of:
        never = "NOT NULL" if one.nullable is False else None
        types.setdefault(one.name, []).append(" ".join(filter(None, (one.type, never))))
    return {name: " or ".join(sorted(set(found))) for name, found in types.items()}
