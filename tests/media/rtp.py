"""RTP packets as senders make them, and as a viewer reads them (RFC 3550 section 5.1)."""

import struct
from dataclasses import dataclass

PACK = b"\0\0\1\xba"
"""How a PS pack starts."""


def packet(
    sequence: int,
    payload: bytes = PACK,
    *,
    ssrc: int = 106_000_001,
    payload_type: int = 96,
    timestamp: int = 0,
    marker: bool = False,
    version: int = 2,
) -> bytes:
    """One datagram; values wider than their field are cut."""
    second = marker << 7 | payload_type
    header = struct.pack("!BBHII", version << 6, second, sequence % 65_536, timestamp % 2**32, ssrc)
    return header + payload


@dataclass(frozen=True, slots=True)
class Seen:
    first: int  # version, padding, extension and CSRC count
    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def seen(datagram: bytes) -> Seen:
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", datagram)
    return Seen(first, bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, datagram[12:])
