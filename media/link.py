"""How a stream gets from the side of its source to the side of its viewings.

In one process both sides use one relay: the viewing names the stream, and there is no leg between
(`Memory`). On two hosts each has a relay, and the leg between them is a viewing of the one and a source
of the other (`Network`): RTP that is judged and rebuilt on both, sealed on its way, all streams over one
port pair. Who holds a source or a viewing does not know which it is.
"""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import asdict

from media.relay import (
    Close,
    DropViewer,
    Event,
    Expect,
    Failed,
    Join,
    OnEvent,
    OpenFromTrunk,
    RelayRefused,
    Started,
    Starved,
    TrunkPlane,
    ViewOverTrunk,
)
from media.stats import TrunkCounters

log = logging.getLogger(__name__)

MAX_TAKEN: Final = 16_000
"""Streams over one trunk, so that a message that names them all stays below 64 KiB."""

VIEWER: Final = "trunk"
"""What the leg is called among the viewers of its stream."""

KEY: Final = b"K"
TAKEN: Final = b"T"


class BadMessage(Exception):
    """The other host sent what is no message of this leg; the text says what."""


class MediaLink(Protocol):
    """One side's end."""

    def name(self) -> str:
        """A name for the next source of this side; both sides know the stream by it."""
        ...

    def offering(self, stream: str, payload_type: int) -> AbstractContextManager[None]:
        """Let the other side have a source of ours while this lasts. Enter it before it hears of it."""
        ...

    def taking(
        self, stream: str, payload_type: int, *, hold_packets: int, on_event: OnEvent
    ) -> AbstractAsyncContextManager[None]:
        """Have a source of the other side's in our relay, under its name, for as long as this lasts.

        `on_event` hears when nothing comes of it (any more), though nobody beyond said that it is over.

        Raises:
            RelayRefused: it can't be had.
        """
        ...

    def counters(self) -> Mapping[str, int]:
        """What was carried and refused between the hosts, by name; {} where there is nothing between."""
        ...


class Memory:
    """Both sides use one relay: there is nothing to do."""

    def __init__(self, name: Callable[[], str]) -> None:
        self.name = name

    @contextmanager
    def offering(self, stream: str, payload_type: int) -> Iterator[None]:
        yield

    @asynccontextmanager
    async def taking(
        self, stream: str, payload_type: int, *, hold_packets: int, on_event: OnEvent
    ) -> AsyncIterator[None]:
        yield

    def counters(self) -> Mapping[str, int]:
        return {}


class Terms(Struct, frozen=True, kw_only=True):
    """What holds for all streams of the leg.

    Silence on it is told later than a source's own side tells its silence, which knows more: the seconds
    must be more than those of any peer.
    """

    first_seconds: float = 90.0
    idle_seconds: float = 90.0
    max_bits_per_second: int = 32_000_000
    rekey_seconds: float = 600.0  # at 180,000 packets a second less than half of what one key may seal


@dataclass(slots=True)
class _Offered:
    """A source of ours; `count` viewings beyond know of it."""

    payload_type: int
    count: int = 0


@dataclass(slots=True)
class _Taken:
    """A source of theirs; it is closed with the last who listens."""

    listeners: list[OnEvent] = field(default_factory=list)


