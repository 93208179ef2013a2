"""The relay with real sockets on loopback, driven by events: every wait ends with a packet or an event.

A time-out of `PATIENCE` seconds says that something is lost, never that something is slow.
"""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from msgspec import structs

from media.ports import NoPortLeft, Ports
from media.relay import (
    AddViewer,
    AimViewer,
    Close,
    DropViewer,
    Event,
    Expect,
    NativePlane,
    Open,
    PortTaken,
    RelayRefused,
    Started,
    Starved,
    receiving,
    sending,
)
from tests.media.rtp import PACK, Seen, packet, seen

PATIENCE = 30.0
HOST = "127.0.0.1"
SSRC = 106_000_001


@contextmanager
def udp() -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in HOST else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as made:
        made.bind((HOST, 0))
        made.setblocking(False)
        yield made


def port_of(made: socket.socket) -> int:
    port: int = made.getsockname()[1]
    return port


async def heard(receiver: socket.socket) -> Seen:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        return seen(await loop.sock_recv(receiver, 65_536))


class Stream:
    """One open stream with its events, and the camera's side of it."""

    def __init__(self, plane: NativePlane, camera: socket.socket, port: int) -> None:
        self.plane = plane
        self.camera = camera
        self.port = port
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        plane.subscribe("s", self.events.put_nowait)

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.camera.sendto(datagram, (HOST, self.port))

    def expect(self, ssrc: int | None = SSRC, **seconds: float) -> None:
        expected = Expect(stream="s", source=(HOST,), ssrc=ssrc)
        self.plane.tell(structs.replace(expected, **seconds))

    async def event(self) -> Event:
        async with asyncio.timeout(PATIENCE):
            return await self.events.get()

    def received(self, count: int) -> None:
        """Return when the relay has judged that many datagrams."""
        given_up = time.monotonic() + PATIENCE
        while self.plane.counters().streams["s"].received < count:
            assert time.monotonic() < given_up

    async def viewer(self, name: str, receiver: socket.socket, ssrc: int = 7) -> int:
        port = await self.plane.bind(AddViewer(stream="s", viewer=name, address=HOST, port=0))
        target = port_of(receiver)
        self.plane.tell(
            AimViewer(stream="s", viewer=name, host=HOST, port=target, ssrc=ssrc, payload_type=98)
        )
        return port


@pytest.fixture
async def plane() -> AsyncIterator[NativePlane]:
    async with NativePlane(asyncio.get_running_loop()) as made:
        yield made


