"""The counters of ``cardlink-db stats --queries``, kept in a file and compared with it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cardlink_sql.errors import DatabaseError
from cardlink_sql.formats.files import write_atomically
from cardlink_sql.model.times import utc_now
from cardlink_sql.operations.query_statistics import QueryFigures, QueryStatistics

# Below these, a difference is chance, or costs nothing.
_FACTOR: Final = 1.5
_CALLS: Final = 5
_LONG_MS: Final = 100


@dataclass(frozen=True, slots=True)
class Growth:
    """A query that got slower or more frequent, or is new; times in ms, None where not known."""

    query: str
    calls: int
    mean_ms: float
    mean_ms_before: float | None
    calls_per_hour: float
    calls_per_hour_before: float | None


@dataclass(frozen=True, slots=True)
class Since:
    """The queries that got slower or more frequent since a snapshot, or are new."""

    taken_at: str
    queries: list[Growth]


def default_file(safe_url: str) -> Path:
    """Return the file of a database's snapshot, by the rules of XDG."""
    folder = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = sha256(safe_url.encode()).hexdigest()[:16]
    return Path(folder) / "cardlink-db" / f"queries-{name}.json"


def compare_and_keep(figures: QueryStatistics, file: Path) -> Since | None:
    """Compare counters with the snapshot in a file, and replace that by them.

    Returns:
        The comparison; None where there is no snapshot.

    Raises:
        DatabaseError: the file holds something else, or cannot be written; it is unchanged.
    """
    before, now = _read(file), utc_now()
    grown: list[Growth] = []
    if before is not None:
        hours = (now - datetime.fromisoformat(before["taken_at"])).total_seconds() / 3600
        grown = [
            _growth(name, one, before["queries"].get(name), hours)
            for name, one in figures.queries.items()
        ]
    rates = {one.query: one.calls_per_hour for one in grown}
    counted = {
        name: {"calls": one.calls, "total_ms": one.total_ms, "per_hour": rates.get(name)}
        for name, one in figures.queries.items()
    }
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(
            f"the folder cannot be made: {error.strerror}", str(file.parent), "name one: --snapshot"
        ) from error
    with write_atomically(file, private=True) as opened:
        json.dump({"taken_at": now.isoformat(), "queries": counted}, opened, indent=2)
    if before is None:
        return None
    return Since(before["taken_at"], [one for one in grown if _is_notable(one)])


def _read(file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    try:
        found = json.loads(file.read_text("utf-8"))
        datetime.fromisoformat(found["taken_at"])
        found["queries"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatabaseError(
            "this is not a snapshot of stats --queries", str(file), "remove it, or name another"
        ) from error
    return dict(found)


def _growth(name: str, now: QueryFigures, old: Mapping[str, Any] | None, hours: float) -> Growth:
    calls, total_ms = now.calls, now.total_ms
    # Fewer calls than before: the server has begun to count again.
    if old and calls >= old["calls"]:
        calls, total_ms = calls - old["calls"], total_ms - old["total_ms"]
    return Growth(
        query=name,
        calls=calls,
        mean_ms=total_ms / calls if calls else 0.0,
        mean_ms_before=old["total_ms"] / old["calls"] if old and old["calls"] else None,
        calls_per_hour=calls / hours if hours else 0.0,
        calls_per_hour_before=old["per_hour"] if old else None,
    )


def _is_notable(one: Growth) -> bool:
    if one.calls < _CALLS and one.calls * one.mean_ms < _LONG_MS:
        return False
    if one.mean_ms_before is None or one.mean_ms > _FACTOR * one.mean_ms_before:
        return True
    rate = one.calls_per_hour_before
    return rate is not None and one.calls >= _CALLS and one.calls_per_hour > _FACTOR * rate
