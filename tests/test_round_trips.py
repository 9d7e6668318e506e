"""Round trips to a server, counted through a proxy: on a network they are what work costs."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from cardlink_sql import DatabaseManager, Dialect, IntegrityError, OTASession, UnitOfWork
from tests.conftest import add, card, committed, iccid
from tests.cutting_proxy import CuttingProxy

pytestmark = pytest.mark.parametrize(
    "dialect", [Dialect.MYSQL, Dialect.POSTGRESQL], ids=str, indirect=True
)


@pytest.fixture
def proxy(manager: DatabaseManager) -> Iterator[CuttingProxy]:
    made = CuttingProxy(manager)
    yield made
    made.close()


@pytest.fixture
def remote(manager: DatabaseManager, proxy: CuttingProxy) -> Iterator[DatabaseManager]:
    """The same database through the proxy."""
    with proxy.manager(manager) as made:
        yield made


def trips(proxy: CuttingProxy, work: Callable[[], object]) -> int:
    """The round trips of work whose connection and statements are warm."""
    for _ in range(6):
        work()
    before = proxy.trips
    work()
    return proxy.trips - before


def open_session(manager: DatabaseManager) -> OTASession:
    with committed(manager) as uow:
        return uow.sessions.open_session(
            card_iccid=iccid(1), cipher_suite="TLS_PSK_WITH_AES_128_CBC_SHA256", psk_identity="a"
        )


def open_session_without_card(manager: DatabaseManager) -> OTASession:
    with committed(manager) as uow:
        return uow.sessions.open_session()


def test_a_look_up_is_one_round_trip(remote: DatabaseManager, proxy: CuttingProxy) -> None:
    def look_up() -> None:
        with UnitOfWork(remote, read_only=True) as uow:
            uow.cards.get_psk_key_by_identity("nobody")

    assert trips(proxy, look_up) == 1


def test_a_unit_of_work_that_only_reads_has_no_transaction_to_end(
    remote: DatabaseManager, proxy: CuttingProxy
) -> None:
    def read() -> None:
        with UnitOfWork(remote) as uow:
            uow.cards.get_by_id(iccid(1))

    assert trips(proxy, read) == 1


def test_a_session_is_opened_by_one_insert(remote: DatabaseManager, proxy: CuttingProxy) -> None:
    add(remote, card(1))
    assert trips(proxy, lambda: open_session(remote)) == by(remote, postgresql=2, mysql=3)


# BEGIN travels with COPY, whose data and COMMIT are a round trip each.
@pytest.mark.parametrize(("exchanges", "postgresql", "mysql"), [(1, 2, 3), (50, 3, 3)])
def test_apdus_go_out_together(
    remote: DatabaseManager, proxy: CuttingProxy, exchanges: int, postgresql: int, mysql: int
) -> None:
    with committed(remote) as uow:
        session = uow.sessions.create_session()

    def exchange() -> None:
        with committed(remote) as uow:
            for _ in range(exchanges):
                uow.logs.add_log(session.id, "command", "00A40004023F00")
                uow.logs.add_log(session.id, "response", "9000")

    assert trips(proxy, exchange) == by(remote, postgresql=postgresql, mysql=mysql)


def test_a_step_of_a_session_returns_it_as_stored(
    remote: DatabaseManager, proxy: CuttingProxy
) -> None:
    with committed(remote) as uow:
        waiting = [uow.sessions.open_session() for _ in range(7)]

    def complete() -> None:
        with committed(remote) as uow:
            assert uow.sessions.complete_session(waiting.pop().id).duration_ms is not None

    assert trips(proxy, complete) == by(remote, postgresql=2, mysql=3)


def test_a_refused_step_leaves_no_answer_unread(manager: DatabaseManager) -> None:
    session = open_session_without_card(manager)
    large = replace(session, device_id="missing", metadata={"reason": "x" * 262_100})
    with UnitOfWork(manager) as uow:
        for refused in (replace(session, device_id="missing"), large):
            with pytest.raises(IntegrityError, match="device_id"), uow.savepoint():
                uow.sessions.update(refused)
            assert uow.sessions.get_by_id(session.id) == session


def by(manager: DatabaseManager, *, postgresql: int, mysql: int) -> int:
    return postgresql if manager.dialect is Dialect.POSTGRESQL else mysql
