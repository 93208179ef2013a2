"""The relay in virtual time, and what its owners see of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from media.ports import NoPortLeft, Ports
from media.relay import (
    MAX_TAKEN,
    AddViewer,
    AimViewer,
    Close,
    Command,
    Event,
    Expect,
    Failed,
    Open,
    Started,
    Starved,
    Subscribers,
    encode,
    receiving,
    sending,
)
from tests.clock import run
from tests.media.plane import CorePlane
from tests.media.rtp import packet, seen
from tests.sip.network import Network

OUTER, INNER, CAMERA, UPPER = "10.0.1.1", "10.0.2.1", "192.0.2.7", "198.51.100.7"
SSRC = 106_000_001


class World:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.network = Network(loop)
        self.plane = CorePlane(loop, self.network.datagrams)
        self.outer, self.inner = (
            Ports(host, 30_000, 30_099, quarantine_seconds=30.0, clock=loop.time, choose=lambda free: free[0])
            for host in (OUTER, INNER)
        )
        self.events: list[tuple[float, Event]] = []
        self.plane.subscribe("s", lambda event: self.events.append((round(loop.time(), 3), event)))
        self.heard: list[bytes] = []
        self.camera = self.network.datagrams((CAMERA, 5000), lambda data, source: None)
        self.network.datagrams((UPPER, 6000), lambda data, source: self.heard.append(data))


def play(scenario: Callable[[World], Awaitable[None]]) -> World:
    async def whole() -> World:
        world = World()
        await scenario(world)
        await asyncio.sleep(1.0)
        assert world.plane.sockets() == 0
        assert world.network.bound() == [(CAMERA, 5000), (UPPER, 6000)]
        return world

    return run(whole())


def test_a_packet_crosses_from_one_side_to_the_other() -> None:
    async def scenario(world: World) -> None:
        plane = world.plane
        async with receiving(plane, world.outer, "s") as port, sending(plane, world.inner, "s", "v"):
            world.camera.send(packet(1, b"before the answer"), (OUTER, port))
            await asyncio.sleep(0.1)
            plane.tell(Expect(stream="s", source=(CAMERA,), ssrc=SSRC))
            world.camera.send(packet(2, b"held"), (OUTER, port))
            await asyncio.sleep(0.1)
            assert world.heard == []
            plane.tell(AimViewer(stream="s", viewer="v", host=UPPER, port=6000, ssrc=7, payload_type=96))
            world.camera.send(packet(3, b"live"), (OUTER, port))
            await asyncio.sleep(1.0)
            counters = plane.counters().streams["s"]
            assert (counters.received, counters.admitted, counters.viewers["v"].sent) == (3, 2, 2)

    world = play(scenario)
    assert [(one.ssrc, one.payload) for one in map(seen, world.heard)] == [(7, b"held"), (7, b"live")]
    assert world.events == [(0.105, Started(stream="s", ssrc=SSRC, source=(CAMERA, 5000), at=0.105))]


def test_media_that_do_not_come_and_media_that_stop_are_told_apart() -> None:
    async def scenario(world: World) -> None:
        async with receiving(world.plane, world.outer, "s") as port:
            world.plane.tell(Expect(stream="s", source=(CAMERA,), ssrc=SSRC))
            await asyncio.sleep(60.0)
            world.camera.send(packet(1), (OUTER, port))
            await asyncio.sleep(60.0)

    said = [(when, event) for when, event in play(scenario).events if isinstance(event, Starved)]
    assert said == [
        (10.0, Starved(stream="s", kind="no-media")),
        (75.005, Starved(stream="s", kind="media-lost")),
    ]


def test_a_stream_that_ends_takes_its_viewers_ports_along() -> None:
    async def scenario(world: World) -> None:
        async with receiving(world.plane, world.outer, "s"):
            await world.plane.bind(AddViewer(stream="s", viewer="v", address=INNER, port=30_000))

    play(scenario)


def test_ports_that_others_hold_are_passed_over_up_to_a_bound() -> None:
    async def scenario(world: World) -> None:
        others = [world.network.datagrams((OUTER, 30_000 + 2 * n), print) for n in range(2 * MAX_TAKEN)]
        with pytest.raises(NoPortLeft):
            async with receiving(world.plane, world.outer, "s"):
                raise AssertionError
        assert world.outer.in_use == 0
        others.pop(MAX_TAKEN + 3).close()
        async with receiving(world.plane, world.outer, "s") as port:
            assert port == 30_000 + 2 * (MAX_TAKEN + 3)
        for other in others:
            other.close()

    play(scenario)


def test_a_bug_in_one_subscriber_is_logged_and_costs_the_others_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(event: Event) -> None:
        raise RuntimeError(event.stream)

    heard: list[Event] = []
    subscribers = Subscribers()
    subscribers.subscribe("a", broken)
    subscribers.subscribe("b", heard.append)
    events: list[Event] = [
        Failed(stream="a", reason="x"),
        Failed(stream="unknown", reason="x", viewer="v"),
        Starved(stream="b", kind="no-media"),
    ]
    with caplog.at_level(logging.ERROR):
        subscribers.dispatch(b"[" + b",".join(map(encode, events)) + b"]")
    assert heard == events[2:]
    assert [record.message for record in caplog.records] == ["relay.event_failed"]


def test_commands_and_events_are_written_as_the_native_relay_reads_them() -> None:
    """The field names and the tag are the contract with a relay in another process."""
    commands: list[Command] = [
        Open(stream="s", address="10.0.0.1", port=2),
        Expect(stream="s", source=("::/0",)),
        Close(stream="s"),
    ]
    assert [msgspec.json.decode(encode(command)) for command in commands] == [
        {"type": "Open", "stream": "s", "address": "10.0.0.1", "port": 2},
        {
            "type": "Expect",
            "stream": "s",
            "source": ["::/0"],
            "source_port": None,
            "ssrc": None,
            "payload_type": 96,
            "packs": True,
            "first_seconds": 10.0,
            "idle_seconds": 15.0,
            "max_bits_per_second": 32_000_000,
            "hold_packets": 256,
        },
        {"type": "Close", "stream": "s"},
    ]
