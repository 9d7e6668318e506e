"""Values that the shell offers after Tab: ids, cards, runs, keys, tables, queries and profiles.

A callback returns nothing rather than fail, and waits a second at most: what a slow or missing
database would offer is left out. Modules are imported when a value is asked for, since every
command imports this file.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from cardlink_sql.unit_of_work import UnitOfWork

_LONGEST_S: Final = 1.0
_MOST: Final = 50

_Complete = Callable[[typer.Context, str], list[str]]


def _of_database(read: "Callable[[UnitOfWork, str], Iterable[str]]") -> _Complete:
    """Return a callback that offers what a read returns for the text typed so far."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        def values() -> Iterable[str]:
            from cardlink_sql.cli.shared.database import open_to_read

            with open_to_read(_url(context)) as uow:
                return read(uow, incomplete)

        return _matching(incomplete, values)

    return complete


def _url(context: typer.Context) -> str | None:
    from cardlink_sql.cli.shared.profiles import profile_url

    root = context.find_root().params
    url, profile = context.params.get("url") or root.get("url"), root.get("profile")
    return profile_url(profile) if url is None and profile else url


def _matching(incomplete: str, find: Callable[[], Iterable[str]]) -> list[str]:
    found: list[str] = []

    def work() -> None:
        with suppress(Exception):
            found.extend(sorted(one for one in find() if one.startswith(incomplete)))

    # A thread that still waits for the database does not keep the process.
    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(_LONGEST_S)
    return list(found)


def _sessions(uow: "UnitOfWork", typed: str) -> Iterable[str]:
    """Return ids of sessions: the newest, or those that begin as typed."""
    gateway = uow.sessions
    found = gateway.find_by_prefix(typed, _MOST) if typed else gateway.find_matching(limit=_MOST)
    return [session.id for session in found]


def _devices(uow: "UnitOfWork", typed: str) -> Iterable[str]:
    return [one.id for one in uow.devices.find_matching(text=typed or None, limit=_MOST)]


def _cards(uow: "UnitOfWork", typed: str) -> Iterable[str]:
    return [one.iccid for one in uow.cards.find_matching(text=typed or None, limit=_MOST)]


complete_session = _of_database(_sessions)
complete_device = _of_database(_devices)
complete_card = _of_database(_cards)
complete_run = _of_database(lambda uow, _typed: [run.run_id for run in uow.tests.get_runs(_MOST)])
_complete_stored = _of_database(
    lambda uow, _typed: [setting.key for setting in uow.settings.find_in_force()]
)


def complete_setting(context: typer.Context, incomplete: str) -> list[str]:
    """Return the keys of the settings, stored and declared; without a database, the declared."""

    def declared() -> Iterable[str]:
        from cardlink_sql.cli.shared.components import load_components
        from cardlink_sql.model.declared_settings import declared_settings

        load_components()
        return declared_settings()

    known = _matching(incomplete, declared)
    return _complete_stored(context, incomplete) or known


def complete_query(incomplete: str) -> list[str]:
    """Return the names of the queries of all dialects."""

    def names() -> Iterable[str]:
        from cardlink_sql.dialect import Dialect
        from cardlink_sql.queries import load_library

        return {query.title for dialect in Dialect for query in load_library(dialect).all()}

    return _matching(incomplete, names)


def complete_column(incomplete: str) -> list[str]:
    """Return the tables, and after a table and a dot its columns."""

    def names() -> Iterable[str]:
        from cardlink_sql.model.tables import metadata

        if "." not in incomplete:
            return metadata.tables
        return [
            f"{table}.{column.name}" for table in metadata.tables.values() for column in table.c
        ]

    return _matching(incomplete, names)


def complete_tables(incomplete: str) -> list[str]:
    """Return the tables of an export, after those typed before a comma."""

    def lists() -> Iterable[str]:
        from cardlink_sql.transfer.exchange.shapes import BY_WORD

        typed = incomplete.rpartition(",")[0]
        named = typed.split(",") if typed else []
        return [",".join([*named, table]) for table in BY_WORD if table not in named]

    return _matching(incomplete, lists)


def complete_profile(incomplete: str) -> list[str]:
    """Return the names of the profiles."""

    def names() -> Iterable[str]:
        from cardlink_sql.cli.shared.profiles import profile_names

        return profile_names()

    return _matching(incomplete, names)
