"""The database of a command, and the look-ups of several commands."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cardlink_sql.cli.shared.options import argument
from cardlink_sql.cli.shared.profiles import config_of
from cardlink_sql.cli.shared.rows import is_for_programs
from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.dead_scratch import clear_dead_scratch
from cardlink_sql.database.sqlite_file import scratch_file
from cardlink_sql.database.unreadable_rows import none_skipped
from cardlink_sql.errors import DatabaseError, NotFoundError
from cardlink_sql.formats import leftovers
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.records.session import OTASession
from cardlink_sql.unit_of_work import UnitOfWork

# The number of matching sessions that an error lists.
_NAMED = 5


def open_manager(
    url: str | None, *, read_only: bool = False, may_be_missing: bool = False
) -> DatabaseManager:
    """Return the database that the command or else the environment names.

    Raises:
        DatabaseError: an SQLite file is not there, and ``may_be_missing`` is not set.
    """
    config = config_of(url)
    _clear_leftovers(config)
    if not may_be_missing:
        refuse_missing(config)
    manager = DatabaseManager(config, read_only=read_only)
    if not (config.is_sqlite or read_only):
        clear_dead_scratch(manager.engine, config.dialect)
    return manager


def _clear_leftovers(config: DatabaseConfig) -> None:
    """Remove what killed commands left: temporary files, and the half of a restored database."""
    leftovers.clear()
    if config.is_sqlite and not config.is_memory:
        file = Path(config.engine_url.database or "")
        leftovers.clear(file.parent)
        if scratch_file(file).exists():
            from cardlink_sql.transfer.backup.sqlite import clear_scratch

            clear_scratch(file)


def refuse_missing(config: DatabaseConfig) -> None:
    """Refuse an SQLite file that does not exist: connecting would create an empty one.

    Raises:
        DatabaseError: it is not there.
    """
    if config.is_missing:
        raise DatabaseError(
            "the database file does not exist",
            config.safe_url,
            "check the path, or make it: cardlink-db init",
        )


@contextmanager
def open_to_read(url: str | None) -> Iterator[UnitOfWork]:
    """Yield a read-only unit of work on an existing database.

    Raises:
        DatabaseError: an SQLite file is not there.
    """
    with (
        open_manager(url, read_only=True) as manager,
        UnitOfWork(manager, read_only=True) as uow,
    ):
        yield uow


@contextmanager
def open_to_write(url: str | None) -> Iterator[UnitOfWork]:
    """Yield a unit of work on an existing database, and commit it.

    Raises:
        DatabaseError: an SQLite file is not there.
    """
    with open_manager(url) as manager, UnitOfWork(manager) as uow:
        yield uow
        uow.commit()


def shown_ids(ids: list[str]) -> dict[str, str]:
    """Return each id cut as far as it differs from the others; ``find_session`` takes that back.

    A beginning, or where they share a long one, ``b1d5c1de..7c02``.
    """
    for length in range(8, 13):
        if len({one[:length] for one in ids}) == len(ids):
            return {one: one[:length] for one in ids}
    tail = next(n for n in range(4, 29) if len({one[:8] + one[-n:] for one in ids}) == len(ids))
    return {one: f"{one[:8]}..{one[-tail:]}" for one in ids}


def listed_ids(ids: Iterable[str]) -> dict[str, str]:
    """Return each id as a list shows it: whole for programs, else cut."""
    different = list(dict.fromkeys(ids))
    return {one: one for one in different} if is_for_programs() else shown_ids(different)


def find_session(uow: UnitOfWork, text: str, name: str = "ID") -> OTASession:
    """Return the only session that a text means: its id, the beginning, or beginning..end.

    Args:
        uow: where to look.
        text: what the user typed.
        name: how an error names the argument.

    Raises:
        typer.BadParameter: the text is not part of an id.
        NotFoundError: there is none.
        DatabaseError: there are several.
    """
    prefix, dots, tail = text.partition("..")
    with argument(name), none_skipped():
        matching = uow.sessions.find_by_prefix(prefix, limit=None if dots else _NAMED + 1)
    found = [session for session in matching if session.id.endswith(tail.lower())]
    if not found:
        raise NotFoundError(
            f"there is no session {text!r}", remedy="run: cardlink-db sessions list"
        )
    if len(found) > 1:
        named = ", ".join(session.id for session in found[:_NAMED])
        raise DatabaseError(
            f"{text!r} means several sessions",
            remedy=f"they are {named}{', …' if len(found) > _NAMED else ''}",
        )
    return found[0]
