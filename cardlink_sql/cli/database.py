"""The database of a command, and the look-ups of several commands."""

from collections.abc import Iterator
from contextlib import contextmanager

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.errors import DatabaseError, NotFoundError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.records import OTASession
from cardlink_sql.unit_of_work import UnitOfWork

# The number of matching sessions that an error lists.
_NAMED = 5


def open_manager(url: str | None, *, read_only: bool = False) -> DatabaseManager:
    """Return the database that the command or else the environment names."""
    config = DatabaseConfig() if url is None else DatabaseConfig(url)
    return DatabaseManager(config, read_only=read_only)


def refuse_missing(manager: DatabaseManager) -> None:
    """Refuse an SQLite file that does not exist: connecting would create an empty one.

    Raises:
        DatabaseError: it is not there.
    """
    if manager.config.is_missing:
        raise DatabaseError(
            "the database file does not exist",
            manager.config.safe_url,
            "check the path, or make it: cardlink-db init",
        )


@contextmanager
def open_to_read(url: str | None) -> Iterator[UnitOfWork]:
    """Yield a read-only unit of work on an existing database.

    Raises:
        DatabaseError: an SQLite file is not there.
    """
    with open_manager(url, read_only=True) as manager:
        refuse_missing(manager)
        with UnitOfWork(manager, read_only=True) as uow:
            yield uow


@contextmanager
def open_to_write(url: str | None) -> Iterator[UnitOfWork]:
    """Yield a unit of work on an existing database, and commit it.

    Raises:
        DatabaseError: an SQLite file is not there.
    """
    with open_manager(url) as manager:
        refuse_missing(manager)
        with UnitOfWork(manager) as uow:
            yield uow
            uow.commit()


def find_session(uow: UnitOfWork, prefix: str) -> OTASession:
    """Return the only session whose id begins with a text.

    Raises:
        NotFoundError: there is none.
        DatabaseError: there are several.
    """
    found = uow.sessions.find_by_prefix(prefix, limit=_NAMED + 1)
    if not found:
        raise NotFoundError(
            f"there is no session {prefix!r}", remedy="run: cardlink-db sessions list"
        )
    if len(found) > 1:
        named = ", ".join(session.id for session in found[:_NAMED])
        raise DatabaseError(
            f"several sessions begin with {prefix!r}",
            remedy=f"they are {named}{', …' if len(found) > _NAMED else ''}",
        )
    return found[0]