@pytest.fixture
def six(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody is at the IPv6 address of this machine. Comes before whatever binds."""
    monkeypatch.setattr(f"{__name__}.HOST", "::1")


@pytest.fixture
async def stream(plane: NativePlane) -> AsyncIterator[Stream]:
    with udp() as camera:
        yield Stream(plane, camera, await plane.bind(Open(stream="s", address=HOST, port=0)))


async def test_a_packet_leaves_with_our_header_and_its_own_payload(stream: Stream) -> None:
    with udp() as receiver:
        ours = await stream.viewer("v", receiver)
        stream.expect()
        stream.send(packet(65_534, PACK + b"a" * 1300, timestamp=3600, marker=True), packet(1, b"b"))
        first, second = await heard(receiver), await heard(receiver)
        assert (first.first, first.marker, first.payload_type, first.ssrc) == (0x80, True, 98, 7)
        assert (first.timestamp, first.payload) == (3600, PACK + b"a" * 1300)
        assert (second.sequence - first.sequence) % 65_536 == 3  # the gap is still one
        assert second.payload == b"b"
        receiver.setblocking(True)
        stream.send(packet(2))
        assert receiver.recvfrom(100)[1][:2] == (HOST, ours)  # it leaves from the port we named


@pytest.mark.usefixtures("six")
async def test_packets_of_ipv6_come_and_leave_as_others_do(stream: Stream) -> None:
    with udp() as receiver:
        ours = await stream.viewer("v", receiver)
        stream.expect()
        stream.send(packet(7, b"a"))
        assert (await heard(receiver)).payload == b"a"
        receiver.setblocking(True)
        stream.send(packet(8))
        assert receiver.recvfrom(100)[1][:2] == ("::1", ours)


async def test_started_names_the_sender_that_is_pinned(stream: Stream) -> None:
    stream.expect(ssrc=None)
    stream.send(packet(1, ssrc=5))
    started = await stream.event()
    assert isinstance(started, Started)
    assert (started.ssrc, started.source) == (5, (HOST, port_of(stream.camera)))


async def test_hostile_packets_are_counted_and_the_stream_is_unharmed(stream: Stream) -> None:
    with udp() as receiver, udp() as stranger:
        await stream.viewer("v", receiver)
        stream.send(packet(0, b"too early"))
        stream.received(1)
        stream.expect()
        stream.send(packet(1, b"first"))
        assert (await heard(receiver)).payload == b"first"
        stranger.sendto(packet(2, b"a second sender"), (HOST, stream.port))
        stream.send(
            b"",
            b"\x80",
            packet(2, b"version 1", version=1),
            packet(2, b"other", ssrc=SSRC + 1),
            packet(2, b"video of another kind", payload_type=98),
            packet(1, b"again"),
            packet(30_000, b"a jump"),
            packet(2, b"second"),
        )
        assert (await heard(receiver)).payload == b"second"
        stream.send(packet(3, b"third"))
        assert (await heard(receiver)).payload == b"third"
        counters = stream.plane.counters().streams["s"]
        refused = structs.asdict(counters.refused)
        assert {reason: count for reason, count in refused.items() if count} == {
            "not_rtp": 3,
            "before_answer": 1,
            "foreign_source": 1,
            "foreign_ssrc": 1,
            "foreign_payload_type": 1,
            "outside_window": 1,
            "duplicate": 1,
        }
        assert (counters.received, counters.admitted) == (12, 3)
        assert counters.received == counters.admitted + counters.refused.total


async def test_a_source_outside_the_agreed_networks_is_refused(stream: Stream) -> None:
    stream.plane.tell(Expect(stream="s", source=("192.0.2.0/24", "::/0"), ssrc=SSRC, first_seconds=0.0))
    stream.send(packet(1))
    assert await stream.event() == Starved(stream="s", kind="no-media")
    stream.received(1)
    with udp() as receiver:
        await stream.viewer("v", receiver)
        stream.expect()
        stream.send(packet(2, b"ours"))
        assert (await heard(receiver)).payload == b"ours"
    assert stream.plane.counters().streams["s"].refused.foreign_source == 1


async def test_one_pass_and_one_socket_for_each_of_three_viewers(stream: Stream) -> None:
    with ExitStack() as stack:
        receivers = [stack.enter_context(udp()) for _ in range(3)]
        for number, receiver in enumerate(receivers):
            await stream.viewer(f"v{number}", receiver, ssrc=number)
        stream.expect()
        payloads = [PACK + bytes([number]) * (500 if number % 5 else 90) for number in range(40)]
        stream.send(*(packet(number, payload) for number, payload in enumerate(payloads)))
        for number, receiver in enumerate(receivers):
            got = [await heard(receiver) for _ in payloads]
            assert [one.payload for one in got] == payloads
            assert {one.ssrc for one in got} == {number}
            first = got[0].sequence
            assert [(one.sequence - first) % 65_536 for one in got] == list(range(40))
    assert stream.plane.sockets() == 1 + 3
    counters = stream.plane.counters()
    assert (counters.receiving_sockets, counters.sending_sockets) == (1, 3)
    counted = counters.streams["s"]
    assert (counted.received, counted.admitted) == (40, 40)  # read once, whoever watches
    assert [viewer.sent for viewer in counted.viewers.values()] == [40, 40, 40]


async def test_what_came_before_the_first_viewer_reaches_it(stream: Stream) -> None:
    stream.expect()
    payloads = [bytes([number]) * 600 for number in range(100)]
    for number, payload in enumerate(payloads):
        stream.send(packet(number, payload))
    assert isinstance(await stream.event(), Started)
    with udp() as receiver:
        await stream.viewer("v", receiver)
        assert [(await heard(receiver)).payload for _ in payloads] == payloads
        stream.send(packet(100, b"live"))
        assert (await heard(receiver)).payload == b"live"


async def test_starvation_is_reported_once_of_each_kind(stream: Stream) -> None:
    stream.expect(first_seconds=0.0, idle_seconds=0.0)
    assert await stream.event() == Starved(stream="s", kind="no-media")
    stream.send(packet(1))
    assert isinstance(await stream.event(), Started)
    assert await stream.event() == Starved(stream="s", kind="media-lost")
    assert stream.plane.sockets() == 1  # the thread has answered since: nothing more is said
    assert stream.events.empty()


async def test_a_fast_stream_is_gathered_and_loses_nothing(stream: Stream) -> None:
    with udp() as receiver:
        await stream.viewer("v", receiver)
        stream.expect()
        for burst in range(400):
            numbers = range(20 * burst, 20 * burst + 20)
            stream.send(*(packet(number, number.to_bytes(4) * 30) for number in numbers))
            got = [await heard(receiver) for _ in numbers]
            assert [one.payload for one in got] == [number.to_bytes(4) * 30 for number in numbers]


async def test_a_viewer_that_went_away_harms_no_other(stream: Stream) -> None:
    with udp() as receiver:
        with udp() as gone:
            await stream.viewer("gone", gone)
        await stream.viewer("here", receiver)
        stream.expect()
        for number in range(20):
            stream.send(packet(number, bytes([number])))
            assert (await heard(receiver)).payload == bytes([number])


async def test_a_dropped_viewer_hears_nothing_and_its_port_is_free(stream: Stream) -> None:
    with udp() as receiver, udp() as other:
        port = await stream.viewer("v", receiver)
        await stream.viewer("w", other)
        stream.expect()
        stream.plane.tell(DropViewer(stream="s", viewer="v"))
        stream.send(packet(1))
        await heard(other)
        with pytest.raises(BlockingIOError):
            receiver.recv(100)
        assert await stream.plane.bind(AddViewer(stream="s", viewer="v", address=HOST, port=port)) == port


async def test_what_is_told_too_late_does_nothing(plane: NativePlane) -> None:
    plane.tell(Close(stream="gone"))
    plane.tell(DropViewer(stream="gone", viewer="v"))
    plane.tell(Expect(stream="gone", source=(HOST,)))
    plane.tell(AimViewer(stream="gone", viewer="v", host=HOST, port=9, ssrc=1, payload_type=96))
    assert plane.sockets() == 0
    await plane.__aexit__()
    plane.tell(Close(stream="gone"))
    plane.close()


async def test_what_cannot_be_meant_is_refused(plane: NativePlane) -> None:
    with pytest.raises(RelayRefused, match="neither an address"):
        plane.tell(Expect(stream="s", source=("camera.example",)))
    with pytest.raises(RelayRefused, match="IP address"):
        plane.tell(AimViewer(stream="s", viewer="v", host="a.example", port=9, ssrc=1, payload_type=96))
    with pytest.raises(RelayRefused, match="seven bits"):
        plane.tell(Expect(stream="s", source=(HOST,), payload_type=128))
    with pytest.raises(RelayRefused, match="assign"):
        await plane.bind(Open(stream="s", address="192.0.2.1", port=0))
    with pytest.raises(RelayRefused, match="no stream"):
        await plane.bind(AddViewer(stream="s", viewer="v", address=HOST, port=0))
    await plane.bind(Open(stream="s", address=HOST, port=0))
    with pytest.raises(RelayRefused, match="is open"):
        await plane.bind(Open(stream="s", address=HOST, port=0))


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_closing_frees_every_descriptor_and_ends_the_thread() -> None:
    before = descriptors()
    async with NativePlane(asyncio.get_running_loop()) as plane:
        idle = descriptors()
        for name in ("a", "b"):
            await plane.bind(Open(stream=name, address=HOST, port=0))
            await plane.bind(AddViewer(stream=name, viewer="v", address=HOST, port=0))
        assert descriptors() == idle + 4
        plane.tell(Close(stream="a"))
        assert plane.sockets() == 2
        assert descriptors() == idle + 2
    assert descriptors() == before
    assert "lockgate-relay" not in threads()


def threads() -> list[str]:
    return [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]


def some_ports(low: int, high: int) -> Ports:
    return Ports(HOST, low, high, quarantine_seconds=30.0, clock=lambda: 0.0, choose=lambda free: free[0])


async def test_contexts_hold_ports_and_give_them_back(plane: NativePlane) -> None:
    clock = asyncio.get_running_loop().time
    ports = Ports(HOST, 32_000, 32_999, quarantine_seconds=30.0, clock=clock, choose=random.choice)
    async with receiving(plane, ports, "s") as port, sending(plane, ports, "s", "v") as other:
        assert port % 2 == other % 2 == 0
        assert (plane.sockets(), ports.in_use) == (2, 2)
        with (
            closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe,
            pytest.raises(OSError, match="in use"),
        ):
            probe.bind((HOST, port))
    assert (plane.sockets(), ports.in_use) == (0, 0)


@contextmanager
def taken_even() -> Iterator[int]:
    """An even port that another program holds."""
    with ExitStack() as stack:
        while (port := port_of(stack.enter_context(udp()))) % 2:
            pass
        yield port


async def test_a_port_of_another_program_is_passed_over(plane: NativePlane) -> None:
    with taken_even() as taken:
        with pytest.raises(PortTaken):
            await plane.bind(Open(stream="s", address=HOST, port=taken))
        ports = some_ports(taken, 65_535)
        async with receiving(plane, ports, "s") as port:
            assert port > taken


async def test_no_port_left_leaves_nothing_behind(plane: NativePlane) -> None:
    with taken_even() as taken:
        ports = some_ports(taken, taken + 1)
        with pytest.raises(NoPortLeft):
            async with receiving(plane, ports, "s"):
                raise AssertionError
    assert (plane.sockets(), ports.in_use) == (0, 0)


async def test_a_cancelled_owner_gives_its_port_back(plane: NativePlane) -> None:
    ports = some_ports(33_000, 33_999)
    inside = asyncio.Event()

    async def hold() -> None:
        async with receiving(plane, ports, "s"):
            inside.set()
            await asyncio.Event().wait()

    owner = asyncio.create_task(hold())
    await inside.wait()
    owner.cancel()
    await asyncio.gather(owner, return_exceptions=True)
    assert (plane.sockets(), ports.in_use) == (0, 0)
