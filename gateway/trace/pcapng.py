"""A story as a capture file: two named interfaces, one for each side, and verdicts as comments.

pcapng (draft-ietf-opsawg-pcapng) with section header, interface description and enhanced packet blocks.
Each SIP message stands in an IPv4 and UDP header made for it, since the gateway keeps what it read and
not frames; what was cut says so by its original length. Why no library: decision 012.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Final

from gateway.trace.facts import Crossed, Message, SideName

SECTION: Final = 0x0A0D0D0A
INTERFACE: Final = 1
PACKET: Final = 6
BYTE_ORDER: Final = 0x1A2B3C4D
RAW_IP: Final = 101  # LINKTYPE_RAW
COMMENT: Final = 1  # opt_comment, of every block
PROGRAM: Final = 4  # shb_userappl
NAME: Final = 2  # if_name
DESCRIPTION: Final = 3  # if_description
FLAGS: Final = 2  # epb_flags
INBOUND: Final = 1
OUTBOUND: Final = 2

SIDES: Final[tuple[SideName, ...]] = ("outer", "inner")
UDP: Final = 17


def capture(
    messages: Iterable[Message],
    comments: Mapping[tuple[SideName, int], Sequence[str]],
    *,
    about: str = "",
    descriptions: Mapping[SideName, str] | None = None,
) -> bytes:
    """The file. `comments` are for messages by their side and number; `about` is that of the whole.

    Messages of IPv6 peers are left out: nothing else is spoken here yet.
    """
    described = descriptions or {}
    program = _option(PROGRAM, b"lockgate")
    head = struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1)
    parts = [_block(SECTION, head + (_comments([about]) if about else b"") + program + _END)]
    for side in SIDES:
        options = _option(NAME, side.encode()) + _option(DESCRIPTION, described.get(side, side).encode())
        parts.append(_block(INTERFACE, struct.pack("<HHI", RAW_IP, 0, 0) + options + _END))
    for message in sorted(messages, key=lambda it: (it.at, it.number)):
        parts.append(_packet(message, comments.get((message.side, message.number), ())))
    return b"".join(parts)


def verdicts(
    messages: Sequence[Message], crossings: Sequence[Crossed]
) -> dict[tuple[SideName, int], list[str]]:
    """Each door's verdict beside the message before it on that side, or the first one after it."""
    said: dict[tuple[SideName, int], list[str]] = {}
    for fact in sorted(crossings, key=lambda fact: (fact.at, fact.number)):
        mine = sorted((it for it in messages if it.side == fact.side), key=lambda it: (it.at, it.number))
        before = [it for it in mine if it.at <= fact.at]
        nearest = before[-1:] or mine[:1]
        for message in nearest:
            said.setdefault((message.side, message.number), []).append(_verdict(fact))
    return said


def _verdict(fact: Crossed) -> str:
    word = "passed" if fact.passed else "REFUSED"
    return (
        f"{word} by rule {fact.rule}: {fact.kind} {fact.action} {fact.direction}, {fact.door} door of "
        f"{fact.side}, correlation {fact.correlation}, from {fact.origin}, {', '.join(fact.subjects)}"
    )


def _packet(message: Message, comments: Sequence[str]) -> bytes:
    near, far = (message.ours, message.peer) if message.sent else (message.peer, message.ours)
    datagram = _datagram(message.data, message.length, near, far)
    moment = round(message.at * 1_000_000)
    length = len(datagram) + message.length - len(message.data)
    head = struct.pack(
        "<IIIII", SIDES.index(message.side), moment >> 32, moment & 0xFFFFFFFF, len(datagram), length
    )
    flags = _option(FLAGS, struct.pack("<I", OUTBOUND if message.sent else INBOUND))
    return _block(PACKET, head + _padded(datagram) + _comments(comments) + flags + _END)


def _datagram(data: bytes, whole: int, near: tuple[str, int], far: tuple[str, int]) -> bytes:
    """IPv4 (RFC 791) and UDP (RFC 768) in front of `data`, of which there may have been more."""
    source, destination = IPv4Address(near[0]).packed, IPv4Address(far[0]).packed
    total = min(20 + 8 + whole, 0xFFFF)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0x4000, 64, UDP, 0, source, destination)
    head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    return head + struct.pack("!HHHH", near[1], far[1], total - 20, 0) + data  # 0: no checksum was made


def _checksum(head: bytes) -> int:
    total: int = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def _comments(texts: Sequence[str]) -> bytes:
    return b"".join(_option(COMMENT, text.encode("utf-8", "replace")[:1000]) for text in texts)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


_END: Final = _option(0, b"")
