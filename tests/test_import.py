"""Import: the check of a file, the rules for rows that are there, and log entries."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from cardlink_sql import (
    CardProfile,
    DatabaseError,
    DatabaseManager,
    Direction,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.dialect import Dialect
from cardlink_sql.model.choices import SessionStatus
from cardlink_sql.model.records.session import OTASession
from cardlink_sql.transfer.exchange import Conflict, Format, ImportReport, Keys, export, import_file
from cardlink_sql.transfer.exchange.table_writers import TableReport
from tests.conftest import (
    MOMENT,
    Migrated,
    add,
    card,
    committed,
    delete_rows,
    device,
    dump,
    entry,
    iccid,
    on_sqlite,
    session_id,
)
from tests.roles import execute, owner_of

HEADER = {"format": "cardlink-export", "format_version": 1}
PHONE = {"id": "a", "device_type": "phone"}
Rows = list[dict[str, Any]]
Take = Callable[..., ImportReport]


@pytest.fixture
def take(manager: DatabaseManager, tmp_path: Path) -> Take:
    """Imports tables that are given as lists of rows."""

    def call(conflict: Conflict = Conflict.SKIP, **tables: Rows) -> ImportReport:
        path = tmp_path / "rows.json"
        path.write_text(json.dumps({"header": HEADER, **tables}), "utf-8")
        return import_file(manager, path, conflict=conflict)

    return call


def session(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A session as a file has it."""
    return {"id": session_id(number), **fields}


def log(raw_data: str, session: int = 1, number: int | None = None) -> dict[str, Any]:
    """A log entry as a file has it."""
    made = {
        "session_id": session_id(session),
        "direction": "command",
        "raw_data": raw_data,
        "timestamp": "2026-03-29T00:59:59.987654+00:00",
    }
    return made if number is None else {"id": number, **made}


def jsonl(*lines: Any, rows: dict[str, int] | None = None) -> str:
    """A file of JSON lines with its header and, where rows are counted, its last line."""
    listed = [{"header": HEADER}, *lines]
    if rows is not None:
        listed.append({"trailer": {"rows": rows}})
    return "".join(f"{json.dumps(line)}\n" for line in listed)


