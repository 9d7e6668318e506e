"""Calls that a type checker accepts, and calls that it refuses: tests/test_typing.py.

A line that is refused ends in ``# E:`` and what the message says. Nothing runs this file.
"""

from datetime import UTC, datetime

from cardlink_sql import Direction, OTASession, Page, SessionStatus, UnitOfWork


def good(uow: UnitOfWork) -> Page[OTASession]:
    uow.devices.find_by(device_type="phone", imei=None, is_active=True)
    uow.cards.find_one_by(psk_identity="card")
    uow.cards.get_by_id("8944000000000000001")
    uow.logs.get_by_id(5)
    uow.logs.add_log("session", "command", "00A40400")
    uow.logs.add_log("session", Direction.RESPONSE, "9000", latency_ms=1.5)
    uow.sessions.create_session(session_type="polled")
    uow.sessions.find_by_status(SessionStatus.FAILED)
    uow.sessions.count_by(status="failed", created_at=datetime.now(UTC))
    uow.tests.find_by(run_id="run", started_at=None)
    uow.settings.paginate(order_by="category", descending=True)
    page = uow.devices.page_after()
    uow.devices.page_after(page.after)
    return uow.sessions.paginate(order_by="created_at", status=SessionStatus.ACTIVE)


def bad(uow: UnitOfWork) -> None:
    uow.devices.find_by(devcie_type="phone")  # E: Unexpected keyword argument "devcie_type"
    uow.devices.find_by(device_type=3.5)  # E: Literal['phone', 'modem']
    uow.devices.find_by(is_active=None)  # E: expected "bool"
    uow.devices.get_by_id(5)  # E: expected "str"
    uow.logs.exists("5")  # E: expected "int"
    uow.devices.paginate(order_by="nonsense")  # E: expected "Literal['id', 'device_type'
    uow.logs.add_log("session", "up", "00")  # E: Literal['command', 'response']
    uow.sessions.create_session(session_type="pushed")  # E: Literal['triggered', 'polled']
    uow.sessions.find_by_status("done")  # E: Literal['pending', 'active'
    uow.sessions.find_by(error_code="1")  # E: Unexpected keyword argument "error_code"
    uow.tests.count_by(status="failed")  # E: Unexpected keyword argument "status"
    uow.cards.find_by_type("SIM")  # E: Literal['UICC', 'USIM'
    uow.devices.page_after(("device-1",))  # E: expected "Position | None"
    uow.logs.find_by_direction(direction="up", session_id="s")  # E: Literal['command', 'response']
