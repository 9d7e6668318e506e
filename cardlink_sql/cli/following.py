"""``cardlink-db sessions follow``: sessions and their APDUs as other processes write them."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from cardlink_sql.cli.dialogue import print_entry
from cardlink_sql.cli.shared.completion import complete_session
from cardlink_sql.cli.shared.database import find_session, open_manager, shown_ids
from cardlink_sql.cli.shared.options import Url
from cardlink_sql.cli.shared.output import output, styled, visible
from cardlink_sql.database.unreadable_rows import skipped
from cardlink_sql.errors import StateError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.choices import SessionStatus
from cardlink_sql.model.records.session import OTASession
from cardlink_sql.model.times import utc_now
from cardlink_sql.outbox.listener import Listener
from cardlink_sql.unit_of_work import UnitOfWork

_INTERVAL: Final = 1.0
# Transactions that commit later than this after they created a session are not seen.
_LATEST: Final = timedelta(minutes=1)


class _Follower:
    """Remembers what was shown of each session, and shows the rest."""

    def __init__(self, only: str | None, *, as_json: bool) -> None:
        self._only = only
        self._as_json = as_json
        self._status: dict[str, str] = {}
        self._last: dict[str, int] = {}
        self._named: set[str] = set()
        self._shown: dict[str, str] = {}

    @property
    def is_over(self) -> bool:
        """Return whether the only session that is followed has ended."""
        return self._only is not None and self._status.get(self._only) not in ("pending", "active")

    def show(self, uow: UnitOfWork) -> None:
        """Print what is new since the last call, and name what cannot be read."""
        with skipped() as sentences:
            self._show(uow)
        for sentence in dict.fromkeys(sentences):
            if sentence not in self._named:
                self._named.add(sentence)
                typer.echo(f"Not shown: {sentence}", err=True)

    def _show(self, uow: UnitOfWork) -> None:
        sessions = self._sessions(uow)
        self._cut_ids(session.id for session in sessions)
        for session in sessions:
            self._show_head(session)
            for entry in uow.logs.stream_session(session.id, self._last.get(session.id, 0)):
                if self._as_json:
                    _print_object("apdu", entry.to_dict())
                else:
                    print_entry(session, entry, f"{self._shown[session.id]} ")
                self._last[session.id] = entry.id or 0
            self._show_end(session)

    def _cut_ids(self, ids: Iterable[str]) -> None:
        """Cut new ids as far as they differ from all before; what was printed stays as it was."""
        new = [one for one in ids if one not in self._shown]
        if new:
            cut = shown_ids([*self._shown, *new])
            self._shown |= {one: cut[one] for one in new}

    def _sessions(self, uow: UnitOfWork) -> list[OTASession]:
        if self._only is not None:
            return list(uow.sessions.get_many([self._only]).values())
        now = utc_now()
        new = uow.sessions.find_by_date_range(now - _LATEST, now + _LATEST)
        found = {session.id: session for session in (*uow.sessions.find_open(), *new)}
        ended = {key for key, status in self._status.items() if SessionStatus(status).is_end}
        found |= uow.sessions.get_many(self._status.keys() - found.keys() - ended)
        return sorted(found.values(), key=lambda session: session.created_at)

    def _show_head(self, session: OTASession) -> None:
        if session.id not in self._status:
            of = " ".join(filter(None, (session.device_id, session.card_iccid)))
            self._print(session, f"{session.status} {of}")
            self._status[session.id] = session.status

    def _show_end(self, session: OTASession) -> None:
        if session.status.is_end and self._status[session.id] != session.status:
            error = session.error_code or session.error_message or ""
            self._print(session, f"{session.status} after {session.duration_ms or 0:,} ms {error}")
        self._status[session.id] = session.status

    def _print(self, session: OTASession, text: str) -> None:
        if self._as_json:
            _print_object("session", session.to_dict())
        else:
            shown = styled(visible(text.rstrip()), "bold")
            output.print(Text.assemble(f"{self._shown[session.id]} ", shown))


def follow(
    session: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="One session, until it ends; without it, all.",
            autocompletion=complete_session,
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one object a line.")] = False,
    url: Url = None,
) -> None:
    """Show sessions and APDUs as they are written.

    It ends with Ctrl-C, or with the one session.

    It looks once a second, and at once where events are published: cardlink-db events on.

    Example: cardlink-db sessions follow
    """
    with open_manager(url) as manager:
        follower = _Follower(_whole_id(manager, session), as_json=as_json)
        with _listener(manager) as listener:
            while True:
                with UnitOfWork(manager, read_only=True) as uow:
                    follower.show(uow)
                if follower.is_over:
                    return
                _wait(listener)


def _whole_id(manager: DatabaseManager, prefix: str | None) -> str | None:
    if prefix is None:
        return None
    with UnitOfWork(manager, read_only=True) as uow:
        return find_session(uow, prefix).id


@contextmanager
def _listener(manager: DatabaseManager) -> Iterator[Listener | None]:
    try:
        listener = manager.listen()
    except StateError:
        yield None
        return
    with listener:
        yield listener


def _wait(listener: Listener | None) -> None:
    """Wait a second, or until an event comes, and pass over the others that came with it."""
    if listener is None:
        time.sleep(_INTERVAL)
    elif listener.get(_INTERVAL) is not None:
        while listener.get(0) is not None:
            pass


def _print_object(kind: str, values: dict[str, Any]) -> None:
    typer.echo(json.dumps({kind: values}, ensure_ascii=not output.is_unicode))
