"""Links keep the order, share no object where they encode, and close on the first wrong frame."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.crossing import Crossing
from gateway.chamber.codec import MAX_CROSSING_BYTES, encode
from gateway.chamber.link import LinkUnavailable
from gateway.chamber.link.encoded import encoded_link
from gateway.chamber.link.memory import memory_link
from gateway.chamber.link.stream import (
    HEADER,
    MAX_UNSENT_BYTES,
    VERSION,
    BadFrame,
    FrameReader,
    Kind,
    StreamEnd,
    frame,
    open_stream,
)
from tests.gateway.chamber_ground import CROSSINGS, ask, batch, channel, rows, stream_open


class Inbox:
    """What arrived, and a way to wait for it."""

    def __init__(self) -> None:
        self.crossings: list[Crossing] = []
        self._more = asyncio.Event()

    def __call__(self, crossing: Crossing) -> None:
        self.crossings.append(crossing)
        self._more.set()

    async def hold(self, count: int) -> list[Crossing]:
        async with asyncio.timeout(10):
            while len(self.crossings) < count:
                self._more.clear()
                await self._more.wait()
        return self.crossings


@pytest.mark.parametrize("link", [memory_link, encoded_link])
async def test_links_in_one_process_deliver_later_and_in_order(link: Callable[[Any], Any]) -> None:
    here, there = link(asyncio.get_running_loop())
    inbox = Inbox()
    there.on_arrival = inbox
    sent = [ask(correlation=number) for number in range(20)]
    for crossing in sent:
        here.deliver(crossing)
    assert inbox.crossings == []
    assert await inbox.hold(20) == sent


async def test_the_memory_link_hands_over_the_object_and_the_encoded_one_a_copy() -> None:
    for link, same in ((memory_link, True), (encoded_link, False)):
        here, there = link(asyncio.get_running_loop())
        there.on_arrival = inbox = Inbox()
        sent = batch(rows(channel(1)))
        here.deliver(sent)
        (got,) = await inbox.hold(1)
        assert (got is sent) is same
        assert got == sent


async def test_the_encoded_link_refuses_what_another_host_would_not_read() -> None:
    here, _ = encoded_link(asyncio.get_running_loop())
    with pytest.raises(LinkUnavailable, match="1001 rows"):
        here.deliver(batch(rows(*map(channel, range(1001)))))


@asynccontextmanager
async def stream() -> AsyncIterator[tuple[StreamEnd, StreamEnd]]:
    one, two = socket.socketpair()
    here, there = await open_stream(one), await open_stream(two)
    try:
        yield here, there
    finally:
        for end in (here, there):
            end.close("the test is over")
        await asyncio.gather(here.closed, there.closed)
        await asyncio.sleep(0)


@asynccontextmanager
async def raw() -> AsyncIterator[tuple[StreamEnd, asyncio.StreamReader, asyncio.StreamWriter]]:
    """An end, and the bare other end of its socket."""
    one, two = socket.socketpair()
    end = await open_stream(one)
    reader, writer = await asyncio.open_connection(sock=two)
    try:
        yield end, reader, writer
    finally:
        end.close("the test is over")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def reason(end: StreamEnd) -> str:
    async with asyncio.timeout(10):
        return await asyncio.shield(end.closed)


async def test_crossings_pass_a_socket_both_ways_in_order() -> None:
    async with stream() as (here, there):
        inbox, other = Inbox(), Inbox()
        there.on_arrival, here.on_arrival = inbox, other
        sent: list[Crossing] = [ask(correlation=number) for number in range(200)]
        sent.append(batch(rows(*map(channel, range(1000)))))
        for crossing in sent:
            here.deliver(crossing)
        there.deliver(stream_open())
        assert await inbox.hold(len(sent)) == sent
        assert await other.hold(1) == [stream_open()]


async def test_what_comes_before_there_is_a_gate_is_kept() -> None:
    async with stream() as (here, there):
        for number in range(5):
            here.deliver(ask(correlation=number))
        for _ in range(10):
            await asyncio.sleep(0)
        there.on_arrival = inbox = Inbox()
        here.deliver(ask(correlation=5))
        assert await inbox.hold(6) == [ask(correlation=number) for number in range(6)]


async def test_what_a_door_says_of_itself_comes_in_its_order_and_has_no_content() -> None:
    async with stream() as (here, there):
        inbox = Inbox()
        heard: list[tuple[int, bool]] = []
        there.on_arrival = inbox
        there.on_signal = lambda recording: heard.append((len(inbox.crossings), recording))
        here.signal(recording=False)
        here.deliver(ask())
        here.signal(recording=True)
        here.deliver(ask())
        await inbox.hold(2)
        assert heard == [(0, False), (1, True)]
        here.close("maintenance")
        here.signal(recording=False)  # lost, like the link


async def test_closing_tells_the_other_end_why() -> None:
    async with stream() as (here, there):
        there.on_arrival = Inbox()
        here.close("maintenance")
        assert await reason(here) == "maintenance"
        assert await reason(there) == "closed by the other side: maintenance"
        for end in (here, there):
            with pytest.raises(LinkUnavailable, match="closed"):
                end.deliver(ask())


async def test_a_lost_connection_closes_the_link() -> None:
    async with raw() as (end, _, writer):
        writer.close()
        assert await reason(end) == "closed by the other side"


GOOD = frame(Kind.CROSSING, 0, encode(ask()))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (struct.pack("!IBBQ", 0xFFFFFFFF, VERSION, 1, 0), "a frame of 4294967295 bytes"),
        (struct.pack("!IBBQ", MAX_CROSSING_BYTES + 11, VERSION, 1, 0), "a frame of"),
        (struct.pack("!IBBQ", 9, VERSION, 1, 0), "a frame of 9 bytes"),
        (struct.pack("!IBBQ", 10, 2, 1, 0), "version 2; this end speaks 1"),
        (struct.pack("!IBBQ", 10, VERSION, 5, 0), "kind 5"),
        (frame(Kind.SHUT, 0, b"a secret"), "a frame of 18 bytes"),
        (frame(Kind.OPEN, 0, b"x"), "a frame of 11 bytes"),
        (struct.pack("!IBBQ", 10, VERSION, 1, 1), "sequence 1 where 0 was due"),
        (GOOD + GOOD, "sequence 0 where 1 was due"),
        (frame(Kind.CROSSING, 0, b"no crossing"), "not a crossing"),
        (b"REGISTER sip:44010000002000000999 SIP/2.0\r\n\r\n", "a frame of"),
    ],
)
async def test_a_wrong_frame_closes_the_link_and_says_why(data: bytes, why: str) -> None:
    async with raw() as (end, reader, writer):
        end.on_arrival = inbox = Inbox()
        writer.write(data)
        assert (await reason(end)).startswith(f"bad frame: {why}")
        told = await reader.read()
        _, version, kind, sequence = HEADER.unpack_from(told)
        assert (version, kind, sequence) == (VERSION, Kind.CLOSING, 0)
        assert told[HEADER.size :].decode().startswith(f"bad frame: {why}")
        assert inbox.crossings == ([ask()] if data.startswith(GOOD) else [])


async def test_nothing_is_taken_after_a_wrong_frame() -> None:
    async with raw() as (end, _, writer):
        end.on_arrival = inbox = Inbox()
        writer.write(frame(Kind.CROSSING, 0, b"wrong") + frame(Kind.CROSSING, 1, encode(ask())))
        await reason(end)
        assert inbox.crossings == []


async def test_when_the_other_side_reads_nothing_the_newest_crossing_is_refused() -> None:
    async with raw() as (end, _, _):
        big = batch(rows(*map(channel, range(1000))))
        size = len(encode(big))
        taken = 0
        while end._transport is not None and end._transport.get_write_buffer_size() <= MAX_UNSENT_BYTES:
            end.deliver(big)
            taken += 1
        with pytest.raises(LinkUnavailable, match="too much is waiting"):
            end.deliver(big)
        assert MAX_UNSENT_BYTES <= taken * size <= 2 * MAX_UNSENT_BYTES


@settings(deadline=None)
@given(st.lists(CROSSINGS, min_size=1, max_size=4), st.data())
def test_frames_cut_anywhere_are_read_whole(crossings: list[Crossing], data: Any) -> None:
    bodies = [encode(crossing) for crossing in crossings]
    whole = b"".join(frame(Kind.CROSSING, number, body) for number, body in enumerate(bodies))
    reader = FrameReader()
    got: list[tuple[Kind, bytes]] = []
    while whole:
        size = data.draw(st.integers(1, len(whole)))
        got += reader.feed(whole[:size])
        whole = whole[size:]
    assert got == [(Kind.CROSSING, body) for body in bodies]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_bytes_are_frames_or_a_bad_frame(parts: list[bytes]) -> None:
    reader = FrameReader()
    with contextlib.suppress(BadFrame):
        for part in parts:
            list(reader.feed(part))
