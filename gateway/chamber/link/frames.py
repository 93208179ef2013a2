"""What the link between two hosts carries: length-limited frames, each of one kind and one direction.

Frame: length of the rest (4 bytes, big endian, at most 1 MiB), version (1), kind (1), sequence (8),
body. The kind's first bit says which side sent it, so that a frame of the other direction, our own
thrown back too, is wrong by its kind. What is wrong once is not to be trusted again: whoever reads a
wrong frame ends the connection.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from cascade.crossing import Direction
from gateway.chamber.codec import MAX_CROSSING_BYTES

VERSION: Final = 4
HEADER: Final = struct.Struct("!IBBQ")
REST: Final = HEADER.size - 4
"""Of the header, what its length counts."""
SENT_BY_INNER: Final = 0x80
MAX_MEDIA_BYTES: Final = 64 * 1024
"""Of one message between the media of the two hosts."""

LIFE: Final = struct.Struct("!QQQ")
"""The body of ALIVE: how many of the kept frames were heard in this era; a stamp of the sender's clock in
microseconds; and the other end's newest stamp, with what it has lain here added, or 0."""


class Kind(IntEnum):
    CROSSING = 1
    CLOSING = 2  # the body says why, in one of our words
    SHUT = 3  # the door there cannot record; no body
    OPEN = 4  # it can again; no body
    HELLO = 5  # the first of each end, and only that
    ALIVE = 6  # somebody is there, and has heard so many
    MEDIA = 7  # between the media of the two hosts, and none of our business; lost where the link is
    ANEW = 8  # the door there judges otherwise now: what there is should be told to it anew; no body


KEPT: Final = frozenset({Kind.CROSSING, Kind.SHUT, Kind.OPEN, Kind.ANEW})
"""Counted by both ends, and kept by the sender until they were heard."""


class BadFrame(Exception):
    """The other end broke the framing; the text is why."""


class FrameReader:
    """Bytes in, bodies out; holds at most one frame that is not whole. `towards`: of what it reads."""

    def __init__(self, towards: Direction) -> None:
        self._held = bytearray()
        self._expected = 0
        self._bit = SENT_BY_INNER if towards == "outward" else 0

    @property
    def midway(self) -> bool:
        """Does a frame lack its end?"""
        return bool(self._held)

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """Yield each frame that is whole. Raises BadFrame at the first wrong one."""
        self._held += data
        while len(self._held) >= HEADER.size:
            length, version, kind, sequence = HEADER.unpack_from(self._held)
            if not REST <= length <= MAX_CROSSING_BYTES + REST:
                raise BadFrame(f"a frame of {length} bytes")
            if version != VERSION:
                raise BadFrame(f"version {version}; this end speaks {VERSION}")
            if kind & SENT_BY_INNER != self._bit:
                raise BadFrame("a frame of the other direction")
            if kind & ~SENT_BY_INNER not in Kind.__members__.values():
                raise BadFrame(f"kind {kind & ~SENT_BY_INNER}")
            if sequence != self._expected:
                raise BadFrame(f"sequence {sequence} where {self._expected} was due")
            if len(self._held) < 4 + length:
                return
            body = bytes(self._held[HEADER.size : 4 + length])
            del self._held[: 4 + length]
            self._expected += 1
            yield Kind(kind & ~SENT_BY_INNER), body


def frame(kind: Kind, sequence: int, body: bytes, towards: Direction) -> bytes:
    bit = SENT_BY_INNER if towards == "outward" else 0
    return HEADER.pack(REST + len(body), VERSION, kind | bit, sequence) + body
