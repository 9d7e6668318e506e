"""The effects of a change of the SQL: this release against another, by the locks of both.

Needs no database. A query is changed if the hash in its lock is; documentation does not count.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.queries.resources import folder
from cardlink_sql.review.grants import Role, required_rights
from cardlink_sql.review.lock import (
    Entries,
    Entry,
    Lock,
    access_of,
    entries_of,
    names_in,
    plans_in,
    read_lock,
)
from cardlink_sql.review.release import Release
from cardlink_sql.schema.migrator.files import read_migrations
from cardlink_sql.schema.migrator.state import State

# Of the other release, and of this one.
_Pair = tuple[Lock, Lock]


@dataclass(frozen=True)
class ChangedQuery:
    """A query that is new, gone or changed, with the dialects whose form is.

    Attributes:
        effects: a sentence for each effect of a new query, and each difference of a changed one.
    """

    query: str
    dialects: tuple[Dialect, ...]
    effects: tuple[str, ...]


@dataclass(frozen=True)
class ChangedPlan:
    """A plan that changed; None where the query had or has no such variant."""

    query: str
    dialect: Dialect
    variant: str
    before: tuple[str, ...] | None
    now: tuple[str, ...] | None


@dataclass(frozen=True)
class ChangedRight:
    """A right that a role needs more, or no longer, and the queries that need it."""

    role: Role
    dialect: Dialect
    right: str
    on: str
    is_needed: bool
    queries: tuple[str, ...]


@dataclass(frozen=True)
class ChangedMigration:
    """A migration that is ``new``, ``edited`` or ``gone``.

    Attributes:
        note: on the locks of a new one as a whole; None for the others.
        statements: each statement of a new one, with its locks.
    """

    id: str
    dialect: Dialect
    what: str
    note: str | None
    statements: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Difference:
    """The differences between this release and another.

    Attributes:
        internal: the statements of ``sql/internal`` that are new, gone or changed.
    """

    new: list[ChangedQuery]
    gone: list[ChangedQuery]
    changed: list[ChangedQuery]
    plans: list[ChangedPlan]
    rights: list[ChangedRight]
    migrations: list[ChangedMigration]
    internal: list[ChangedQuery]


def difference(base: Release) -> Difference:
    """Return the differences of this release from another.

    Raises:
        ValidationError: the other one has no lock.
    """
    locks = {dialect: _locks(base, dialect) for dialect in Dialect}
    queries = {d: (entries_of(old), entries_of(new)) for d, (old, new) in locks.items()}
    migrations = (one for dialect, pair in locks.items() for one in _migrations(dialect, *pair))
    return Difference(
        new=_grouped(_new, queries),
        gone=_grouped(lambda old, new: dict.fromkeys(old.keys() - new, ()), queries),
        changed=_grouped(_changed, queries),
        plans=[plan for d, pair in queries.items() for plan in _plans(d, *pair)],
        rights=[right for d, pair in queries.items() for right in _rights(d, *pair)],
        migrations=sorted(migrations, key=lambda one: one.id),
        internal=_grouped(_internal, locks),
    )


def _internal(before: Lock, now: Lock) -> dict[str, tuple[str, ...]]:
    """Return the statements whose hashes differ, by title; none where a lock does not have them."""
    new: dict[str, str] = now.get("internal", {})
    old: dict[str, str] = before.get("internal", new)
    words = {
        title: "new" if title not in old else "another text" if title in new else "gone"
        for title in old.keys() | new.keys()
        if old.get(title) != new.get(title)
    }
    return {title: (word,) for title, word in words.items()}


def _locks(base: Release, dialect: Dialect) -> _Pair:
    before, now = read_lock(dialect, base.sql.joinpath("lock")), read_lock(dialect)
    if before is None or now is None:
        name = base.name if before is None else "this release"
        what = f"{name} has no sql/lock/{dialect}, which the difference is read from"
        raise ValidationError(what)
    return before, now


def _grouped(
    of: Callable[[Lock, Lock], Mapping[str, tuple[str, ...]]], pairs: Mapping[Dialect, _Pair]
) -> list[ChangedQuery]:
    """Return what changed from one lock, or its entries, to another, by title.

    Dialects with the same changes are one.
    """
    alike: dict[tuple[str, tuple[str, ...]], list[Dialect]] = defaultdict(list)
    for dialect, pair in pairs.items():
        for title, effects in of(*pair).items():
            alike[title, effects].append(dialect)
    return [
        ChangedQuery(title, tuple(dialects), effects)
        for (title, effects), dialects in sorted(alike.items())
    ]


def _new(before: Entries, now: Entries) -> dict[str, tuple[str, ...]]:
    return {
        title: tuple(_sentences("", _effects(entry)))
        for title, entry in now.items()
        if title not in before
    }


def _changed(before: Entries, now: Entries) -> dict[str, tuple[str, ...]]:
    return {
        title: tuple(_changes(before[title], entry))
        for title, entry in now.items()
        if title in before and entry["hash"] != before[title]["hash"]
    }


def _effects(entry: Entry) -> set[tuple[str, str, str]]:
    """Return what a query does, to which table and column; to rows, where no column is named."""
    found = set[tuple[str, str, str]]()
    for by, of in (("", entry), (" by foreign key", entry.get("by_foreign_key", {}))):
        for does, table, columns in access_of(of).effects():
            found |= {(f"{does}{by}", table, column) for column in columns or [""]}
    for does in ("scans", "sorts"):
        found |= {(does, table, "") for table in names_in(entry.get(does, ""))}
    return found


def _sentences(word: str, effects: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Yield a sentence for each table: ``no longer: reads devices (name)``."""
    columns: dict[tuple[str, str], list[str]] = defaultdict(list)
    for does, table, column in sorted(effects):
        columns[does, table] += [column] if column else []
    for (does, table), names in columns.items():
        yield f"{word}{does} {table}" + (f" ({', '.join(names)})" if names else "")