def refusal(manager: DatabaseManager, path: Path, text: str | bytes) -> str:
    """The error for a file with this text, which must change nothing."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = dump(manager)
    with pytest.raises(DatabaseError) as refused:
        import_file(manager, path)
    assert dump(manager) == before
    return str(refused.value).replace(str(path), path.name)


class TestFaults:
    def test_every_fault_is_listed_with_its_path(
        self, manager: DatabaseManager, tmp_path: Path
    ) -> None:
        tables = {
            "devices": [
                PHONE,
                {"id": "b", "device_type": "tablet"},
                {"id": "a", "device_type": "modem", "colour": "red"},
                {"device_type": "modem", "last_seen": "2026-11-22T10:00:00"},
                {"id": "c", "device_type": "modem", "connection_settings": {"a": [1, 1e300]}},
                ["no object"],
                {"id": "d", "device_type": "modem", "is_active": "yes", "notes": 5},
                {"id": "e", "device_type": "modem", "last_seen": "soon", "created_at": None},
                PHONE,
            ],
            "card_profiles": [
                {"iccid": iccid(1), "psk_identity": "x", "psk_key": "00"},
                {"iccid": iccid(2), "psk_identity": "y"},
                {"iccid": iccid(3), "psk_identity": "y"},
            ],
            "ota_sessions": [
                session(1, device_id="nobody", ended_at="2026-01-01T00:00:00Z",
                        started_at="2026-01-02T00:00:00+01:00"),
                # A row at fault is there for those that refer to it.
                session(2, device_id="b"),
            ],
            "comm_logs": [{"session_id": session_id(2), "direction": "command", "raw_data": "00"}],
            "settings": [
                {"key": "server.port", "value": 70000},
                {"key": "server.timeout", "value": 5, "category": "other"},
            ],
            "comm_log": [],
            "test_results": {},
        }  # fmt: skip
        message = refusal(manager, tmp_path / "f.json", json.dumps({"header": HEADER, **tables}))
        assert message.splitlines() == [
            "f.json: 20 problems",
            "  devices[1].device_type: 'tablet' is not phone or modem",
            "  devices[2]: the field 'colour' is unknown",
            "  devices[3].last_seen: '2026-11-22T10:00:00' has no time zone",
            "  devices[3].id: the field is missing",
            "  devices[4].connection_settings.a[1]: 1e+300 is too large for a float",
            "  devices[5]: the row is not an object",
            "  devices[6].is_active: 'yes' is not True or False",
            "  devices[6].notes: int is not text",
            "  devices[7].last_seen: 'soon' is not a time in ISO 8601",
            "  devices[7].created_at: a value is needed here, not None",
            "  devices[8].id: 'a' is devices[0] already",
            "  card_profiles[0].psk_key: a key is here, but the header says that there is none",
            "  card_profiles[2].psk_identity: card_profiles[1] has this identity, too",
            "  ota_sessions[0].ended_at: the end is before the start",
            "  comm_logs[0].timestamp: the field is missing",
            "  settings[0].value: 70000 is not a whole number from 1 to 65535",
            "  settings[1].category: the category of server.timeout is server",
            "  comm_log: there is no such table, only devices, card_profiles, ota_sessions, "
            "comm_logs, test_results, settings",
            "  test_results: this is not a list of rows",
            "  ota_sessions[0].device_id: neither the file nor the database has 'nobody' in "
            "devices",
        ]  # fmt: skip

    def test_a_reference_that_leads_nowhere_is_one(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        with pytest.raises(ValidationError) as refused:
            take(
                ota_sessions=[session(1, device_id="a", card_iccid=iccid())],
                comm_logs=[log("00", 1), log("00", 2), log("01", 2), log("02", 2)],
            )
        assert [line.partition(" (")[0] for line in str(refused.value).splitlines()][1:] == [
            "  ota_sessions[0].device_id: neither the file nor the database has 'a' in devices",
            "  ota_sessions[0].card_iccid: neither the file nor the database has "
            f"'{iccid()}' in card_profiles",
            "  comm_logs[1].session_id: neither the file nor the database has "
            f"'{session_id(2)}' in ota_sessions; 2 more rows refer to it",
        ]
        add(manager, device(id="a"), card(), OTASession(session_id(2)))
        report = take(
            ota_sessions=[session(1, device_id="a", card_iccid=iccid())],
            comm_logs=[log("00", 1), log("00", 2)],
        )
        assert report.tables["comm_logs"].created == 2

    def test_a_line_of_a_file_of_lines_is_named(
        self, manager: DatabaseManager, tmp_path: Path
    ) -> None:
        text = jsonl(
            {"table": "devices", **PHONE},
            {"table": "devices", "id": "b", "device_type": "tablet"},
            {"table": "device", "id": "b"},
            [],
            {"table": "comm_logs", **log("0")},
            rows={"devices": 2, "comm_logs": 1},
        )
        text = text.replace("[]\n", '[]\n{"a": 1, "a": 2}\n{"a": NaN}\n{"a": \n\n')
        assert refusal(manager, tmp_path / "f.jsonl", text).splitlines() == [
            "f.jsonl: 7 problems",
            "  line 3: devices[1].device_type: 'tablet' is not phone or modem",
            "  line 4: its table is none of: devices, card_profiles, ota_sessions, comm_logs, "
            "test_results, settings",
            "  line 5: the line is not an object",
            "  line 6: the field 'a' appears twice in an object",
            "  line 7: NaN is not a JSON number",
            "  line 8: not valid JSON: Expecting value at column 7",
            "  line 10: comm_logs[0].raw_data: '0' has an odd number of hex digits",
        ]

    def test_a_hundred_are_shown_and_the_others_counted(
        self, manager: DatabaseManager, tmp_path: Path
    ) -> None:
        rows = [{"id": str(number), "device_type": "tablet"} for number in range(150)]
        message = refusal(
            manager, tmp_path / "f.json", json.dumps({"header": HEADER, "devices": rows})
        )
        lines = message.splitlines()
        assert (lines[0], len(lines), lines[-1]) == ("f.json: 150 problems", 102, "  and 50 more")


GOOD_ROW = {"table": "devices", **PHONE}
WHOLE = jsonl(GOOD_ROW, rows={"devices": 1})


class TestHostileFiles:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (jsonl(GOOD_ROW), "ends without its last line"),
            (WHOLE[:-20], "not valid JSON"),
            (jsonl(GOOD_ROW, rows={"devices": 2}), "counts other rows"),
            (jsonl(GOOD_ROW, GOOD_ROW | {"id": "b"}, rows={"devices": 1}), "counts other rows"),
            (WHOLE + "{}\n", "follows the last one"),
            (WHOLE + "\n\nx", "follows the last one"),
            ("", "no header"),
            ("[]\n", "no header"),
            (WHOLE.encode().replace(b"phone", b"ph\xffne"), "not UTF-8"),
            (WHOLE.encode("utf-16"), "not UTF-8"),
            ("[" * 100_000, "nested too deeply"),
            (WHOLE.replace('"phone"', '"phone", "name": "\\ud800"'), "lone surrogate"),
            (WHOLE.replace('"phone"', '"phone", "name": "\\u0000"'), "NUL"),
            (WHOLE.replace('"phone"', "9" * 5000), "so many digits"),
            (WHOLE.replace('version": 1', 'version": 2'), "format version 2 is not known"),
            (WHOLE.replace('version": 1', 'version": true'), "not a whole number"),
            (WHOLE.replace("cardlink-export", "other"), "the format is not cardlink-export"),
            (WHOLE.replace('version": 1', 'version": 1, "schema_version": "9999_new"'), "newer"),
            (WHOLE.replace('version": 1', 'version": 1, "colour": 1'), "'colour' is unknown"),
            (WHOLE.replace('version": 1', 'version": 1, "keys": 1'), "not an object"),
            (WHOLE.replace('version": 1', 'version": 1, "keys": {"form": "x"}'), "'x' is not none"),
            (
                WHOLE.replace('version": 1', 'version": 1, "keys": {"form": "encrypted"}'),
                "does not say how the keys are encrypted",
            ),
            (
                WHOLE.replace('version": 1', 'version": 1, "keys": {"form": "stored"}'),
                "the file is a backup",
            ),
        ],
    )
    def test_a_damaged_file_of_lines_is_refused(
        self, migrated: Migrated, tmp_path: Path,
        text: str | bytes, reason: str
    ) -> None:  # fmt: skip
        assert reason in refusal(migrated(Dialect.SQLITE), tmp_path / "f.jsonl", text)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("devices: &a [x]\nmore: *a\n...\n", "aliases are not supported"),
            ("a: 1\n", "may be cut off"),
            ("- a\n...\n", "not an object of tables"),
            ("", "not an object of tables"),
        ],
    )
    def test_damaged_yaml_is_refused(
        self, migrated: Migrated, tmp_path: Path, text: str, reason: str
    ) -> None:
        assert reason in refusal(migrated(Dialect.SQLITE), tmp_path / "f.yaml", text)


class TestConflicts:
    FILE = (
        {"id": "a", "device_type": "modem", "name": "file", "notes": None, "model": "file",
         "connection_settings": {"both": "file", "deep": {"b": 2, "a": "file"}, "list": [2]}},
        {"id": "b", "device_type": "phone"},
    )  # fmt: skip

    @pytest.fixture
    def known(self, manager: DatabaseManager) -> None:
        add(
            manager,
            device(
                id="a",
                name="",
                notes="known",
                connection_settings={"both": None, "deep": {"a": 1}, "list": [1]},
                imei="1" * 15,
                created_at=MOMENT,
                updated_at=MOMENT,
            ),
        )

    @pytest.mark.usefixtures("known")
    def test_skip_keeps(self, manager: DatabaseManager, take: Take) -> None:
        before = dump(manager)["devices"]
        assert take(devices=self.FILE).tables["devices"] == TableReport(created=1, skipped=1)
        assert dump(manager)["devices"][:1] == before

    @pytest.mark.usefixtures("known")
    def test_overwrite_writes_every_field_of_the_file(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        report = take(Conflict.OVERWRITE, devices=self.FILE)
        assert report.tables["devices"] == TableReport(created=1, updated=1)
        found = manager.run(lambda uow: uow.devices.get_by_id("a"), read_only=True)
        assert (found.name, found.notes, found.model) == ("file", None, "file")
        assert found.connection_settings == self.FILE[0]["connection_settings"]
        # What the file leaves out stays.
        assert (found.imei, found.created_at) == ("1" * 15, MOMENT)
        again = take(Conflict.OVERWRITE, devices=self.FILE)
        assert again.tables["devices"] == TableReport(unchanged=2)

    @pytest.mark.usefixtures("known")
    def test_merge_fills_what_is_null_and_adds_to_objects(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        report = take(Conflict.MERGE, devices=self.FILE)
        assert report.tables["devices"] == TableReport(created=1, updated=1)
        found = manager.run(lambda uow: uow.devices.get_by_id("a"), read_only=True)
        assert (found.name, found.notes, found.model) == ("", "known", "file")
        assert found.connection_settings == {
            "both": None, "deep": {"a": 1, "b": 2}, "list": [1],
        }  # fmt: skip
        assert found.updated_at > MOMENT == found.created_at
        before = dump(manager)
        again = take(Conflict.MERGE, devices=self.FILE)
        assert again.tables["devices"] == TableReport(skipped=1, unchanged=1)
        assert dump(manager) == before

    def test_a_setting_of_null_is_not_empty(self, manager: DatabaseManager, take: Take) -> None:
        with committed(manager) as uow:
            uow.settings.set_value("a.null", None)
        take(Conflict.MERGE, settings=[{"key": "a.null", "value": 5}])
        assert manager.run(lambda uow: uow.settings.get_value("a.null")) is None

    def test_a_merge_takes_no_end_from_a_session_in_another_status(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        add(
            manager,
            OTASession(session_id(1), status=SessionStatus.ACTIVE),
            OTASession(session_id(2), status=SessionStatus.FAILED),
        )
        ended = {"status": "failed", "error_code": "x", "tls_cipher_suite": "suite"}
        take(Conflict.MERGE, ota_sessions=[session(1, **ended), session(2, **ended)])
        with UnitOfWork(manager) as uow:
            one, two = (uow.sessions.get_by_id(session_id(number)) for number in (1, 2))
        assert (one.error_code, one.tls_cipher_suite) == (None, "suite")
        assert (two.error_code, two.tls_cipher_suite) == ("x", "suite")

    def test_a_merge_that_makes_too_much_is_refused(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        half = "x" * 200_000
        add(manager, device(id="a", connection_settings={"a": half}))
        with pytest.raises(ValidationError, match=r"devices\['a'\]: after the merge: the JSON is"):
            take(
                Conflict.MERGE,
                devices=[{"id": "z", "device_type": "phone"},
                         {"id": "a", "device_type": "phone", "connection_settings": {"b": half}}],
            )  # fmt: skip
        assert [row[0] for row in dump(manager)["devices"]] == ["a"]

    def test_one_and_true_are_different(self, take: Take) -> None:
        for value in (1, True, 1.0, "1"):
            row = {**PHONE, "connection_settings": {"a": value}}
            report = take(Conflict.OVERWRITE, devices=[row]).tables["devices"]
            assert report.unchanged == 0, value

    def test_a_new_row_has_the_defaults(self, manager: DatabaseManager, take: Take) -> None:
        take(devices=[PHONE], card_profiles=[{"iccid": iccid()}], ota_sessions=[session()])
        with UnitOfWork(manager) as uow:
            assert uow.devices.get_all()[0].is_active is True
            assert uow.cards.get_all()[0].card_type == "UICC"
            assert uow.sessions.get_all()[0].status == "pending"


class TestIdentities:
    def test_another_cards_identity_is_a_fault(self, manager: DatabaseManager, take: Take) -> None:
        add(manager, card(1, psk_identity="x"))
        fault = rf"card_profiles\[0\]\.psk_identity: card {iccid(1)} of the database has 'x'"
        for rule in Conflict:
            with pytest.raises(ValidationError, match=fault):
                take(rule, card_profiles=[{"iccid": iccid(2), "psk_identity": "x"}])

    def test_cards_may_exchange_their_identities(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        add(manager, *(card(number, psk_identity=f"id{number}") for number in (1, 2, 3)))
        rows = [
            {"iccid": iccid(number), "psk_identity": f"id{number % 3 + 1}"} for number in (1, 2, 3)
        ]
        kept = take(Conflict.SKIP, card_profiles=rows).tables["card_profiles"]
        assert kept == TableReport(skipped=3)
        report = take(Conflict.OVERWRITE, card_profiles=rows).tables["card_profiles"]
        assert report == TableReport(updated=3)
        with UnitOfWork(manager) as uow:
            assert [found.psk_identity for found in uow.cards.get_all()] == ["id2", "id3", "id1"]

    def test_a_psk_does_not_come_under_another_identity(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        with committed(manager) as uow:
            uow.cards.create_with_psk(card(), b"key", psk_identity="mine")
        row = {"iccid": iccid(), "psk_identity": "other"}
        with pytest.raises(ValidationError, match="the file holds no key for another one"):
            take(Conflict.OVERWRITE, card_profiles=[row])
        assert take(Conflict.MERGE, card_profiles=[row]).tables["card_profiles"].skipped == 1


class TestLogEntries:
    def numbers(self, manager: DatabaseManager, session: int = 1) -> list[tuple[int, str]]:
        found = manager.run(lambda uow: uow.logs.find_by_session(session_id(session)))
        return [(entry.id, entry.raw_data) for entry in found]

    @pytest.mark.parametrize("number", [2**53, 2**63 - 1])
    def test_a_number_that_leaves_no_room_behind_it_is_given_anew(
        self, manager: DatabaseManager, take: Take, number: int
    ) -> None:
        take(ota_sessions=[session(1)], comm_logs=[log("00", number=number)])
        with UnitOfWork(manager) as uow:
            uow.logs.add_log(session_id(1), "command", "01")
            uow.commit()
            first, second = uow.logs.find_by_session(session_id(1))
        assert [first.raw_data, second.raw_data] == ["00", "01"]
        assert 0 < (first.id or 0) < (second.id or 0) < 2**53

    def test_numbers_are_kept_where_they_are_free(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        take(
            ota_sessions=[session(1)],
            comm_logs=[log("01", number=10**9 + 5), log("02", number=10**9 + 9)],
        )
        found = self.numbers(manager)
        assert found == [(10**9 + 5, "01"), (10**9 + 9, "02")]
        with committed(manager) as uow:
            uow.logs.add_log(session_id(1), Direction.COMMAND, "03")
        assert self.numbers(manager)[2][0] > 10**9 + 9

    def test_taken_numbers_are_given_anew_and_the_order_stays(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        first = 2 * 10**9
        take(
            ota_sessions=[session(1)],
            comm_logs=[log("AA", number=first + n) for n in (2, 3, 7)],
        )
        rows = [log(f"{n:02X}", 2, first + n) for n in range(10)]
        report = take(ota_sessions=[session(2)], comm_logs=rows)
        assert report.tables["comm_logs"].created == 10
        found = self.numbers(manager, 2)
        assert [raw for _, raw in found] == [f"{n:02X}" for n in range(10)]
        assert [number for number, _ in found[:2]] == [first, first + 1]
        again = take(comm_logs=rows)
        assert again.tables["comm_logs"] == TableReport(unchanged=10)

    def test_a_number_that_is_there_twice_or_out_of_order_is_given_anew(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        first = 4 * 10**9
        take(ota_sessions=[session(1)], comm_logs=[log("AA", number=first + 5)])
        rows = [log("AA", number=1), log("BB", number=first + 1), log("CC", 2, first + 8)]
        rows.append(log("DD", 3, first + 8))
        take(ota_sessions=[session(2), session(3)], comm_logs=rows)
        (aa, _), (bb, _) = self.numbers(manager)
        assert (aa, bb > aa) == (first + 5, True)
        assert self.numbers(manager, 2) == [(first + 8, "CC")]
        assert self.numbers(manager, 3)[0][0] > first + 8

    @pytest.mark.parametrize("dialect", [Dialect.POSTGRESQL])
    def test_without_the_right_to_reserve_numbers_the_database_assigns_them(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        of_role = f"UPDATE ON SEQUENCE comm_logs_id_seq {{}} {manager.config.engine_url.username}"
        owner, number = owner_of(manager), 5 * 10**9
        execute(owner, f"REVOKE {of_role.format('FROM')}")
        try:
            take(ota_sessions=[session(1)], comm_logs=[log("01", number=number)])
        finally:
            execute(owner, f"GRANT {of_role.format('TO')}")
        assert self.numbers(manager)[0][0] < number

    def test_equal_entries_count_as_often_as_they_are_there(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        take(ota_sessions=[session(1)], comm_logs=[log("01"), log("01"), log("02")])
        report = take(comm_logs=[log("02"), log("01"), log("01"), log("01"), log("03")])
        assert report.tables["comm_logs"] == TableReport(created=2, unchanged=3)
        assert [raw for _, raw in self.numbers(manager)] == ["01", "01", "02", "01", "03"]

    def test_what_differs_in_an_entry_follows_the_rule(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        add(manager, OTASession(session_id(1)), entry(raw_data="01", decoded_data="known"))
        row = {**log("01"), "decoded_data": "file", "latency_ms": 1}
        skipped, merged, written = (
            take(rule, comm_logs=[row]).tables["comm_logs"]
            for rule in (Conflict.SKIP, Conflict.MERGE, Conflict.OVERWRITE)
        )
        assert skipped == TableReport(skipped=1)
        assert merged == TableReport(updated=1)
        assert written == TableReport(updated=1)
        (found,) = manager.run(lambda uow: uow.logs.get_all())
        assert (found.decoded_data, found.latency_ms) == ("file", 1.0)

    def test_entries_may_stand_before_their_session(
        self, manager: DatabaseManager, tmp_path: Path
    ) -> None:
        path = tmp_path / "f.jsonl"
        path.write_text(
            jsonl(
                {"table": "comm_logs", **log("01")},
                {"table": "ota_sessions", **session(1, device_id="a")},
                {"table": "devices", **PHONE},
                rows={"devices": 1, "ota_sessions": 1, "comm_logs": 1},
            )
        )
        assert import_file(manager, path).rows == 3

    def test_a_session_that_went_on_gets_the_rest(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        rows = [log(f"{n:04X}") for n in range(1300)]
        take(ota_sessions=[session(1)], comm_logs=rows[:1100])
        report = take(comm_logs=rows)
        assert report.tables["comm_logs"] == TableReport(created=200, unchanged=1100)
        assert [raw for _, raw in self.numbers(manager)] == [row["raw_data"] for row in rows]

    def test_the_earlier_part_of_a_log_comes_before_the_later_one(
        self, manager: DatabaseManager, take: Take
    ) -> None:
        rows = [log(f"{n:02X}", number=3 * 10**9 + n) for n in range(9)]
        take(ota_sessions=[session(1)], comm_logs=rows[4:])
        take(comm_logs=rows)
        assert self.numbers(manager) == [(row["id"], row["raw_data"]) for row in rows]


def test_a_dry_run_gives_the_same_figures_and_changes_nothing(
    manager: DatabaseManager, tmp_path: Path
) -> None:
    path = tmp_path / "f.json"
    tables = {
        "devices": [PHONE],
        "ota_sessions": [session(1, device_id="a")],
        "comm_logs": [log("01", number=5), log("02", number=9)],
    }
    path.write_text(json.dumps({"header": HEADER, **tables}))
    before = dump(manager)
    tried = import_file(manager, path, dry_run=True)
    assert dump(manager) == before
    assert tried.dry_run
    assert import_file(manager, path).tables == tried.tables


@on_sqlite
class TestKeys:
    @pytest.fixture
    def put(self, manager: DatabaseManager, tmp_path: Path) -> Callable[[Keys], Path]:
        """Writes cards with their keys in some form, and deletes them."""

        def write(keys: Keys) -> Path:
            export(manager, tmp_path / "f.json", keys=keys, passphrase="correct horse")
            delete_rows(manager)
            return tmp_path / "f.json"

        with committed(manager) as uow:
            uow.cards.create_with_psk(card(1), b"\x01" * 16, psk_identity="one")
            uow.cards.create(card(2))
        return write

    def test_a_wrong_passphrase_writes_nothing(
        self, manager: DatabaseManager, put: Callable[[Keys], Path]
    ) -> None:
        path = put(Keys.ENCRYPTED)
        before = dump(manager)
        with pytest.raises(DatabaseError, match="the passphrase does not open"):
            import_file(manager, path, passphrase="wrong horse")
        with pytest.raises(DatabaseError, match="no passphrase was given"):
            import_file(manager, path)
        assert dump(manager) == before

    @pytest.mark.parametrize("given", [{"n": 2**16, "r": 1}, {"n": 2**40}, {"p": 9}, {"r": 0}])
    def test_parameters_of_scrypt_have_bounds(
        self, put: Callable[[Keys], Path], manager: DatabaseManager, given: dict[str, int]
    ) -> None:
        path = put(Keys.ENCRYPTED)
        document = json.loads(path.read_text())
        document["header"]["keys"] |= given
        path.write_text(json.dumps(document))
        with pytest.raises(ValidationError, match=rf"keys\.{min(given)}: "):
            import_file(manager, path, passphrase="correct horse")

    @pytest.mark.parametrize("keys", [Keys.PLAIN, Keys.ENCRYPTED, Keys.STORED])
    def test_keys_come_back(
        self, manager: DatabaseManager, put: Callable[[Keys], Path], keys: Keys
    ) -> None:
        path = put(keys)
        import_file(manager, path, passphrase=lambda: "correct horse", keys=keys)
        assert manager.run(lambda uow: uow.cards.get_psk_key_by_identity("one")) == b"\x01" * 16
        again = import_file(
            manager, path, passphrase="correct horse", keys=keys, conflict=Conflict.OVERWRITE
        )
        assert again.tables["card_profiles"] == TableReport(unchanged=2)

    def test_a_key_fits_no_other_card(
        self, manager: DatabaseManager, put: Callable[[Keys], Path]
    ) -> None:
        path = put(Keys.ENCRYPTED)
        path.write_text(path.read_text().replace(iccid(1), iccid(3)))
        with pytest.raises(ValidationError, match=r"card_profiles\[0\]\.psk_key: the encrypted"):
            import_file(manager, path, passphrase="correct horse")

    def test_a_merge_fills_a_missing_key_of_the_same_identity(
        self, manager: DatabaseManager, put: Callable[[Keys], Path]
    ) -> None:
        path = put(Keys.PLAIN)
        add(manager, CardProfile(iccid(1), psk_identity="other"))
        import_file(manager, path, conflict=Conflict.MERGE)
        with committed(manager) as uow:
            assert uow.cards.get_psk_key(iccid(1)) is None
            uow.cards.delete_by_id(iccid(1))
            uow.cards.create(CardProfile(iccid(1), psk_identity="one"))
        import_file(manager, path, conflict=Conflict.MERGE)
        assert manager.run(lambda uow: uow.cards.get_psk_key(iccid(1))) == b"\x01" * 16


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def valid(migrated: Migrated, tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Path]:
    """A good file in each format."""
    manager, folder = migrated(Dialect.SQLITE), tmp_path_factory.mktemp("valid")
    with committed(manager) as uow:
        uow.devices.create(device(1, connection_settings={"a": [1, None]}))
        uow.cards.create(card(1, psk_identity="x"))
        uow.sessions.create(OTASession(session_id(1), device_id="device-0001", card_iccid=iccid(1)))
        uow.logs.add_log_batch([entry(), entry(raw_data="9000", direction="response")])
        uow.settings.set_value("server.port", 1)
    made = {}
    for each in (Format.JSON, Format.YAML, Format.JSONL):
        made[each] = folder / f"f.{each}"
        export(manager, made[each])
    delete_rows(manager)
    return made


class TestAnyFile:
    def imports_or_refuses(self, manager: DatabaseManager, path: Path) -> None:
        before = dump(manager)
        try:
            report = import_file(manager, path)
        except DatabaseError:
            assert dump(manager) == before
        else:
            assert report.rows == sum(map(len, dump(manager).values()))
        finally:
            delete_rows(manager)

    @pytest.mark.parametrize("file_format", [Format.JSON, Format.YAML, Format.JSONL])
    @settings(max_examples=60)
    @given(data=st.data())
    def test_a_mutated_byte_is_imported_or_refused(
        self,
        migrated: Migrated,
        valid: dict[Format, Path],
        file_format: Format,
        data: st.DataObject,
    ) -> None:
        content = bytearray(valid[file_format].read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        end = data.draw(st.integers(at, min(at + 40, len(content))))
        content[at:end] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"\n", b"1", b","])
        )
        path = valid[file_format].with_name(f"mutated.{file_format}")
        path.write_bytes(content)
        self.imports_or_refuses(migrated(Dialect.SQLITE), path)

    @settings(max_examples=30)
    @given(data=st.data())
    def test_a_replaced_value_is_imported_or_refused(
        self, manager: DatabaseManager, valid: dict[Format, Path], data: st.DataObject
    ) -> None:
        document = json.loads(valid[Format.JSON].read_text())
        table = data.draw(st.sampled_from(sorted(document)))
        target = (
            document[table][0]
            if isinstance(document[table], list) and document[table]
            else (document[table] if isinstance(document[table], dict) else document)
        )
        name = data.draw(st.sampled_from(sorted(target)) | st.text(max_size=5))
        if data.draw(st.booleans()):
            target.pop(name, None)
        else:
            target[name] = data.draw(JSON)
        path = valid[Format.JSON].with_name("replaced.json")
        path.write_text(json.dumps(document))
        self.imports_or_refuses(manager, path)
