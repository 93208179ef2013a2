"""One media stream through the boundary, as resources with owners.

Packets are moved by native code (`lockgate_native.relay`); Python sees ports, counters now and
then, and an end. No packet ever becomes a Python object. The relay is reached only by values that
can be written down, so a thread of this process and a relay as another process look alike.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from media import stats
from media._native import Engine
from media.ports import NoPortLeft, Ports

log = logging.getLogger(__name__)

MAX_TAKEN: Final = 16
"""Ports in a row that another program holds, after which we stop looking."""


class Command(Struct, frozen=True, kw_only=True, tag=True):
    stream: str


class Open(Command, frozen=True):
    """Bind a receiving socket; nothing is admitted yet."""

    address: str
    port: int


class Expect(Command, frozen=True):
    """Admit from now on what fits, and nothing else.

    The first packet that fits pins its sender (address, port, SSRC) until the stream is closed.
    """

    source: tuple[str, ...]  # addresses or networks
    source_port: int | None = None  # None: pinned by the first packet that fits
    ssrc: int | None = None  # None: learnt from the first packet that fits
    payload_type: int = 96
    packs: bool = True  # program stream: a packet from which the number is learnt must start a pack
    first_seconds: float = 10.0  # without a packet by then: Starved no-media
    idle_seconds: float = 15.0  # later silence: Starved media-lost
    max_bits_per_second: int = 32_000_000  # of UDP payload; one second of it may come at once
    hold_packets: int = 256  # the latest, kept until a first viewer is aimed; at most 65,535


class AddViewer(Command, frozen=True):
    """Bind a sending socket for one viewer; nothing is sent yet."""

    viewer: str
    address: str
    port: int


class AimViewer(Command, frozen=True):
    """Send from now on; the stream's first viewer gets the packets that were held, too."""

    viewer: str
    host: str
    port: int
    ssrc: int
    payload_type: int


class DropViewer(Command, frozen=True):
    viewer: str


class Close(Command, frozen=True):
    """End the stream, its receiving socket and all its viewers' sockets."""


class Join(Struct, frozen=True, kw_only=True, tag=True):
    """Bind our end of the trunk, the one port pair that many streams share; once for each relay."""

    address: str
    port: int
    host: str  # the other end; no one else is heard
    host_port: int


class OpenFromTrunk(Command, frozen=True):
    """A stream without a socket of its own: what comes under its number over the trunk."""

    number: int


class ViewOverTrunk(Command, frozen=True):
    """A viewer without a socket: the stream leaves over the trunk from now on. Its number is its SSRC."""

    viewer: str
    number: int
    payload_type: int


class Event(Struct, frozen=True, kw_only=True, tag=True):
    stream: str


class Started(Event, frozen=True):
    """The first packet was admitted."""

    ssrc: int
    source: tuple[str, int]
    at: float  # on the loop's clock


class Starved(Event, frozen=True):
    """Media did not come, or came no more. Each is said once."""

    kind: Literal["no-media", "media-lost"]


class Failed(Event, frozen=True):
    """A socket of the stream is of no use any more."""

    reason: str
    viewer: str | None = None  # whose sending socket; None: the receiving one


class PortTaken(Exception):
    """The operating system would not bind that port: somebody else holds it."""


class RelayRefused(Exception):
    """The relay would not carry out a command; the text says why. A fault of ours, or of the system."""


OnEvent: TypeAlias = Callable[[Event], None]


class DataPlane(Protocol):
    """Where commands go: `NativePlane`, another process, or a fake in tests."""

    async def bind(self, command: Open | AddViewer) -> int:
        """Return the local UDP port.

        Raises:
            PortTaken: the port is in use.
            RelayRefused: another reason, such as an address that is not ours.
        """
        ...

    def tell(self, command: Expect | AimViewer | DropViewer | Close) -> None:
        """Queue a command that has no answer; never blocks, so that a cancelled owner can close.

        What names a stream or viewer that is gone does nothing. `DropViewer` and `Close` never raise.

        Raises:
            RelayRefused: a value that can't be meant, such as a host that is no IP address.
        """
        ...

    def subscribe(self, stream: str, on_event: OnEvent) -> None:
        """Have `on_event` called with each event of the stream; a stream has one subscriber."""
        ...

    def unsubscribe(self, stream: str) -> None:
        """Have no more of them; again does nothing."""
        ...

    def counters(self) -> stats.Counters: ...


class TrunkPlane(DataPlane, Protocol):
    """A relay that can share streams with another host's."""

    async def join(self, command: Join) -> int:
        """Return the local UDP port. Raises as `bind` does."""
        ...

    async def open_from_trunk(self, command: OpenFromTrunk) -> None:
        """Raises RelayRefused: there is no trunk, or name or number are in use."""
        ...

    def view_over_trunk(self, command: ViewOverTrunk) -> None:
        """Queue it, as `tell` does: of a stream that is gone it does nothing."""
        ...

    def offer(self) -> bytes:
        """A new key, for the other host alone: what it seals with it opens here from now on.

        Raises:
            RelayRefused: there is no trunk, or no randomness.
        """
        ...

    def accept(self, offer: bytes) -> None:
        """Seal with that key of the other host's from now on.

        Raises:
            RelayRefused: it is no key.
        """
        ...


class Answer(Struct, frozen=True):
    """What a command is answered with."""

    port: int = 0
    error: str = ""
    taken: bool = False


