"""Writes what a recorder has gathered: one transaction, and nothing twice or lost by it."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Final

from cardlink_sql.errors import (
    CommitInDoubtError,
    DatabaseError,
    IntegrityError,
    NotFoundError,
    StateError,
    ValidationError,
)
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.choices import SESSION_ENDS, Direction
from cardlink_sql.model.records.session import OTASession
from cardlink_sql.unit_of_work import UnitOfWork

# What the database says about one item. Any other error is about the database itself.
_REFUSALS: Final = (IntegrityError, NotFoundError, StateError, ValidationError)
# A session takes each of these once, and keeps the time that it had.
_BEGINS: Final = frozenset({"create_session", "open_session"})
_ONCE: Final = _BEGINS | {"start_session"} | SESSION_ENDS.keys()
_KIB: Final = 1024
# Sessions that are asked whether a COMMIT took place.
_WITNESSES: Final = 3
# Sessions that are isolated together at first, where the database refused an item.
_TOGETHER: Final = 32
# Sessions that are remembered, each with a number.
_MOST_SESSIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Item:
    """One call of a recorder's method that waits to be written.

    Attributes:
        method: its name, which is also the gateway's.
        session_id: the session.
        values: the other arguments, checked.
        card_of: the PSK identity whose card a new session gets.
        put_at: when it was put in, by the monotonic clock.
        is_now: its time is that of the call, so it may be moved to the start of the session.
        weight: the room that the item takes: one, and one more for each KiB.
    """

    method: str
    session_id: str
    values: dict[str, Any]
    card_of: str | None
    put_at: float
    is_now: bool = False
    weight: int = field(init=False)

    def __post_init__(self) -> None:
        texts = (v if isinstance(v, str) else str(v) for v in self.values.values() if v)
        length = sum(map(len, texts))
        object.__setattr__(self, "weight", 1 + length // _KIB)

    @property
    def is_log(self) -> bool:
        """Return whether it is an APDU."""
        return self.method == "add_log"

    def apply(self, uow: UnitOfWork) -> None:
        """Call the method."""
        values = self.values
        if self.card_of is not None:
            card = uow.cards.find_one_by(psk_identity=self.card_of)
            values = {**values, "card_iccid": None if card is None else card.iccid}
        gateway = uow.logs if self.is_log else uow.sessions
        call = partial(getattr(gateway, self.method), session_id=self.session_id)
        try:
            call(**values)
        except StateError:
            start = uow.sessions.start_of_active(self.session_id) if self.is_now else None
            if start is None:
                raise
            call(**{**values, "at": start})

    def is_seen_in(self, session: OTASession) -> bool:
        """Return whether the session, as stored, shows that this call was committed.

        Somebody else may have created, started or ended it: at another time.
        """
        at: datetime = self.values["at"]
        if self.method in _BEGINS:
            return session.created_at == at
        if self.method == "start_session":
            return session.started_at == at
        times = (at, session.started_at) if self.is_now else (at,)
        return session.status is SESSION_ENDS[self.method] and session.ended_at in times


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """An item that the database refused, without its content.

    Attributes:
        method: the recorder's method that was called, such as ``add_log``.
        session_id: its session.
        error: what the database said.
    """

    method: str
    session_id: str
    error: Exception


@dataclass(slots=True)
class _Attempt:
    """One transaction: what it writes, and how to see later that it was committed."""

    written: list[Item] = field(default_factory=list)
    refused: list[RefusedItem] = field(default_factory=list)
    # How many APDUs some of its sessions had before.
    counted: dict[str, int] = field(default_factory=dict)


class BatchWriter:
    """Writes batches in the order of each session. Not for two threads at once.

    Attributes:
        longest_s: seconds that a transaction may take: a host that is gone may never answer.
    """

    longest_s: ClassVar[float] = 30.0

    def __init__(self, manager: DatabaseManager) -> None:
        self._manager = manager
        self._doubt: _Attempt | None = None
        # The APDUs of each session that runs, as this writer has committed them.
        self._logged: dict[str, int] = {}
        # Why each session that could not be created was refused.
        self._refused_sessions: dict[str, Exception] = {}

    @property
    def is_in_doubt(self) -> bool:
        """Return whether the answer to the last COMMIT was lost: the same batch must come again."""
        return self._doubt is not None

    def write(self, items: list[Item], timeout: float | None = None) -> list[RefusedItem]:
        """Write the items in one transaction; returns those that the database refused.

        Args:
            items: of any sessions.
            timeout: seconds that the transaction may take, ``longest_s`` if ``None``.

        Raises:
            CommitInDoubtError: call it again with the same items; it looks first whether they
                are there.
            DatabaseError: nothing was written.
        """
        limit = self.longest_s if timeout is None else timeout
        doubt = self._doubt
        if doubt is not None:
            took_place = self._took_place(doubt)
            self._doubt = None
            if took_place:
                return self._finish(doubt)
        try:
            attempt = self._commit(items, limit, isolating=False)
        except _REFUSALS:
            attempt = self._commit(items, limit, isolating=True)
        return self._finish(attempt)

    def takes_writes(self) -> bool:
        """Return whether the database takes a session and an APDU, which are not kept."""
        try:
            with UnitOfWork(self._manager, timeout=self.longest_s) as uow:
                session = uow.sessions.create_session()
                uow.logs.add_log(session.id, Direction.COMMAND, "00")
                uow.logs.flush_batch()
                uow.rollback()
        except DatabaseError:
            return False
        return True

    def _without_refused_sessions(self, items: list[Item], attempt: _Attempt) -> list[Item]:
        """Refuse the items of sessions that were refused themselves; returns the others."""
        accepted: list[Item] = []
        for item in items:
            if item.method in _BEGINS:
                # The card may have been made since.
                self._refused_sessions.pop(item.session_id, None)
            error = self._refused_sessions.get(item.session_id)
            if error is None:
                accepted.append(item)
            else:
                attempt.refused.append(RefusedItem(item.method, item.session_id, error))
        return accepted

    def _forget_refusals(self, uow: UnitOfWork, items: list[Item]) -> None:
        """Forget the refusal of sessions that somebody else has created since."""
        refused = {item.session_id for item in items} & self._refused_sessions.keys()
        for session_id in uow.sessions.get_many(refused) if refused else ():
            del self._refused_sessions[session_id]

    def _commit(self, items: list[Item], timeout: float, *, isolating: bool) -> _Attempt:
        attempt = _Attempt()
        with UnitOfWork(self._manager, timeout=timeout) as uow:
            if self._refused_sessions:
                self._forget_refusals(uow, items)
                items = self._without_refused_sessions(items, attempt)
            items = in_phases(items)
            if isolating:
                self._isolate(uow, items, attempt)
            else:
                self._count(uow, items, attempt, all_sessions=False)
                for item in items:
                    item.apply(uow)
                attempt.written = items
            try:
                uow.commit()
            except CommitInDoubtError:
                self._doubt = attempt
                raise
        return attempt

    def _isolate(self, uow: UnitOfWork, items: list[Item], attempt: _Attempt) -> None:
        """Write what can be written: some sessions, each session, then halves of a session."""
        sessions = by_session(items)
        self._refuse_missing(uow, sessions, attempt)
        waiting = list(sessions.values())
        left = [item for one in waiting for item in one]
        self._count(uow, left, attempt, all_sessions=True)
        for start in range(0, len(waiting), _TOGETHER):
            some = waiting[start : start + _TOGETHER]
            together = in_phases([item for one in some for item in one])
            if _refusal(uow, together, attempt) is not None:
                for one in some:
                    self._isolate_in_session(uow, one, attempt)

    def _refuse_missing(
        self, uow: UnitOfWork, sessions: dict[str, list[Item]], attempt: _Attempt
    ) -> None:
        """Take out the sessions that are not there, and that no item begins, by one look-up."""
        begun = {key for key, items in sessions.items() if any(i.method in _BEGINS for i in items)}
        unknown = list(sessions.keys() - begun)
        there = uow.sessions.get_many(unknown)
        for session_id in unknown:
            if session_id not in there:
                error = NotFoundError(f"there is no session {session_id}", "ota_sessions")
                attempt.refused += [
                    RefusedItem(item.method, session_id, error) for item in sessions.pop(session_id)
                ]
                self._refused_sessions[session_id] = error
        _forget_oldest(self._refused_sessions)

    def _isolate_in_session(self, uow: UnitOfWork, items: list[Item], attempt: _Attempt) -> None:
        items = self._without_refused_sessions(items, attempt)
        error = _refusal(uow, items, attempt)
        if error is None:
            return
        begins = any(item.method in _BEGINS for item in items)
        session_id = items[0].session_id
        is_missing = (not begins or len(items) == 1) and not uow.sessions.exists(session_id)
        if is_missing or len(items) == 1:
            attempt.refused += [RefusedItem(item.method, session_id, error) for item in items]
        else:
            middle = len(items) // 2
            self._isolate_in_session(uow, items[:middle], attempt)
            self._isolate_in_session(uow, items[middle:], attempt)
        if is_missing:
            self._refused_sessions[session_id] = error
            _forget_oldest(self._refused_sessions)

    def _finish(self, attempt: _Attempt) -> list[RefusedItem]:
        """Keep count of the APDUs of each session, until it ends."""
        for item in attempt.written:
            if item.method in _BEGINS:
                self._logged[item.session_id] = 0
            elif item.method in SESSION_ENDS:
                self._logged.pop(item.session_id, None)
            elif item.is_log and item.session_id in self._logged:
                self._logged[item.session_id] += 1
        _forget_oldest(self._logged)
        return attempt.refused

    # A COMMIT whose answer was lost

    def _count(
        self, uow: UnitOfWork, items: list[Item], attempt: _Attempt, *, all_sessions: bool
    ) -> None:
        """Note how many APDUs sessions have; ask, where nothing else may show the commit later."""
        asks = all_sessions or not any(item.method in _ONCE for item in items)
        for item in items:
            session_id = item.session_id
            if item.is_log and session_id not in attempt.counted:
                if session_id not in self._logged:
                    if not asks:
                        continue
                    self._logged[session_id] = uow.logs.count_by_session(session_id)
                attempt.counted[session_id] = self._logged[session_id]
                if not all_sessions and len(attempt.counted) == _WITNESSES:
                    return
                asks = all_sessions

    def _took_place(self, attempt: _Attempt) -> bool:
        """Return whether an attempt was committed: all of it was, or nothing.

        Several sessions are asked, since somebody else may have ended or deleted one meanwhile.
        If none shows it, what is written twice, if anything, sets the same values again.
        """
        once: dict[str, Item] = {}
        for item in attempt.written:
            if item.method in _ONCE:
                once.setdefault(item.session_id, item)
        first = sorted(once.values(), key=lambda item: item.method not in _BEGINS)
        logged = {item.session_id for item in attempt.written if item.is_log}
        counted = [pair for pair in attempt.counted.items() if pair[0] in logged]
        return any(map(self._was_done, first[:_WITNESSES])) or any(
            self._has_more(session_id, before) for session_id, before in counted[:_WITNESSES]
        )

    def _has_more(self, session_id: str, before: int) -> bool:
        """Return whether a session has got APDUs, after a COMMIT that is still under way."""
        with UnitOfWork(self._manager, timeout=self.longest_s) as uow:
            uow.sessions.lock(session_id)
            count = uow.logs.count_by_session(session_id)
            uow.rollback()
        return count > before

    def _was_done(self, item: Item) -> bool:
        try:
            # Tried again, it waits for a COMMIT that is still under way.
            with UnitOfWork(self._manager, timeout=self.longest_s) as uow:
                item.apply(uow)
                uow.rollback()
        except _REFUSALS:
            with UnitOfWork(self._manager, read_only=True, timeout=self.longest_s) as uow:
                session = uow.sessions.get_by_id(item.session_id)
            return session is not None and item.is_seen_in(session)
        return False


def _refusal(uow: UnitOfWork, items: list[Item], attempt: _Attempt) -> Exception | None:
    """Write all the items or none; returns why the database refused one of them."""
    try:
        with uow.savepoint():
            for item in items:
                item.apply(uow)
    except _REFUSALS as error:
        return error
    attempt.written += items
    return None


def in_phases(items: list[Item]) -> list[Item]:
    """Return the items with the APDUs of several sessions together, each session in its order.

    APDUs that follow each other are sent in one statement.
    """
    phases: dict[str, int] = {}
    keyed: list[tuple[int, Item]] = []
    for item in items:
        phase = phases.get(item.session_id, 0)
        # Even phases change sessions, odd ones log APDUs.
        phase += (phase % 2 == 1) != item.is_log
        phases[item.session_id] = phase
        keyed.append((phase, item))
    keyed.sort(key=lambda pair: pair[0])
    return [item for _, item in keyed]


def by_session(items: list[Item]) -> dict[str, list[Item]]:
    """Return the items of each session, in their order."""
    sessions: dict[str, list[Item]] = {}
    for item in items:
        sessions.setdefault(item.session_id, []).append(item)
    return sessions


def _forget_oldest(remembered: dict[str, Any]) -> None:
    for session_id in list(islice(remembered, max(0, len(remembered) - _MOST_SESSIONS))):
        del remembered[session_id]
