"""Strangers, crowds and wrong frames on the link of two hosts: each is counted and told, none gets in."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.chamber.codec import MAX_CROSSING_BYTES, encode
from gateway.chamber.link.frames import LIFE, VERSION, Kind, frame
from gateway.chamber.link.session import GREETING_SECONDS
from tests.clock import run
from tests.gateway.cable import HOST, Socket
from tests.gateway.chamber_ground import ask
from tests.gateway.pair import Logged, pair, troubles


class Bare(asyncio.Protocol):
    """Whoever speaks no link."""

    def __init__(self, says: bytes = b"") -> None:
        self.says = says
        self.got = b""
        self.over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, Socket)
        if self.says:
            transport.write(self.says)

    def data_received(self, data: bytes) -> None:
        self.got += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True


def test_strangers_get_nothing_and_who_is_silent_is_closed(tmp_path: Path, logged: Logged) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.outer.end.open()
            stranger, silent, http = Bare(), Bare(), Bare(b"GET / HTTP/1.1\r\n\r\n")
            here.cable.connect("10.9.0.66", stranger, HOST["outer"])
            here.cable.connect(HOST["inner"], silent, HOST["outer"])
            here.cable.connect(HOST["inner"], http, HOST["outer"])
            await asyncio.sleep(1.0)
            assert (stranger.over, stranger.got) == (True, b"")
            assert http.over
            assert not silent.over
            await asyncio.sleep(GREETING_SECONDS)
            assert silent.over
            crowd = [Bare() for _ in range(30)]
            for each in crowd:
                here.cable.connect(HOST["inner"], each, HOST["outer"])
            await asyncio.sleep(1.0)
            assert sum(not each.over for each in crowd) == 8
            assert here.outer.counts == {"stranger": 1, "slow": 1, "tls": 1, "crowd": 22}
            await asyncio.sleep(GREETING_SECONDS)
            await here.inner.end.open()
            await asyncio.sleep(1.0)
            assert here.inner.end.up

    run(scenario())
    assert {kind for _, kind in troubles(logged)} == {"stranger", "slow", "tls", "crowd"}


GOOD = encode(ask())


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (lambda n: b"\xff\xff\xff\xff" + frame(Kind.CROSSING, n, b"", "outward")[4:], "frame"),
        (lambda n: frame(Kind.CROSSING, n, b"x" * (MAX_CROSSING_BYTES + 1), "outward"), "frame"),
        (lambda n: _with_version(frame(Kind.CROSSING, n, GOOD, "outward"), VERSION + 1), "frame"),
        (lambda n: frame(Kind.CROSSING, n, GOOD, "inward"), "frame"),
        (lambda n: frame(Kind.CROSSING, n + 1, GOOD, "outward"), "frame"),
        (lambda n: frame(Kind.CROSSING, n, b"no crossing", "outward"), "crossing"),
        (lambda n: frame(Kind.HELLO, n, b"", "outward"), "frame"),
        (lambda n: frame(Kind.ALIVE, n, b"", "outward"), "frame"),
        (lambda n: frame(Kind.ALIVE, n, LIFE.pack(9, 1, 0), "outward"), "frame"),
        (lambda n: frame(Kind.SHUT, n, b"a secret", "outward"), "frame"),
        (lambda n: frame(Kind.CLOSING, n, b"a secret", "outward"), "frame"),
        (lambda n: frame(Kind.MEDIA, n, b"to nobody", "outward"), "frame"),
    ],
)
def test_a_wrong_frame_ends_the_link_and_both_begin_anew(
    tmp_path: Path, says: Callable[[int], bytes], kind: str, logged: Logged
) -> None:
    """Said by a host whose certificate is good: what is wrong once is not trusted again."""

    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            connection = here.inner.end._current
            assert connection is not None
            session = connection._session
            assert session is not None
            session._plain += says(session._sequence)
            connection._drain()
            await asyncio.sleep(0.1)
            assert here.outer.counts[kind] == 1
            assert here.outer.crossings == []
            assert here.inner.counts["closed"] == 1
            await asyncio.sleep(5.0)
            assert here.outer.heard == here.inner.heard == [True, False, True]

    run(scenario())
    assert ("link.down", kind) in troubles(logged)


def _with_version(data: bytes, version: int) -> bytes:
    return data[:4] + bytes([version]) + data[5:]


def test_a_frame_cut_short_is_told_as_such(tmp_path: Path, logged: Logged) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            connection = here.inner.end._current
            assert connection is not None
            session = connection._session
            assert session is not None
            session._plain += frame(Kind.CROSSING, session._sequence, GOOD, "outward")[:30]
            connection._drain()
            await asyncio.sleep(0.1)
            here.cable.reset()
            await asyncio.sleep(0.1)
            assert here.outer.counts["truncated"] == 1
            await asyncio.sleep(10.0)
            assert here.outer.heard == [True], "the whole frame would have come again"

    run(scenario())
    assert ("link.down", "truncated") in troubles(logged)