encode: Final = msgspec.json.Encoder().encode
read_answer: Final = msgspec.json.Decoder(Answer).decode
read_events: Final = msgspec.json.Decoder(list[Started | Starved | Failed]).decode


class Subscribers:
    """Who wants the events of which stream."""

    def __init__(self) -> None:
        self._by_stream: dict[str, OnEvent] = {}

    def subscribe(self, stream: str, on_event: OnEvent) -> None:
        self._by_stream[stream] = on_event

    def unsubscribe(self, stream: str) -> None:
        self._by_stream.pop(stream, None)

    def dispatch(self, events: bytes) -> None:
        """One bug costs its stream an event, not the others theirs; it is logged."""
        for event in read_events(events):
            on_event = self._by_stream.get(event.stream)
            try:
                if on_event is not None:
                    on_event(event)
            except Exception:
                log.exception("relay.event_failed", extra={"stream": event.stream})


def carried_out(answer: bytes) -> Answer:
    """The answer, unless it says no.

    Raises:
        PortTaken, RelayRefused: as for `DataPlane.bind`.
    """
    said = read_answer(answer)
    if said.taken:
        raise PortTaken(said.error)
    if said.error:
        raise RelayRefused(said.error)
    return said


@contextmanager
def keyed() -> Iterator[None]:
    """What the native trunk says of a key, as `TrunkPlane` says it."""
    try:
        yield
    except ValueError as error:
        raise RelayRefused(str(error)) from error


class NativePlane(Subscribers):
    """The relay as a thread of this process. Use `async with`: leaving it closes every socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._engine = Engine()
        self._open = True
        loop.add_reader(self._engine.fileno(), self._poll)

    async def __aenter__(self) -> "NativePlane":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread and every stream; again does nothing."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._engine.fileno())
            self._engine.close()

    async def bind(self, command: Open | AddViewer) -> int:
        return carried_out(self._engine.command(encode(command))).port

    def tell(self, command: Expect | AimViewer | DropViewer | Close) -> None:
        if not self._open:  # closing has taken every stream along
            return
        try:
            carried_out(self._engine.command(encode(command)))
        except RelayRefused as error:
            if isinstance(command, Expect | AimViewer):
                raise
            log.error("relay.not_told", extra={"stream": command.stream, "reason": str(error)})

    async def join(self, command: Join) -> int:
        return carried_out(self._engine.command(encode(command))).port

    async def open_from_trunk(self, command: OpenFromTrunk) -> None:
        carried_out(self._engine.command(encode(command)))

    def view_over_trunk(self, command: ViewOverTrunk) -> None:
        if self._open:
            carried_out(self._engine.command(encode(command)))

    def offer(self) -> bytes:
        with keyed():
            return self._engine.offer()

    def accept(self, offer: bytes) -> None:
        with keyed():
            self._engine.accept(offer)

    def counters(self) -> stats.Counters:
        return stats.read(self._engine.counters())

    def sockets(self) -> int:
        """Sockets held: one for each stream and one for each viewer."""
        return self._engine.sockets()

    def _poll(self) -> None:
        if self._open:
            self.dispatch(self._engine.take_events())


@asynccontextmanager
async def receiving(plane: DataPlane, ports: Ports, stream: str) -> AsyncIterator[int]:
    """Hold the receiving port of `stream`: bound before our offer leaves, free when this ends.

    It ends by BYE, by a timeout or by cancellation, and the port is given back in each case.

    Raises:
        NoPortLeft: no port of the range is free.
        RelayRefused: the port can't be bound for another reason.
    """
    undo = Close(stream=stream)
    port = await _bind(plane, ports, lambda port: Open(stream=stream, address=ports.address, port=port), undo)
    log.info("stream.opened", extra={"stream": stream, "address": ports.address, "port": port})
    try:
        yield port
    finally:
        plane.tell(undo)
        ports.give_back(port)
        log.info("stream.closed", extra={"stream": stream})


@asynccontextmanager
async def sending(plane: DataPlane, ports: Ports, stream: str, viewer: str) -> AsyncIterator[int]:
    """Hold the port that `viewer` is sent from: bound before our answer leaves, free when this ends.

    Raises:
        NoPortLeft, RelayRefused: as for `receiving`; no such stream is a reason of the latter.
    """
    undo = DropViewer(stream=stream, viewer=viewer)
    port = await _bind(
        plane,
        ports,
        lambda port: AddViewer(stream=stream, viewer=viewer, address=ports.address, port=port),
        undo,
    )
    log.info(
        "viewer.opened", extra={"stream": stream, "viewer": viewer, "address": ports.address, "port": port}
    )
    try:
        yield port
    finally:
        plane.tell(undo)
        ports.give_back(port)
        log.info("viewer.closed", extra={"stream": stream, "viewer": viewer})


async def _bind(
    plane: DataPlane,
    ports: Ports,
    command: Callable[[int], Open | AddViewer],
    undo: Close | DropViewer,
) -> int:
    """Take a port that the system lets us have; one that another program holds rests like a used one."""
    for _ in range(MAX_TAKEN):
        port = ports.take()
        try:
            return await plane.bind(command(port))
        except PortTaken as error:
            ports.give_back(port)
            log.warning("relay.port_taken", extra={"port": port, "reason": str(error)})
        except asyncio.CancelledError:
            plane.tell(undo)  # it may have been bound, unseen by us
            ports.give_back(port)
            raise
        except BaseException:
            ports.give_back(port)
            raise
    raise NoPortLeft(f"{ports.address}: {MAX_TAKEN} media ports in a row are held by other programs")