def _changes(before: Entry, now: Entry) -> Iterator[str]:
    """Yield a sentence for each difference of a query's entries."""
    old, new = before["gives"], now["gives"]
    said = [
        *([f"is :{new}, and was :{old}"] if old != new else []),
        *_changed_types("parameter", before.get("parameters", {}), now.get("parameters", {})),
        *_changed_types("column", before.get("columns", {}), now.get("columns", {})),
        *_changed_names("optional parameter", before, now, "may_be_given"),
        *_changed_names("order", before, now, "orders"),
        *_sentences("also ", _effects(now) - _effects(before)),
        *_sentences("no longer ", _effects(before) - _effects(now)),
    ]
    yield from said or ["another text, with the same effects"]


def _changed_types(what: str, before: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        if name not in before:
            yield f"new {what} {name} {now[name]}".rstrip()
        elif name not in now:
            yield f"no {what} {name}"
        elif before[name] != now[name]:
            yield f"{what} {name} is {now[name] or 'unknown'}, not {before[name] or 'unknown'}"


def _changed_names(what: str, before: Entry, now: Entry, part: str) -> Iterator[str]:
    old, new = (names_in(entry.get(part, "")) for entry in (before, now))
    yield from (f"new {what} {name}" for name in new if name not in old)
    yield from (f"no {what} {name}" for name in old if name not in new)


def _plans(dialect: Dialect, before: Entries, now: Entries) -> Iterator[ChangedPlan]:
    """Yield the plans that changed, of queries that both releases have."""
    for title in sorted(before.keys() & now.keys()):
        old, new = plans_in(before[title]), plans_in(now[title])
        for variant in dict.fromkeys([*old, *new]):
            if old.get(variant) != new.get(variant):
                yield ChangedPlan(title, dialect, variant, old.get(variant), new.get(variant))


def _rights(dialect: Dialect, before: Entries, now: Entries) -> Iterator[ChangedRight]:
    if dialect is Dialect.SQLITE:
        return
    accesses = [{title: access_of(one) for title, one in of.items()} for of in (before, now)]
    for role in (Role.APP, Role.READER):
        old, new = (
            {
                (on, right): tuple(titles)
                for on, rights in required_rights(role, dialect, of).items()
                for right, titles in rights.items()
            }
            for of in accesses
        )
        for on, right in sorted(old.keys() ^ new.keys()):
            queries = (old | new)[on, right]
            yield ChangedRight(role, dialect, right, on, (on, right) in new, queries)


def _migrations(dialect: Dialect, before: Lock, now: Lock) -> Iterator[ChangedMigration]:
    old, new = before["migrations"], now["migrations"]
    state = State(read_migrations(folder("migrations"), dialect))
    files = {file.id: file for file in state.files}
    for name in sorted(old.keys() | new.keys()):
        if name not in old and name in files:
            plan = state.planned(files[name], "apply")
            statements = tuple(zip(plan.statements, plan.locks, strict=True))
            yield ChangedMigration(name, dialect, "new", plan.note, statements)
        elif old.get(name) != new.get(name):
            what = "edited" if name in new else "gone"
            yield ChangedMigration(name, dialect, what, None, ())
