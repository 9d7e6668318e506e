"""Sessions as captures for Wireshark, and captures read back."""

import io
import json
import os
import shutil
import struct
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from cardlink_sql import (
    CommLog,
    Direction,
    OTASession,
    SessionStatus,
    SessionType,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.formats.pcap import MAX_APDU, Packet, read_capture, split_apdu, write_capture
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.capture import read_recording, write_session
from cardlink_sql.transfer.trace import replay as replay_trace
from tests.conftest import MOMENT, Run, committed

TRACE = Path(__file__).resolve().parent.parent / "scripts" / "quickstart-trace.jsonl"
ANSWERED = "b1d5c1de-6f2e-4a4b-9a52-1f0f3d6a7c01"


def captured(*packets: Packet, comment: str = "") -> bytes:
    """A capture of these packets."""
    file = io.BytesIO()
    write_capture(file, packets, comment)
    return file.getvalue()


def as_pcap(packet: Packet, order: str, magic: bytes, link: int, padding: int) -> bytes:
    """The same packet in the older format, as tcpdump writes it."""
    content = captured(packet)
    frame = content[content.index(b"\x45\x00") :]
    frame = b"\x00" * padding + frame[: struct.unpack_from(">H", frame, 2)[0]]
    seconds, rest = divmod(packet.timestamp.timestamp(), 1)
    units = 10**9 if magic[1:3] in (b"\x3c\xb2", b"\xb2\x3c") else 10**6
    head = magic + struct.pack(f"{order}HHiIII", 2, 4, 0, 0, 65535, link)
    stamp = (int(seconds), round(rest * units), len(frame), len(frame))
    return head + struct.pack(f"{order}IIII", *stamp) + frame


@given(
    st.lists(
        st.tuples(
            st.binary(min_size=1, max_size=300),
            st.timedeltas(timedelta(0), timedelta(days=4000)),
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
        ),
        min_size=1,
        max_size=5,
    ),
    st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_what_is_written_is_read_back(
    written: list[tuple[bytes, timedelta, str]], comment: str
) -> None:
    packets = [Packet(MOMENT + offset, data, note) for data, offset, note in written]
    found = read_capture(captured(*packets, comment=comment), "x.pcapng")
    assert found.packets == packets
    assert found.comment == comment


@pytest.mark.parametrize(
    ("order", "magic", "link", "padding"),
    [
        ("<", b"\xd4\xc3\xb2\xa1", 101, 0),
        (">", b"\xa1\xb2\xc3\xd4", 1, 14),
        ("<", b"\x4d\x3c\xb2\xa1", 113, 16),
        (">", b"\xa1\xb2\x3c\x4d", 228, 0),
    ],
)
def test_captures_of_tcpdump_are_read(order: str, magic: bytes, link: int, padding: int) -> None:
    packet = Packet(MOMENT.replace(microsecond=250_000), bytes.fromhex("00A40004023F009000"))
    found = read_capture(as_pcap(packet, order, magic, link, padding), "x.pcap")
    assert found.packets == [packet]


@given(st.data())
def test_a_damaged_capture_is_refused_or_read(data: st.DataObject) -> None:
    content = captured(Packet(MOMENT, b"\x00\xa4\x00\x04\x02\x3f\x00\x90\x00", "note"), comment="c")
    at = data.draw(st.integers(4, len(content) - 1))
    damaged = data.draw(
        st.one_of(
            st.just(content[:at]),
            st.binary(min_size=1, max_size=8).map(lambda b: content[:at] + b + content[at:]),
            st.binary(min_size=1, max_size=4).map(lambda b: content[:at] + b + content[at + 4 :]),
        )
    )
    try:
        assert len(read_capture(damaged, "x.pcapng").packets) <= 1
    except ValidationError as error:
        assert error.where == "x.pcapng"


@pytest.mark.parametrize(
    ("apdu", "command"),
    [
        ("00A40004023F009000", "00A40004023F00"),
        ("00B000000401020304" + "9000", "00B0000004"),
        ("80E60C006985", "80E60C006985"),  # no P3: where it ends cannot be told
        ("80E60C00006985", "80E60C0000"),
        ("A0A40000023F009F0F", "A0A40000023F00"),
        ("00A4000402", "00A4000402"),
        ("00C0000020" + "62" * 34 + "9000", "00C0000020"),
        ("80F28002024F00E3039F70019000", "80F28002024F00"),
    ],
)
def test_a_command_ends_where_its_header_says(apdu: str, command: str) -> None:
    first, rest = split_apdu(bytes.fromhex(apdu))
    assert first.hex().upper() == command
    assert (first + rest).hex().upper() == apdu


def test_an_apdu_larger_than_a_packet_is_refused() -> None:
    with pytest.raises(ValidationError, match="does not fit into a packet"):
        captured(Packet(MOMENT, bytes(MAX_APDU + 1)))
    assert read_capture(captured(Packet(MOMENT, b"\1" * MAX_APDU)), "x").packets


def test_a_session_comes_back_as_it_was(manager: DatabaseManager, run: Run, tmp_path: Path) -> None:
    url = manager.config.engine_url.render_as_string(hide_password=False)
    replay_trace(manager, read_recording(TRACE))
    with committed(manager) as uow:
        before = uow.sessions.get_by_id(ANSWERED)
        log = uow.logs.find_by_session(ANSWERED)
        file = tmp_path / "session.pcapng"
        done = run("sessions", "export", ANSWERED, "--output", str(file), "-d", url)
        assert done.returncode == 0, done.stderr
        assert file.stat().st_mode & 0o777 == 0o600
        uow.sessions.delete_by_id(ANSWERED)

    for _ in range(2):
        assert run("replay", str(file), "-d", url).returncode == 0

    with UnitOfWork(manager, read_only=True) as uow:
        after = uow.sessions.get_by_id(ANSWERED)
        again = uow.logs.find_by_session(ANSWERED)
    assert before
    assert after
    assert replace(after, updated_at=before.updated_at) == before
    assert [replace(entry, id=None) for entry in again] == [replace(e, id=None) for e in log]


def test_a_capture_of_another_program_is_one_session_of_its_own(
    manager: DatabaseManager, tmp_path: Path
) -> None:
    file = tmp_path / "simtrace.pcap"
    packet = Packet(MOMENT, bytes.fromhex("00B00000020102" + "6282"))
    file.write_bytes(as_pcap(packet, "<", b"\xd4\xc3\xb2\xa1", 101, 0))

    first, second = (replay_trace(manager, read_recording(file)) for _ in range(2))

    assert (first.sessions, first.entries) == (1, 2)
    assert (second.sessions, second.known_sessions) == (0, 1)
    with UnitOfWork(manager, read_only=True) as uow:
        (session,) = uow.sessions.get_all()
        log = uow.logs.find_by_session(session.id)
    assert [(e.raw_data, e.status_word) for e in log] == [
        ("00B0000002", None),
        ("01026282", "6282"),
    ]


def test_merged_captures_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    file = tmp_path / "merged.pcapng"
    apdus = (bytes.fromhex("00A40004029000"), bytes.fromhex("00A40000009000"))
    late = MOMENT + timedelta(seconds=5)
    file.write_bytes(captured(Packet(late, apdus[0]), Packet(MOMENT, apdus[1])))
    (session,) = read_recording(file).sessions.values()
    assert (session.started_at, session.ended_at) == (MOMENT, late)
    assert session.entries[0].raw_data == "00A4000000"


def test_a_capture_without_an_apdu_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.pcapng"
    file.write_bytes(captured(comment="of another program"))
    with pytest.raises(ValidationError, match="the capture holds no APDU"):
        read_recording(file)


@pytest.mark.parametrize("name", ["cut.pcapng", "cut.pcap"])
def test_a_capture_that_is_cut_off_is_read_as_far_as_it_goes(
    manager: DatabaseManager, run: Run, tmp_path: Path, name: str
) -> None:
    url = manager.config.engine_url.render_as_string(hide_password=False)
    packet = Packet(MOMENT, bytes.fromhex("00A40000009000"))
    if name == "cut.pcapng":
        whole = captured(packet, packet)
    else:
        one = as_pcap(packet, "<", b"\xd4\xc3\xb2\xa1", 101, 0)
        whole = one + one[24:]
    (tmp_path / name).write_bytes(whole[:-9])
    done = run("replay", name, "-d", url)
    assert (done.returncode, "Recorded 0 cards, 1 session, 2 APDUs" in done.stdout) == (0, True)
    assert done.stderr == (
        f"warning: {name}: the capture is cut off in packet 2; the packets before it are recorded\n"
    )
    (tmp_path / name).write_bytes(whole[: len(whole) // 2 - 9])
    refused = run("replay", name, "-d", url)
    assert refused.returncode == 1
    assert "is cut off before its first APDU\nhint: record" in refused.stderr


def test_a_capture_keeps_the_type_and_the_silence_of_a_card(tmp_path: Path) -> None:
    command = CommLog(ANSWERED, Direction.COMMAND, "00A4000000", timestamp=MOMENT)
    mute = CommLog(ANSWERED, Direction.RESPONSE, "", timestamp=MOMENT, latency_ms=2.5)
    file = tmp_path / "mute.pcapng"
    for session_type in (None, SessionType.TRIGGERED, SessionType.POLLED):
        with file.open("wb") as out:
            kept = OTASession(ANSWERED, session_type=session_type, created_at=MOMENT)
            write_session(out, kept, [command, mute, mute])
        (session,) = read_recording(file).sessions.values()
        assert session.session_type is session_type
        assert session.entries == [command, mute, mute]


def test_a_recording_is_read_from_a_pipe() -> None:
    for content in (captured(Packet(MOMENT, b"\1" * 8)), TRACE.read_bytes()):
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        assert read_recording(Path(f"/dev/fd/{reading}")).sessions
        os.close(reading)


def test_an_edited_note_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "edited.pcapng"
    for name, value in [
        ("tls_psk_identity", {"a": 1}),
        ("tls_cipher_suite", []),
        ("metadata", "text"),
        ("card_iccid", 7),
        ("status", "ended"),
        ("error_message", [1]),
    ]:
        note = json.dumps({"id": ANSWERED, name: value})
        file.write_bytes(captured(Packet(MOMENT, b"\1" * 8), comment=f"cardlink-db {note}"))
        with pytest.raises(ValidationError, match=rf"edited\.pcapng: {name}: "):
            read_recording(file)

    note = 'cardlink-db {"command": 5, "latency_ms": "long"}'
    file.write_bytes(captured(Packet(MOMENT, bytes.fromhex("00A40000009000"), note)))
    with pytest.raises(ValidationError, match=r"edited\.pcapng: packet 1: latency_ms: "):
        read_recording(file)


def test_a_session_that_a_capture_cannot_hold_is_not_exported() -> None:
    session = OTASession(ANSWERED, metadata={"a": "x" * 70_000})
    file = io.BytesIO()
    with pytest.raises(ValidationError, match="a comment of a capture holds 65,535"):
        write_session(file, session, [])
    assert not file.getvalue()


def test_a_session_without_apdus_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "handshake.pcapng"
    failed = OTASession(
        ANSWERED, status=SessionStatus.FAILED, ended_at=MOMENT, error_code="51", created_at=MOMENT
    )
    with file.open("wb") as out:
        assert write_session(out, failed, []) == 0
    (session,) = read_recording(file).sessions.values()
    assert (session.id, session.error_code, session.ended_at) == (ANSWERED, "51", MOMENT)
    assert not session.entries


def test_wireshark_dissects_the_apdus(tmp_path: Path, run: Run) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed, so Wireshark's reading of a capture is not tested")
    url = f"sqlite:///{tmp_path / 'x.db'}"
    key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    assert run("init", "-d", url).returncode == 0
    assert run("replay", str(TRACE), "-d", url, CARDLINK_ENCRYPTION_KEY=key).returncode == 0
    file = tmp_path / "x.pcapng"
    assert run("sessions", "export", ANSWERED, "-o", str(file), "-d", url).returncode == 0
    fields = ("frame.time_epoch", "gsm_sim.apdu.ins", "gsm_sim.apdu.sw")
    command = [tshark, "-r", str(file), "-T", "fields"]
    command += [word for name in fields for word in ("-e", name)]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    assert [line.split("\t") for line in shown.stdout.splitlines()] == [
        ["1773739801.626528000", "0xa4", "0x9000"],
        ["1773739801.652045000", "0xe6", "0x6985"],
        ["1773739801.671992000", "0xf2", "0x9000"],
    ]
