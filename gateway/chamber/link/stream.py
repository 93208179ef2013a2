"""The sides in two processes: length-limited frames over a connected stream socket.

Frame: length of the rest (4 bytes, big endian, at most 1 MiB), version (1), kind (1), sequence (8),
body. A frame that is too long, of another version or kind, out of sequence or not a crossing closes
the link with the reason, which the other end is told: what is wrong once is not to be trusted again.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final, cast

from cascade.crossing import Crossing
from gateway.chamber.codec import MAX_CROSSING_BYTES, CodecError, decode, encode
from gateway.chamber.link import LinkUnavailable, nobody, unheard

log: Final = logging.getLogger("gateway.chamber.link")

VERSION: Final = 1
HEADER: Final = struct.Struct("!IBBQ")
MAX_UNSENT_BYTES: Final = 8 * 1024 * 1024
"""Waiting for a slow other end; beyond it the newest crossing is refused, and its sender is told."""
MAX_REASON_BYTES: Final = 200


class Kind(IntEnum):
    CROSSING = 1
    CLOSING = 2  # the body says why, as UTF-8 text
    SHUT = 3  # the door there cannot record; no body
    OPEN = 4  # it can again; no body


class BadFrame(Exception):
    """The other end broke the framing; the text is why."""


class FrameReader:
    """Bytes in, bodies out; holds at most one frame that is not whole."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._expected = 0

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """Yield each frame that is whole. Raises BadFrame at the first wrong one."""
        self._held += data
        while len(self._held) >= HEADER.size:
            length, version, kind, sequence = HEADER.unpack_from(self._held)
            rest = HEADER.size - 4
            if not rest <= length <= MAX_CROSSING_BYTES + rest:
                raise BadFrame(f"a frame of {length} bytes")
            if version != VERSION:
                raise BadFrame(f"version {version}; this end speaks {VERSION}")
            if kind not in Kind.__members__.values():
                raise BadFrame(f"kind {kind}")
            if sequence != self._expected:
                raise BadFrame(f"sequence {sequence} where {self._expected} was due")
            if len(self._held) < 4 + length:
                return
            body = bytes(self._held[HEADER.size : 4 + length])
            del self._held[: 4 + length]
            self._expected += 1
            yield Kind(kind), body


def frame(kind: Kind, sequence: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size - 4 + len(body), VERSION, kind, sequence) + body


class StreamEnd(asyncio.Protocol):
    """One end over a socket; see `open_stream`. `closed` ends with the reason, and is never cancelled."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._on_arrival: Callable[[Crossing], None] = nobody
        self.on_signal: Callable[[bool], None] = unheard
        self._early = b""  # what came before there was a gate; then reading pauses
        self.closed: asyncio.Future[str] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._sequence = 0

    @property
    def on_arrival(self) -> Callable[[Crossing], None]:
        return self._on_arrival

    @on_arrival.setter
    def on_arrival(self, gate: Callable[[Crossing], None]) -> None:
        self._on_arrival = gate
        early, self._early = self._early, b""
        if early and self._transport is not None:
            self._transport.resume_reading()
            self.data_received(early)

    def deliver(self, crossing: Crossing) -> None:
        if self._transport is None or self.closed.done():
            raise LinkUnavailable("the link to the other side is closed")
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise LinkUnavailable("the other side takes nothing: too much is waiting for it")
        try:
            body = encode(crossing)
        except CodecError as error:
            raise LinkUnavailable(str(error)) from error
        self._send(Kind.CROSSING, body)

    def signal(self, *, recording: bool) -> None:
        if self._transport is not None and not self.closed.done():
            self._send(Kind.OPEN if recording else Kind.SHUT, b"")

    def close(self, reason: str) -> None:
        """Tell the other end why, and close once that is sent."""
        if self._transport is not None and not self.closed.done():
            self._send(Kind.CLOSING, reason.encode(errors="replace")[:MAX_REASON_BYTES])
            self._transport.close()
        self._end(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.closed.done():
            return
        if self._on_arrival is nobody and self._transport is not None:
            self._early += data
            self._transport.pause_reading()
            return
        try:
            for kind, body in self._reader.feed(data):
                self._take(kind, body)
        except (BadFrame, CodecError) as error:
            log.error("link.broken", extra={"reason": str(error)})
            self.close(f"bad frame: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(f"connection lost: {exc}" if exc else "closed by the other side")

    def _take(self, kind: Kind, body: bytes) -> None:
        if self.closed.done():
            return
        if kind is Kind.CROSSING:
            self._on_arrival(decode(body))
        elif kind is not Kind.CLOSING:
            if body:
                raise BadFrame(f"a frame of {HEADER.size - 4 + len(body)} bytes")
            self.on_signal(kind is Kind.OPEN)
        elif self._transport is not None:
            self._transport.close()
            self._end(f"closed by the other side: {body[:MAX_REASON_BYTES].decode(errors='replace')}")

    def _send(self, kind: Kind, body: bytes) -> None:
        assert self._transport is not None
        self._transport.write(frame(kind, self._sequence, body))
        self._sequence += 1

    def _end(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)
            log.info("link.closed", extra={"reason": reason})


async def open_stream(sock: socket.socket, loop: asyncio.AbstractEventLoop | None = None) -> StreamEnd:
    """Take over a connected stream socket (one end of a `socketpair`, or TCP)."""
    loop = asyncio.get_running_loop() if loop is None else loop
    end = StreamEnd(loop)
    await loop.create_connection(lambda: end, sock=sock)
    return end
