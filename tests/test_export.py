"""Export: what is in a file, which rows, at which moment, and what a spreadsheet sees."""

import csv
import io
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cardlink_sql import (
    DatabaseManager,
    Direction,
    EncryptionError,
    NotFoundError,
    ValidationError,
)
from cardlink_sql.database.keyring import Keyring
from cardlink_sql.model.choices import TestStatus
from cardlink_sql.model.records.session import OTASession
from cardlink_sql.model.records.test_result import TestResult
from cardlink_sql.transfer.exchange import Format, Keys, Selection, export
from cardlink_sql.transfer.exchange.formats import harmless
from tests.conftest import MOMENT, add, card, committed, device, entry, iccid, on_sqlite, session_id

KEY = bytes(range(16))
OLD = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def filled(manager: DatabaseManager) -> DatabaseManager:
    """Two devices, two cards, three sessions with entries, results, a setting."""
    with committed(manager) as uow:
        uow.devices.create_all([device(1), device(2)])
        uow.cards.create_with_psk(card(1), KEY, psk_identity="one")
        uow.cards.create(card(2, trigger_config={"é": [1, "\u2028"]}))
        for number, created in ((1, OLD), (2, OLD), (3, MOMENT)):
            uow.sessions.create(
                OTASession(
                    session_id(number),
                    device_id=f"device-000{min(number, 2)}",
                    card_iccid=iccid(min(number, 2)),
                    created_at=created,
                )
            )
        uow.logs.add_log_batch(
            [
                entry(session_id(1), "01", timestamp=OLD),
                entry(session_id(2), "02", timestamp=OLD),
                entry(session_id(2), "03", timestamp=MOMENT),
                entry(session_id(3), "04", timestamp=MOMENT),
            ]
        )
        uow.tests.create_results(
            TestResult(f"r{i}", "run", "suite", "test", TestStatus.PASSED, created_at=created)
            for i, created in enumerate((OLD, MOMENT))
        )
        uow.settings.set_value("server.port", 1)
    return manager


def written(manager: DatabaseManager, path: Path, **selected: Any) -> dict[str, Any]:
    export(manager, path, selection=Selection(**selected))
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def keys_of(document: dict[str, Any]) -> dict[str, list[Any]]:
    """The keys of the rows of each table; of entries their APDU."""
    names = {"card_profiles": "iccid", "comm_logs": "raw_data", "settings": "key"}
    return {
        table: [row[names.get(table, "id")] for row in rows]
        for table, rows in document.items()
        if table != "header"
    }


def test_a_header_names_format_version_schema_version_and_time(
    filled: DatabaseManager, tmp_path: Path
) -> None:
    header = written(filled, tmp_path / "f.json", tables=("cards", "devices"))["header"]
    taken = datetime.fromisoformat(header.pop("exported_at"))
    assert abs(taken - datetime.now(UTC)) < timedelta(minutes=1)
    assert header == {
        "format": "cardlink-export",
        "format_version": 1,
        "schema_version": filled.migrator.status().current,
        "dialect": filled.dialect.value,
        "tables": ["devices", "card_profiles"],
    }


def test_a_file_has_every_table_and_all_rows_in_the_order_of_their_keys(
    filled: DatabaseManager, tmp_path: Path
) -> None:
    ids = [session_id(number) for number in (1, 2, 3)]
    found = keys_of(written(filled, tmp_path / "f.json"))
    assert list(found.items()) == [
        ("devices", ["device-0001", "device-0002"]),
        ("card_profiles", [iccid(1), iccid(2)]),
        ("ota_sessions", ids),
        ("comm_logs", ["01", "02", "03", "04"]),
        ("test_results", ["r0", "r1"]),
        ("settings", ["server.port"]),
    ]


def test_more_rows_than_a_page_are_all_there(manager: DatabaseManager, tmp_path: Path) -> None:
    with committed(manager) as uow:
        uow.sessions.create(OTASession(session_id()))
        uow.logs.add_log_batch(entry(raw_data=f"{number:04X}") for number in range(2000))
    told: list[int] = []
    rows = export(manager, tmp_path / "f.jsonl", on_progress=told.append)
    assert rows["comm_logs"] == 2000 == sum(told) - 1
    lines = (tmp_path / "f.jsonl").read_text().splitlines()
    assert json.loads(lines[-1]) == {"trailer": {"rows": rows}}
    assert [json.loads(line)["raw_data"] for line in lines[2:-1]] == [
        f"{number:04X}" for number in range(2000)
    ]


