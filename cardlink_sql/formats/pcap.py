"""Network captures of APDUs: GSMTAP packets that Wireshark dissects, as pcapng; read as pcap too.

A packet holds one APDU with its response, as Wireshark's SIM dissector expects it: the command
(ETSI TS 102 221 §10.1), the response data and the status word. It is a UDP datagram to the port
of GSMTAP (4729), type SIM.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Final

from cardlink_sql.errors import ValidationError

# The room for an APDU in an IPv4 datagram after the IP, UDP and GSMTAP headers.
MAX_APDU: Final = 65_535 - 20 - 8 - 16

_PORT: Final = 4729
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Version 2, a header of 4 words, type SIM; an APDU has no timeslot, channel or signal.
_GSMTAP: Final = struct.pack(">BBBBHbbIBBBB", 2, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
_GSMTAP_SIM: Final = 4

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_PACKET: Final = 6
_COMMENT: Final = 1
_LONGEST_COMMENT: Final = 65_535
_TIME_RESOLUTION: Final = 9
_BYTE_ORDER: Final = 0x1A2B3C4D
_RAW_IP: Final = 101
# The number of bytes before the IP header on each link type.
_LINKS: Final = {1: 14, 101: 0, 113: 16, 228: 0, 276: 20}

# By magic number: byte order, and time units per second.
_PCAP: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9),
    b"\xa1\xb2\x3c\x4d": (">", 10**9),
}
_PCAPNG: Final = b"\x0a\x0d\x0d\x0a"


@dataclass(frozen=True, slots=True)
class Packet:
    """One APDU of a capture.

    Attributes:
        timestamp: of the command, UTC.
        data: the command, the response's data and its status word.
        comment: of the packet; empty if there is none.
    """

    timestamp: datetime
    data: bytes
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Capture:
    """The APDUs of a capture, and the comment of its first section.

    ``cut_after`` is the number of its whole packets, of any kind, where the last one is cut off.
    """

    packets: list[Packet]
    comment: str = ""
    cut_after: int | None = None


def is_capture(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is a pcap or pcapng capture."""
    return head[:4] == _PCAPNG or head[:4] in _PCAP


def write_capture(file: IO[bytes], packets: Iterable[Packet], comment: str) -> int:
    """Write packets as pcapng, in the order of their times; return their number.

    Wireshark shows the comment in the capture's properties.
    """
    file.write(_block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1), _text(comment)))
    microseconds = _option(_TIME_RESOLUTION, b"\x06")
    file.write(_block(_INTERFACE, struct.pack("<HHI", _RAW_IP, 0, 0), microseconds))
    count = 0
    for packet in packets:
        frame = _datagram(packet)
        units = (packet.timestamp - _EPOCH) // timedelta(microseconds=1)
        sizes = (units >> 32, units & 0xFFFFFFFF, len(frame), len(frame))
        body = struct.pack("<IIIII", 0, *sizes) + _padded(frame)
        file.write(_block(_PACKET, body, _text(packet.comment)))
        count += 1
    return count


def read_capture(content: bytes, where: str) -> Capture:
    """Read the GSMTAP packets of a capture that hold APDUs; skip everything else.

    What a program was writing when it ended is cut off: the whole packets before it are read.
    """
    reader = _Reader(content)
    try:
        (reader.read_pcapng if content[:4] == _PCAPNG else reader.read_pcap)()
    except (struct.error, IndexError, KeyError, OverflowError) as error:
        what = f"the capture is malformed at packet {reader.count + 1}"
        raise ValidationError(what, where, "record or copy it again") from error
    return Capture(reader.packets, reader.comment, reader.count if reader.is_cut else None)


def _block(kind: int, body: bytes, options: bytes) -> bytes:
    ended = options + (struct.pack("<HH", 0, 0) if options else b"")
    length = 12 + len(body) + len(ended)
    return struct.pack("<II", kind, length) + body + ended + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _text(comment: str) -> bytes:
    encoded = comment.encode()
    if len(encoded) > _LONGEST_COMMENT:
        raise ValidationError(
            f"the facts of the session take {len(encoded):,} bytes, and a comment of a capture "
            f"holds {_LONGEST_COMMENT:,}"
        )
    return _option(_COMMENT, encoded) if comment else b""


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _datagram(packet: Packet) -> bytes:
    if len(packet.data) > MAX_APDU:
        raise ValidationError(
            f"an APDU of {len(packet.data):,} bytes does not fit into a packet of a capture, "
            f"which holds {MAX_APDU:,}",
            packet.timestamp.isoformat(),
        )
    load = _GSMTAP + packet.data
    udp = struct.pack(">HHHH", _PORT, _PORT, 8 + len(load), 0)
    loopback = b"\x7f\x00\x00\x01"
    length = 20 + 8 + len(load)
    ip = struct.pack(">BBHIBBH", 0x45, 0, length, 0, 64, 17, 0) + loopback * 2
    return ip[:10] + struct.pack(">H", _checksum(ip)) + ip[12:] + udp + load


def _checksum(header: bytes) -> int:
    """Return the checksum of an IP header (RFC 1071)."""
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return int(~(total + (total >> 16)) & 0xFFFF)


