"""The leg between two hosts without any media: what its ends tell each other, and what they make of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.link import MAX_TAKEN, BadMessage, Memory, Network, Terms
from media.relay import Close, Event, Open, RelayRefused, Starved
from tests.clock import run
from tests.media.plane import CorePlane
from tests.sip.network import Network as Wire

ONE, TWO = ("192.0.2.1", 7000), ("192.0.2.2", 7000)


class Ends:
    """Two legs; `told` is what they sent, which `pass_on` hands over."""

    def __init__(self, terms: Terms | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.wire = Wire(loop)
        self.planes = [CorePlane(loop, self.wire.datagrams) for _ in range(2)]
        self.told: list[list[bytes]] = [[], []]
        pairs = zip(self.planes, ((100, ONE, TWO), (201, TWO, ONE)), strict=True)
        self.legs = [
            Network(plane, start=start, local=local, peer=peer, loop=loop, terms=terms)
            for plane, (start, local, peer) in pairs
        ]
        for leg, told in zip(self.legs, self.told, strict=True):
            leg.send = told.append

    async def __aenter__(self) -> "Ends":
        for leg in self.legs:
            await leg.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for leg, plane in zip(self.legs, self.planes, strict=True):
            await leg.__aexit__()
            assert not plane.counters().streams
            plane.close()
        assert self.wire.bound() == []

    async def pass_on(self) -> None:
        await asyncio.sleep(0)
        for leg, told in zip(self.legs, reversed(self.told), strict=True):
            for message in told:
                leg.receive(message)
            told.clear()


@asynccontextmanager
async def source(ends: Ends) -> AsyncIterator[str]:
    """A stream at the first host, by its name."""
    stream = ends.legs[0].name()
    plane = ends.planes[0]
    await plane.bind(Open(stream=stream, address=ONE[0], port=9000))
    yield stream
    plane.tell(Close(stream=stream))


def nothing(event: Event) -> None:
    raise AssertionError(event)


def test_a_stream_is_sent_while_it_is_offered_here_and_taken_there() -> None:
    async def scenario() -> None:
        async with Ends() as ends, source(ends) as stream:
            ours, theirs = ends.legs

            def viewers() -> list[str]:
                return list(ends.planes[0].counters().streams[stream].viewers)

            with ours.offering(stream, 96):
                assert viewers() == []
                async with theirs.taking(stream, 96, hold_packets=10, on_event=nothing):
                    await ends.pass_on()
                    assert viewers() == ["trunk"]
                    with ours.offering(stream, 96):
                        async with theirs.taking(stream, 96, hold_packets=10, on_event=nothing):
                            await ends.pass_on()
                    await ends.pass_on()
                    assert viewers() == ["trunk"], "somebody has it still"
                assert ends.planes[1].counters().streams == {}
                await ends.pass_on()
                assert viewers() == []
                async with theirs.taking(stream, 96, hold_packets=10, on_event=nothing):
                    await ends.pass_on()
                    assert viewers() == ["trunk"]
            assert viewers() == [], "offered no more"

    run(scenario())


def test_what_was_not_offered_is_not_sent() -> None:
    async def scenario() -> None:
        async with (
            Ends() as ends,
            source(ends) as stream,
            ends.legs[1].taking(stream, 96, hold_packets=10, on_event=nothing),
        ):
            await ends.pass_on()
            await ends.pass_on()
            assert ends.planes[0].counters().streams[stream].viewers == {}
            assert ends.legs[0].not_offered == 1

    run(scenario())


def test_a_link_that_comes_back_is_told_everything_again() -> None:
    async def scenario() -> None:
        async with Ends() as ends:
            for leg in ends.legs:
                leg.joined()
            await ends.pass_on()
            async with ends.legs[1].taking("100", 96, hold_packets=10, on_event=nothing):
                await asyncio.sleep(0)
                before = list(ends.told[1])
                ends.told[1].clear()  # lost
                ends.legs[1].joined()
                key, taken = ends.told[1]
                assert [taken] == before
                assert key.startswith(b"K")
                assert len(key) == 35

    run(scenario())


def test_changes_of_one_turn_are_told_once() -> None:
    async def scenario() -> None:
        async with Ends() as ends:
            leg = ends.legs[1]
            takings = [
                leg.taking(str(number), 96, hold_packets=1, on_event=nothing) for number in (100, 102, 104)
            ]
            for taking in takings:
                await taking.__aenter__()
            await asyncio.sleep(0)
            assert ends.told[1] == [b"T" + b"".join(number.to_bytes(4) for number in (100, 102, 104))]
            for taking in takings:
                await taking.__aexit__(None, None, None)
            await asyncio.sleep(0)
            assert ends.told[1][1:] == [b"T"]

    run(scenario())


def test_silence_is_told_to_all_who_listen() -> None:
    async def scenario() -> None:
        terms = Terms(first_seconds=20.0)
        async with Ends(terms) as ends:
            heard: list[Event] = []
            leg = ends.legs[1]
            async with (
                leg.taking("100", 96, hold_packets=10, on_event=heard.append),
                leg.taking("100", 96, hold_packets=10, on_event=heard.append),
            ):
                await asyncio.sleep(19.0)
                assert heard == []
                await asyncio.sleep(2.0)
                assert heard == [Starved(stream="100", kind="no-media")] * 2

    run(scenario())


@pytest.mark.parametrize(
    "stream", ["", "99", "101", "0100", "-2", "x", "1e2", "4294967296", "٢", "100 ", "9" * 5000]
)
def test_a_name_that_the_other_host_cannot_have_given_is_refused(stream: str) -> None:
    async def scenario() -> None:
        async with Ends() as ends:
            with pytest.raises(RelayRefused):
                await ends.legs[1].taking(stream, 96, hold_packets=1, on_event=nothing).__aenter__()
            assert ends.planes[1].counters().streams == {}

    run(scenario())


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"X",
        b"K",
        b"K" + bytes(34),
        b"K\1\1" + bytes(31),
        b"K\1\1" + bytes(33),
        b"T\0",
        b"T\0\0\0\2\0\0\0",
        b"T" + (101).to_bytes(4),
        b"T" + (100).to_bytes(4) + (101).to_bytes(4),
    ],
)
def test_a_message_that_is_none_is_told_and_changes_nothing(message: bytes) -> None:
    async def scenario() -> None:
        async with Ends() as ends, source(ends) as stream:
            with ends.legs[0].offering(stream, 96):
                with pytest.raises(BadMessage):
                    ends.legs[0].receive(message)
                assert ends.planes[0].counters().streams[stream].viewers == {}

    run(scenario())


@given(st.binary(max_size=80))
def test_any_bytes_are_taken_or_blamed(message: bytes) -> None:
    async def scenario() -> None:
        async with Ends() as ends:
            try:
                ends.legs[0].receive(message)
            except BadMessage:
                return
            assert message[:1] in {b"K", b"T"}

    run(scenario())


def test_the_largest_list_of_streams_fits_a_frame_of_64_kib() -> None:
    assert 1 + 4 * MAX_TAKEN <= 65_536


def test_a_key_that_was_not_used_is_not_replaced_by_the_clock() -> None:
    async def scenario() -> None:
        async with Ends(Terms(rekey_seconds=10.0)) as ends:
            ends.legs[0].joined()
            await asyncio.sleep(100.0)
            assert [message[:1] for message in ends.told[0]] == [b"K", b"T"]

    run(scenario())


def test_names_are_of_one_side_and_wrap() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        plane = CorePlane(loop, Wire(loop).datagrams)
        leg = Network(plane, start=2**32 - 2, local=ONE, peer=TWO, loop=loop)
        assert [leg.name() for _ in range(3)] == ["4294967294", "0", "2"]
        plane.close()

    run(scenario())


def test_in_one_process_there_is_nothing_to_do() -> None:
    async def scenario() -> None:
        made: Callable[[], str] = iter(["a", "b"]).__next__
        memory = Memory(made)
        assert [memory.name(), memory.name()] == ["a", "b"]
        with memory.offering("a", 96):
            async with memory.taking("a", 96, hold_packets=1, on_event=nothing):
                pass

    run(scenario())