def test_since_takes_sessions_of_which_anything_is_that_young(
    filled: DatabaseManager, tmp_path: Path
) -> None:
    document = written(filled, tmp_path / "f.json", since=MOMENT)
    assert document["header"]["since"] == MOMENT.isoformat()
    found = keys_of(document)
    assert sorted(found["ota_sessions"]) == [session_id(2), session_id(3)]
    assert found["comm_logs"] == ["03", "04"]
    assert found["test_results"] == ["r1"]
    assert len(found["devices"]) == len(found["card_profiles"]) == 2


def test_pages_since_a_time_go_by_it_and_lose_no_row(
    filled: DatabaseManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal times on the edges of pages, late entries, and sessions of which one is recent."""
    monkeypatch.setattr(import_module("cardlink_sql.transfer.exchange.export"), "PAGE", 2)
    numbers = range(10, 17)
    with committed(filled) as uow:
        for number in numbers:
            at = MOMENT + timedelta(seconds=number // 4)
            uow.sessions.create(OTASession(session_id(number), created_at=at))
            uow.tests.create_results(
                [TestResult(f"r{number}", "run", "s", "t", TestStatus.PASSED, created_at=at)]
            )
            late = OLD if number % 2 else at
            uow.logs.add_log_batch(
                [
                    entry(session_id(number), f"{number}", timestamp=late),
                    entry(session_id(1 + number % 2), f"{number}AA", timestamp=late),
                ]
            )
    found = keys_of(written(filled, tmp_path / "f.json", since=MOMENT))
    assert sorted(found["ota_sessions"]) == [session_id(n) for n in (1, 2, 3, *numbers)]
    even = [f"{number}{end}" for number in numbers if number % 2 == 0 for end in ("", "AA")]
    assert found["comm_logs"] == ["03", "04", *even]
    assert found["test_results"] == ["r1", *(f"r{number}" for number in numbers)]


def test_one_session_comes_with_its_log_its_device_and_its_card(
    filled: DatabaseManager, tmp_path: Path
) -> None:
    document = written(filled, tmp_path / "f.json", session_id=session_id(3).upper())
    assert document["header"]["session"] == session_id(3)
    assert keys_of(document) == {
        "devices": ["device-0002"],
        "card_profiles": [iccid(2)],
        "ota_sessions": [session_id(3)],
        "comm_logs": ["04"],
    }
    with pytest.raises(NotFoundError, match="there is no session"):
        export(filled, tmp_path / "g.json", selection=Selection(session_id=session_id(9)))
    assert not (tmp_path / "g.json").exists()


@pytest.mark.parametrize(
    ("selected", "reason"),
    [
        ({"tables": ("card",)}, "'card' is none of: devices, cards"),
        ({"tables": ("",)}, "'' is none of"),
        ({"since": datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001
        ({"session_id": "x"}, "not a UUID"),
        ({"session_id": session_id(), "since": MOMENT}, "exclude each other"),
        ({"session_id": session_id(), "tables": ("tests",)}, "tests are of no session"),
    ],
)
def test_a_selection_that_means_nothing_is_refused(selected: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Selection(**selected)


class WriterBetween(io.BytesIO):
    """A file that calls something when the first bytes come."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self._work: Callable[[], None] | None = work

    def write(self, data: Any) -> int:
        work, self._work = self._work, None
        if work:
            work()
        return super().write(data)


def test_all_tables_are_of_one_moment_and_no_writer_waits(filled: DatabaseManager) -> None:
    def write_meanwhile() -> None:
        with committed(filled) as uow:
            uow.devices.create(device(7))
            uow.logs.add_log(session_id(3), Direction.COMMAND, "FF")

    # A session's check is the first statement, so the moment is before the first byte.
    file = WriterBetween(write_meanwhile)
    export(filled, file, file_format=Format.JSON, selection=Selection(session_id=session_id(3)))
    assert b'"FF"' not in file.getvalue()
    again = io.BytesIO()
    export(filled, again, file_format=Format.JSON)
    assert b'"FF"' in again.getvalue()


@on_sqlite
class TestKeys:
    def test_keys_are_in_no_file_that_did_not_ask_for_them(
        self, filled: DatabaseManager, tmp_path: Path
    ) -> None:
        for each in (Format.JSON, Format.YAML, Format.JSONL):
            export(filled, tmp_path / f"f.{each}")
            text = (tmp_path / f"f.{each}").read_text("utf-8")
            assert "psk_key" not in text
            assert "psk_identity" in text

    def test_under_a_passphrase_nothing_of_them_is_to_be_seen(
        self, filled: DatabaseManager, tmp_path: Path, scrypt: dict[str, int]
    ) -> None:
        assert scrypt == {"n": 2**17, "r": 8, "p": 1}
        path = tmp_path / "f.json"
        export(filled, path, keys=Keys.ENCRYPTED, passphrase="correct horse")
        text = path.read_text()
        document = json.loads(text)
        assert KEY.hex() not in text.lower()
        assert "correct horse" not in text
        assert [row["psk_key"] is None for row in document["card_profiles"]] == [False, True]
        keys = document["header"]["keys"]
        assert (keys["form"], keys["kdf"], keys["cipher"]) == ("encrypted", "scrypt", "AES-256-GCM")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        again = tmp_path / "g.json"
        export(filled, again, keys=Keys.ENCRYPTED, passphrase="correct horse")
        assert json.loads(again.read_text())["header"]["keys"]["salt"] != keys["salt"]

    def test_plain_keys_are_hex(self, filled: DatabaseManager, tmp_path: Path) -> None:
        export(filled, tmp_path / "f.json", keys=Keys.PLAIN)
        rows = json.loads((tmp_path / "f.json").read_text())["card_profiles"]
        assert [row["psk_key"] for row in rows] == [KEY.hex().upper(), None]

    def test_a_short_passphrase_is_refused(self, manager: DatabaseManager, tmp_path: Path) -> None:
        for short in (None, "", "seven77"):
            with pytest.raises(ValidationError, match="8 characters"):
                export(manager, tmp_path / "f.json", keys=Keys.ENCRYPTED, passphrase=short)
        assert list(tmp_path.iterdir()) == []

    def test_a_key_that_does_not_open_names_its_card_and_leaves_no_file(
        self, filled: DatabaseManager, tmp_path: Path
    ) -> None:
        stranger = DatabaseManager(filled.config, keyring=Keyring([Keyring.generate()]))
        path = tmp_path / "f.json"
        path.write_text("what was there")
        with stranger, pytest.raises(EncryptionError, match=iccid(1)):
            export(stranger, path, keys=Keys.PLAIN)
        assert path.read_text() == "what was there"
        assert list(tmp_path.iterdir()) == [path]


class TestCsv:
    def content(self, manager: DatabaseManager, table: str) -> bytes:
        file = io.BytesIO()
        export(manager, file, file_format=Format.CSV, selection=Selection((table,)))
        return file.getvalue()

    def cells(self, manager: DatabaseManager, table: str) -> list[dict[str, str]]:
        data = self.content(manager, table)
        assert data.startswith(b"\xef\xbb\xbf")
        assert data.endswith(b"\r\n")
        return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))

    def test_apdus_stay_what_they_are(self, manager: DatabaseManager) -> None:
        formula = "=HYPERLINK(\"x\")\nsecond; line, 'x'"
        add(
            manager,
            OTASession(session_id()),
            entry(raw_data="00A40400", decoded_data="a;b"),
            entry(raw_data="6E00", direction="response", latency_ms=1.5),
            entry(raw_data="0084000008", decoded_data=formula),
        )
        assert b'"00A40400","a;b"' in self.content(manager, "logs")
        first, second, third = self.cells(manager, "logs")
        assert first["raw_data"] == "00A40400"
        assert first["timestamp"] == "2026-03-29 00:59:59.987654"
        assert (second["raw_data"], second["latency_ms"]) == ("'6E00", "1.5")
        assert (second["status_word"], first["status_word"]) == ("'6E00", "")
        assert third["raw_data"] == "'0084000008"
        assert third["decoded_data"] == f"'{formula}"
        raw = io.BytesIO()
        export(manager, raw, file_format=Format.CSV, selection=Selection(("logs",), raw=True))
        assert b',"6E00",' in raw.getvalue()
        assert b"'6E00" not in raw.getvalue()

    def test_documents_are_text(self, filled: DatabaseManager) -> None:
        rows = self.cells(filled, "cards")
        assert json.loads(rows[1]["trigger_config"]) == {"é": [1, "\u2028"]}
        assert rows[0]["iccid"] == f"'{iccid(1)}"
        assert "psk_key_encrypted" not in rows[0]

    def test_it_holds_one_table_and_no_keys(self, manager: DatabaseManager, tmp_path: Path) -> None:
        for tables in ((), ("logs", "tests")):
            with pytest.raises(ValidationError, match="a CSV file holds one table"):
                export(manager, tmp_path / "f.csv", selection=Selection(tables))
        with pytest.raises(ValidationError, match="a CSV file holds no keys"):
            export(manager, tmp_path / "f.csv", selection=Selection(("cards",)), keys=Keys.PLAIN)

    @given(st.text() | st.from_regex(r"[-=+@\t\r\n0-9.,:eE%/ ]+", fullmatch=True))
    def test_no_cell_is_a_formula_or_a_number(self, text: str) -> None:
        cell = harmless(text)
        assert cell in (text, f"'{text}")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        with pytest.raises(ValueError, match="could not convert"):
            float("x" if cell.strip().lower() in _WORDS else cell)


# What Python takes for a number, and no spreadsheet does.
_WORDS = {f"{sign}{word}" for sign in ("", "+") for word in ("nan", "inf", "infinity")}