class _Reader:
    """Reads a capture from its beginning to its end, or to where it is cut off."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._links: list[tuple[int, int]] = []
        self._order = "<"
        self.packets: list[Packet] = []
        self.comment = ""
        self.count = 0
        self.is_cut = False

    def read_pcap(self) -> None:
        """Read the packets of the older format."""
        order, per_second = _PCAP[self._content[:4]]
        (link,) = struct.unpack_from(f"{order}I", self._content, 20)
        at = 24
        while self._has(at, 16):
            seconds, fraction, length, _ = struct.unpack_from(f"{order}IIII", self._content, at)
            if not self._has(at, 16 + length):
                return
            at += 16
            load = _apdu(self._content[at : at + length], link & 0xFFFF)
            at += length
            if load:
                moment = _moment(seconds * per_second + fraction, per_second)
                self.packets.append(Packet(moment, load))
            self.count += 1

    def read_pcapng(self) -> None:
        """Read the blocks of the newer format."""
        at = 0
        while self._has(at, 12):
            if self._content[at : at + 4] == _PCAPNG:
                is_little = self._content[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a"
                self._order, self._links = "<" if is_little else ">", []
            kind, length = struct.unpack_from(f"{self._order}II", self._content, at)
            if not self._has(at, max(length, 12)):
                return
            self._read_block(kind, _exactly(self._content, at + 8, length - 12))
            at += length

    def _has(self, at: int, length: int) -> bool:
        """Return whether so much is left; note where it is only a part."""
        left = len(self._content) - at
        self.is_cut = 0 < left < length
        return left >= length

    def _read_block(self, kind: int, body: bytes) -> None:
        if kind == _SECTION and not self.comment:
            self.comment = _comment_in(body[16:], self._order)
        elif kind == _INTERFACE:
            (link,) = struct.unpack_from(f"{self._order}H", body)
            self._links.append((link, _resolution(body[8:], self._order)))
        elif kind == _PACKET:
            self.packets += _enhanced(body, self._order, self._links)
            self.count += 1


def _enhanced(body: bytes, order: str, links: list[tuple[int, int]]) -> Iterator[Packet]:
    number, high, low, length, _ = struct.unpack_from(f"{order}IIIII", body)
    link, per_second = links[number]
    load = _apdu(_exactly(body, 20, length), link)
    comment = _comment_in(body[20 + length + -length % 4 :], order)
    # The comment of a packet without bytes may say that a card was mute.
    if load or (load is not None and comment):
        yield Packet(_moment((high << 32) + low, per_second), load, comment)


def _exactly(content: bytes, at: int, length: int) -> bytes:
    found = content[at : at + length]
    if length < 0 or len(found) < length:
        raise IndexError(at)
    return found


def _options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(f"{order}HH", data, at)
        if not code:
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4


def _comment_in(options: bytes, order: str) -> str:
    found = (value for code, value in _options(options, order) if code == _COMMENT)
    return next(found, b"").decode("utf-8", "replace")


def _resolution(options: bytes, order: str) -> int:
    """Return the time units per second of an interface; microseconds by default."""
    for code, value in _options(options, order):
        if code == _TIME_RESOLUTION and value:
            return int((2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F))
    return 10**6


def _moment(units: int, per_second: int) -> datetime:
    seconds, fraction = divmod(units, per_second)
    return _EPOCH + timedelta(seconds=seconds, microseconds=fraction * 10**6 // per_second)


def _apdu(frame: bytes, link: int) -> bytes | None:
    """Return the APDU of a frame; ``None`` if it holds something else."""
    if link not in _LINKS:
        return None
    ip = frame[_LINKS[link] :]
    if len(ip) < 20 or ip[0] >> 4 != 4 or ip[9] != 17:
        return None
    udp = ip[(ip[0] & 0x0F) * 4 : struct.unpack_from(">H", ip, 2)[0]]
    if len(udp) < 12 or struct.unpack_from(">H", udp, 2)[0] != _PORT:
        return None
    gsmtap = udp[8:]
    is_sim = gsmtap[0] == 2 and gsmtap[2] == _GSMTAP_SIM
    return gsmtap[gsmtap[1] * 4 :] if is_sim else None


# Instructions whose P3 is the length of data for the card (ETSI TS 102 221 §10.1.2, GlobalPlatform
# Card Specification §11); those of all others ask for data.
_SENDS_DATA: Final = frozenset(
    bytes.fromhex("10 14 20 24 26 28 2C 32 44 82 88 89 A2 A4 C2 D6 D8 DC E2 E4 E6 E8 F0")
)
# Their P3 is always the length of data that the card returns: FETCH and GET RESPONSE.
_ASKS_ONLY: Final = frozenset(bytes.fromhex("12 C0"))
_WORD: Final = re.compile(rb"[\x60-\x6f\x90-\x9f].\Z", re.DOTALL)


def split_apdu(data: bytes) -> tuple[bytes, bytes]:
    """Split a packet's data into command and response; the response is empty if there is none.

    Without a note of where the command ends, its header decides: P3 is a length (ETSI TS 102 221
    §10.1.1), of data for the card or of data that the card returns.
    """
    if len(data) < 7 or not _WORD.search(data):
        return data, b""
    length = data[4]
    rest = len(data) - 5 - 2
    # Under T=0, which captures are of, no Le follows the data.
    sends = rest > length or (rest == length and data[1] in _SENDS_DATA)
    if sends and data[1] not in _ASKS_ONLY:
        return data[: 5 + length], data[5 + length :]
    return data[:5], data[5:]
