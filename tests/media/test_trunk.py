"""Two relays with real sockets on loopback, joined by a trunk."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from media.link import Network
from media.relay import (
    AddViewer,
    AimViewer,
    Event,
    Expect,
    Join,
    NativePlane,
    Open,
    OpenFromTrunk,
    PortTaken,
    RelayRefused,
    ViewOverTrunk,
)
from media.stats import TrunkCounters
from tests.media.rtp import PACK, packet
from tests.media.test_engine import HOST, SSRC, heard, port_of, udp

BURST = 20
"""Datagrams at once: what fits a viewer's socket of the usual size, however late it is read."""


def free_ports() -> tuple[int, int]:
    """Two that nobody holds right now."""
    with udp() as one, udp() as two:
        return port_of(one), port_of(two)


def nothing(event: Event) -> None:
    raise AssertionError(event)


@dataclass
class Pair:
    """Two hosts; `outer` has the cameras, `inner` the viewers."""

    outer: NativePlane
    inner: NativePlane
    legs: tuple[Network, Network]
    held: AsyncExitStack

    async def stream(self, camera: socket.socket, viewer: socket.socket, payload_type: int = 96) -> int:
        """One more stream from a camera to a viewer; the port that takes its packets."""
        one, two = self.legs
        name = one.name()
        port = await self.outer.bind(Open(stream=name, address=HOST, port=0))
        self.outer.tell(Expect(stream=name, source=(HOST,), ssrc=SSRC, max_bits_per_second=1 << 30))
        self.held.enter_context(one.offering(name, payload_type))
        await self.held.enter_async_context(
            two.taking(name, payload_type, hold_packets=256, on_event=nothing)
        )
        await self.inner.bind(AddViewer(stream=name, viewer="v", address=HOST, port=0))
        aim = AimViewer(
            stream=name, viewer="v", host=HOST, port=port_of(viewer), ssrc=int(name), payload_type=98
        )
        self.inner.tell(aim)
        return port

    def trunk(self) -> TrunkCounters:
        trunk = self.inner.counters().trunk
        assert trunk is not None
        return trunk


@asynccontextmanager
async def joined() -> AsyncIterator[Pair]:
    loop = asyncio.get_running_loop()
    async with NativePlane(loop) as outer, NativePlane(loop) as inner, AsyncExitStack() as held:
        near, far = ((HOST, port) for port in free_ports())
        one = Network(outer, start=100, local=near, peer=far, loop=loop)
        two = Network(inner, start=201, local=far, peer=near, loop=loop)
        one.send = two.receive
        two.send = one.receive
        for leg in (one, two):
            await held.enter_async_context(leg)
        for leg in (one, two):
            leg.joined()
        yield Pair(outer, inner, (one, two), held)


async def test_a_stream_passes_two_relays_and_leaves_with_our_header() -> None:
    async with joined() as pair:
        with udp() as camera, udp() as viewer:
            port = await pair.stream(camera, viewer)
            payloads = [PACK + bytes([number]) * (1396 if number % 14 else 300) for number in range(200)]
            got = []
            for first in range(0, 200, BURST):
                for number in range(first, first + BURST):
                    camera.sendto(packet(number, payloads[number], timestamp=number), (HOST, port))
                got += [await heard(viewer) for _ in range(BURST)]
            assert [one.payload for one in got] == payloads
            assert {(one.ssrc, one.payload_type) for one in got} == {(100, 98)}
            assert [one.timestamp for one in got] == list(range(200))
        counters = pair.trunk()
        assert (counters.opened, counters.lost, counters.refused.total) == (200, 0, 0)


async def test_streams_in_one_train_come_apart_again() -> None:
    async with joined() as pair:
        with ExitStack() as sockets:
            cameras, viewers = ([sockets.enter_context(udp()) for _ in range(4)] for _ in range(2))
            ports = [
                await pair.stream(camera, viewer) for camera, viewer in zip(cameras, viewers, strict=True)
            ]
            for first in range(0, 100, BURST):
                numbers = range(first, first + BURST)
                for number in numbers:
                    for which, (camera, port) in enumerate(zip(cameras, ports, strict=True)):
                        camera.sendto(packet(number, bytes([which, number]) * 600), (HOST, port))
                for which, viewer in enumerate(viewers):
                    got = [await heard(viewer) for _ in numbers]
                    assert [one.payload for one in got] == [
                        bytes([which, number]) * 600 for number in numbers
                    ]


async def test_strangers_at_the_trunks_port_are_counted_and_not_answered() -> None:
    async with joined() as pair:
        with udp() as camera, udp() as viewer, udp() as stranger:
            port = await pair.stream(camera, viewer)
            target = pair.legs[1]._local
            stranger.sendto(b"", target)
            stranger.sendto(b"\1" * 60, target)
            camera.sendto(packet(1, b"ours"), (HOST, port))
            assert (await heard(viewer)).payload == b"ours"
            refused = pair.trunk().refused
            assert (refused.not_trunk, refused.foreign_source) == (1, 1)
            with pytest.raises(BlockingIOError):
                stranger.recv(100)


async def test_a_packet_too_long_for_the_wire_takes_its_own_way() -> None:
    async with joined() as pair:
        with udp() as camera, udp() as viewer:
            port = await pair.stream(camera, viewer)
            lengths = [1400, 1400, 1460, 1460, 9000, 1400, 60_000, 40]
            for number, length in enumerate(lengths):
                camera.sendto(packet(number, bytes(length)), (HOST, port))
            assert [len((await heard(viewer)).payload) for _ in lengths] == lengths


async def test_the_port_pair_is_bound_once_and_freed() -> None:
    loop = asyncio.get_running_loop()
    one, two = free_ports()
    join = Join(address=HOST, port=one, host=HOST, host_port=two)
    async with NativePlane(loop) as plane, NativePlane(loop) as other:
        with pytest.raises(RelayRefused, match="no trunk"):
            await plane.open_from_trunk(OpenFromTrunk(stream="7", number=7))
        with pytest.raises(RelayRefused, match="no trunk"):
            plane.offer()
        assert await plane.join(join) == one
        with pytest.raises(RelayRefused, match="joined already"):
            await plane.join(Join(address=HOST, port=0, host=HOST, host_port=two))
        with pytest.raises(PortTaken):
            await other.join(join)
        with pytest.raises(RelayRefused, match="no offer"):
            plane.accept(b"key")
        await plane.open_from_trunk(OpenFromTrunk(stream="7", number=7))
        with pytest.raises(RelayRefused, match="that number"):
            await plane.open_from_trunk(OpenFromTrunk(stream="8", number=7))
        plane.view_over_trunk(ViewOverTrunk(stream="gone", viewer="trunk", number=9, payload_type=96))
        assert plane.sockets() == 0
    async with NativePlane(loop) as plane:
        assert await plane.join(join) == one
    plane.view_over_trunk(ViewOverTrunk(stream="7", viewer="trunk", number=9, payload_type=96))