class Network:
    """The leg between two hosts. Use `async with`; leaving it ends every stream taken.

    Keys, and which streams are taken, go over the control link between the hosts, which is private and
    authentic: `send` is called with each message and must keep the order; what the other host sent is
    handed to `receive`. A message may be lost only if `joined` is called afterwards, on both hosts.

    Args:
        plane: this host's relay, without a trunk so far.
        start: the number of the first source; even on one host and odd on the other, random otherwise, so
            that no number means a stream of an earlier run.
        local, peer: our end of the port pair, and the other host's.
        loop: for the clock of new keys.
    """

    def __init__(
        self,
        plane: TrunkPlane,
        *,
        start: int,
        local: tuple[str, int],
        peer: tuple[str, int],
        loop: asyncio.AbstractEventLoop,
        terms: Terms | None = None,
    ) -> None:
        self.send: Callable[[bytes], None] = _nobody
        self.not_offered = 0
        """Streams that the other host wanted and that were not offered to it (any more)."""
        self._plane = plane
        self._local = local
        self._peer = peer
        self._loop = loop
        self._terms = terms or Terms()
        self._next = start
        self._parity = start % 2
        self._offered: dict[int, _Offered] = {}
        self._wanted: frozenset[int] = frozenset()  # by the other host
        self._shown: frozenset[int] = frozenset()
        self._taken: dict[int, _Taken] = {}
        self._opening = asyncio.Lock()
        self._telling = False
        self._rekey: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> "Network":
        (address, port), (host, host_port) = self._local, self._peer
        await self._plane.join(Join(address=address, port=port, host=host, host_port=host_port))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._rekey is not None:
            self._rekey.cancel()
        for number in list(self._taken):
            self._close(number)

    def counters(self) -> Mapping[str, int]:
        trunk = self._plane.counters().trunk or TrunkCounters()
        counts = {
            "received": trunk.received,
            "opened": trunk.opened,
            "lost": trunk.lost,
            "sealed": trunk.sealed,
            "unsealed": trunk.unsealed,
            "unsent": trunk.unsent,
            "not_offered": self.not_offered,
        }
        return counts | asdict(trunk.refused)

    # the control link

    def joined(self) -> None:
        """The hosts can speak to each other (again): tell the other one all that it must know of us."""
        self._offer_key()
        self._tell_taken()

    def receive(self, message: bytes) -> None:
        """Take what the other host's `Network` sent.

        Raises:
            BadMessage: nothing of it was taken.
        """
        kind, body = message[:1], message[1:]
        if kind == KEY:
            try:
                self._plane.accept(body)
            except RelayRefused as error:
                raise BadMessage(str(error)) from error
        elif kind == TAKEN and len(body) % 4 == 0:
            numbers = frozenset(number for (number,) in struct.iter_unpack("!I", body))
            if any(number % 2 != self._parity for number in numbers):
                raise BadMessage("it wants a stream that is its own")
            self.not_offered += len(numbers - self._offered.keys() - self._wanted)
            self._wanted = numbers
            self._show()
        else:
            raise BadMessage(f"a message of {len(message)} bytes of no known kind")

    def _offer_key(self) -> None:
        self.send(KEY + self._plane.offer())
        if self._rekey is not None:
            self._rekey.cancel()
        self._rekey = self._loop.call_later(self._terms.rekey_seconds, self._renew)

    def _renew(self) -> None:
        """Make a new key if the other host has used the last: one that it did not get costs no stream."""
        trunk = self._plane.counters().trunk
        if trunk is not None and not trunk.fresh_key:
            self._offer_key()
        else:
            self._rekey = self._loop.call_later(self._terms.rekey_seconds, self._renew)

    def _tell_soon(self) -> None:
        """One message for all that change in this turn of the loop."""
        if not self._telling:
            self._telling = True
            self._loop.call_soon(self._tell_taken)

    def _tell_taken(self) -> None:
        self._telling = False
        self.send(TAKEN + b"".join(struct.pack("!I", number) for number in self._taken))

    # sources of ours

    def name(self) -> str:
        number = self._next
        self._next = (number + 2) % 2**32
        return str(number)

    def adopt(self, terms: Terms) -> None:
        """These hold for the streams that are taken from now on."""
        self._terms = terms

    @contextmanager
    def offering(self, stream: str, payload_type: int) -> Iterator[None]:
        number = int(stream)
        offered = self._offered.setdefault(number, _Offered(payload_type))
        offered.count += 1
        self._show()
        try:
            yield
        finally:
            offered.count -= 1
            if not offered.count:
                del self._offered[number]
                self._show()

    def _show(self) -> None:
        """Have the relay send what is offered here and wanted there, and nothing else."""
        due = self._wanted & self._offered.keys()
        for number in self._shown - due:
            self._plane.tell(DropViewer(stream=str(number), viewer=VIEWER))
        for number in due - self._shown:
            payload_type = self._offered[number].payload_type
            self._plane.view_over_trunk(
                ViewOverTrunk(stream=str(number), viewer=VIEWER, number=number, payload_type=payload_type)
            )
        self._shown = due

    # sources of theirs

    @asynccontextmanager
    async def taking(
        self, stream: str, payload_type: int, *, hold_packets: int, on_event: OnEvent
    ) -> AsyncIterator[None]:
        number = self._theirs(stream)
        async with self._opening:
            taken = self._taken.get(number) or await self._open(number, payload_type, hold_packets)
            taken.listeners.append(on_event)
        try:
            yield
        finally:
            taken.listeners.remove(on_event)
            if not taken.listeners and self._taken.get(number) is taken:
                self._close(number)

    def _theirs(self, stream: str) -> int:
        number = int(stream) if stream.isascii() and stream.isdigit() and len(stream) <= 10 else -1
        if number % 2 == self._parity or not 0 <= number < 2**32 or str(number) != stream:
            raise RelayRefused(f"{stream[:40]!r} is no stream of the other host")
        return number

    async def _open(self, number: int, payload_type: int, hold_packets: int) -> _Taken:
        if len(self._taken) >= MAX_TAKEN:
            raise RelayRefused(f"{MAX_TAKEN} streams of the other host are taken")
        stream = str(number)
        try:
            await self._plane.open_from_trunk(OpenFromTrunk(stream=stream, number=number))
        except asyncio.CancelledError:
            self._plane.tell(Close(stream=stream))  # it may have been opened, unseen by us
            raise
        taken = self._taken[number] = _Taken()
        self._plane.subscribe(stream, lambda event: self._heard(event, taken))
        self._plane.tell(
            Expect(
                stream=stream,
                source=(self._peer[0],),
                ssrc=number,
                payload_type=payload_type,
                packs=False,  # judged where the pack headers' SSRC was learnt
                first_seconds=self._terms.first_seconds,
                idle_seconds=self._terms.idle_seconds,
                max_bits_per_second=self._terms.max_bits_per_second,
                hold_packets=hold_packets,
            )
        )
        self._tell_soon()
        log.info("leg.taken", extra={"stream": stream})
        return taken

    def _heard(self, event: Event, taken: _Taken) -> None:
        match event:
            case Started():
                log.info("leg.started", extra={"stream": event.stream})
            case Starved() | Failed():
                for listener in list(taken.listeners):
                    listener(event)

    def _close(self, number: int) -> None:
        stream = str(number)
        del self._taken[number]
        self._plane.unsubscribe(stream)
        self._plane.tell(Close(stream=stream))
        self._tell_soon()
        log.info("leg.left", extra={"stream": stream})


def _nobody(message: bytes) -> None:
    """The `send` of a leg without a link: lost, as on one that is down."""
