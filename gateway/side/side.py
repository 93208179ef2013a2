"""One network: its SIP stack, its two faces, its media and its door of the lock.

Everything comes in as arguments (loop, clocks, stack, stores, gate, relay), nothing by import, so
two sides share nothing but the link between their gates.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final, Protocol, assert_never

from msgspec import Struct

from cascade.accepting import Refusal
from cascade.as_lower.face import AsLower
from cascade.as_upper.face import AsUpper
from cascade.crossing import (
    Answer,
    Ask,
    CatalogBatch,
    Crossing,
    NoAnswer,
    Notice,
    StreamControl,
    StreamEnded,
    StreamOffered,
    StreamOpen,
)
from cascade.errors import StreamFailed
from cascade.limits import Bounds
from cascade.model.commands import Control
from cascade.model.commands.alarm import ALARM, Alarm, AlarmTaken
from cascade.model.commands.broadcast import BROADCAST
from cascade.model.ids import PlatformId
from cascade.model.index import Index
from gateway.session.leg import Dial
from gateway.session.sessions import Sessions
from gateway.session.source import Admission, Sources, Wish, hold_packets
from gateway.side.guest import IncomingGuest
from gateway.side.router import Router
from gateway.side.troubles import Troubles
from media.ports import Ports
from media.relay import DataPlane
from sip.aio.calls import Calls, Incoming, Memo
from sip.endpoint import Endpoint
from sip.headers.reason import reason

log = logging.getLogger(__name__)

REGISTRAR_TROUBLES: Final = ("registrations_put_off", "registrar_refused_contested")

TELL_SECONDS: Final = 0.1
"""From when all should be told anew until it is."""

STOPPING: Final = reason(503, "the gateway is being stopped")
"""Why a leg ends that nobody hung up: Reason of its BYE (RFC 3326)."""


class Tables(Struct, frozen=True):
    """What one side holds right now; all zero but `bindings` and `rows` when nobody plays."""

    sources: int
    viewings: int
    calls: int
    ports: int
    bindings: int
    rows: int

    @property
    def orphans(self) -> int:
        """Sessions and ports that should be gone once the last viewer has left."""
        return self.sources + self.viewings + self.calls + self.ports


class Admitting(Protocol):
    """A rule by which peers are below us (`gateway.config_admit`)."""

    @property
    def name(self) -> str: ...

    def admits(self, name: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Described:
    """What of the configuration is for displays alone: the limits in force, the rules of admission, and who
    has a table of its own."""

    limits: dict[str, int] = field(default_factory=dict)
    rules: Sequence[Admitting] = ()
    own: frozenset[str] = frozenset()

    def rule_of(self, peer: str) -> str:
        """The rule that admits a peer, "" for none: its own table counts before any."""
        if peer in self.own:
            return ""
        return next((rule.name for rule in self.rules if rule.admits(peer)), "")


class Side:
    """One network. Use `async with`; leaving it says BYE on every leg and unregisters above."""

    def __init__(
        self,
        name: str,
        *,
        endpoint: Endpoint,
        calls: Calls,
        as_upper: AsUpper,
        as_lower: AsLower,
        below: Index,
        shared: Index,
        sessions: Sessions,
        ports: Ports,
        waiting: Callable[[PlatformId], Memo],
        leg: Callable[[], Mapping[str, int]] = dict,
        bounds: Bounds | None = None,
    ) -> None:
        self.name = name
        self.endpoint = endpoint
        self.as_upper = as_upper
        self.as_lower = as_lower
        self.sessions = sessions
        self.below = below  # what our lowers have
        self.shared = shared  # what the other side lets us show
        self.bounds = bounds or Bounds()
        self.described = Described()
        self._calls = calls
        self.ports = ports
        self._waiting = waiting  # keeps an INVITE of that peer while it has no answer
        self.router = Router(name, as_upper, as_lower)
        self._troubles = Troubles(name, self.counters, leg)
        self._faces: list[asyncio.Task[None]] = []
        self._telling: asyncio.TimerHandle | None = None
        self._running = AsyncExitStack()

    async def __aenter__(self) -> "Side":
        await self.as_upper.restore()
        await self.as_lower.restore()
        tables = self.tables()
        log.info("side.restored", extra={"side": self.name, "leases": tables.bindings, "rows": tables.rows})
        self.router.attach(self.endpoint)
        self._calls.unwelcome = self.router.unwelcome
        self._calls.on_invite = self._invited
        self.sessions.on_left = self.as_lower.controls.left
        await self._running.enter_async_context(self._calls)
        faces = await self._running.enter_async_context(asyncio.TaskGroup())
        runs = (self.as_upper.run(), self.as_lower.run(), self._troubles.run())
        self._faces = [faces.create_task(run) for run in runs]
        await self._running.enter_async_context(self.sessions)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        await self._running.aclose()

    def stop(self) -> None:
        """Begin to leave: no new sessions, BYE on every leg, then goodbye above. The exit waits for it."""
        self._calls.close(STOPPING)
        if self._telling is not None:
            self._telling.cancel()
        for task in self._faces:
            if not task.cancelling():
                task.cancel()

    def tell_anew(self) -> None:
        """Tell the other side soon of all there is below: one of the doors judges otherwise now.

        Both may say so at once, and each for several reasons; all is told once.
        """
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell)

    def _tell(self) -> None:
        self._telling = None
        self.as_upper.offer_all()

    def linked(self, up: bool) -> None:
        """The other side is there, after it was not, or is gone: where it runs by itself it may die alone."""
        self.as_lower.linked(up)
        if up:
            log.info("side.linked", extra={"side": self.name})
            self.as_upper.offer_all()
        else:
            log.warning("side.alone", extra={"side": self.name})
            self.as_upper.halt()
            self.sessions.lose_beyond()

    def deliver(self, crossing: Crossing) -> None:
        """Take what this side's gate let through."""
        match crossing:
            case Ask(payload=Alarm()):
                self.as_lower.deliver(crossing)
            case Ask() | Notice(payload=Control()) | Answer(payload=AlarmTaken()):
                self.as_upper.deliver(crossing)
            case NoAnswer(action=action) if action == ALARM:
                self.as_upper.deliver(crossing)
            case Answer() | NoAnswer() | Notice() | CatalogBatch():
                self.as_lower.deliver(crossing)
            case StreamOpen() | StreamOffered() | StreamControl() | StreamEnded():
                self.sessions.deliver(crossing)
            case _:
                assert_never(crossing)

    def tables(self) -> Tables:
        return Tables(
            sources=self.sessions.sources,
            viewings=self.sessions.viewings,
            calls=self._calls.active,
            ports=self.ports.in_use,
            bindings=self.as_upper.bound,
            rows=len(self.below) + len(self.shared),
        )

    def counters(self) -> dict[str, int]:
        """The engine's, those of the limits above it, and what the router and the registrar turned away."""
        below = self.as_upper.counters()
        return {
            **self.endpoint.stack.counters(),
            **self.bounds.counters(),
            **{name: below[name] for name in REGISTRAR_TROUBLES},
            **self.router.counters(),
        }

    def _invited(self, incoming: Incoming) -> None:
        event = incoming.event
        face = self.as_upper if self.router.calls_for_voice(event) else self.as_lower
        wish = face.wish(event)
        if isinstance(wish, Refusal):
            log.info(
                "invite.refused",
                extra={"side": self.name, "status": wish.status, "reason": wish.reason},
            )
            incoming.refuse(wish.status, wish.headers(self.endpoint.local[0]))
            return
        incoming.remember(self._waiting(wish.peer))
        guest = IncomingGuest(incoming, wish, face.acceptor)
        wanted = Wish(wish.channel, wish.action, wish.stream_number, wish.invitation, wish.encodings)
        self.sessions.show(wanted, wish.peer, guest)


@dataclass(slots=True)
class Limits:
    """Of the streams that a side's peers bring; what is another later counts for those that begin then."""

    linger_seconds: float
    max_bits_per_second: int


def sources(
    plane: DataPlane,
    ports: Ports,
    as_upper: AsUpper,
    as_lower: AsLower,
    *,
    name: Callable[[], str],
    limits: Limits,
) -> Sources:
    """The sources of a side: pictures of the peers below, voices of those above; each is invited."""

    def place(wish: Wish) -> Dial:
        if wish.action == BROADCAST:
            return lambda port, expect: as_lower.voices.listen(
                wish.invitation, encodings=wish.encodings, port=port, expect=expect
            )
        return lambda port, expect: as_upper.play(
            wish.channel, stream_number=wish.stream_number, port=port, expect=expect
        )

    def admission(wish: Wish) -> Admission:
        voice = wish.action == BROADCAST
        channel = wish.channel
        peer = as_lower.voices.speaker(wish.invitation) if voice else as_upper.peers.get(channel.peer)
        if peer is None:
            raise StreamFailed("not-found", f"nobody brings {wish.action} of {channel}")
        return Admission(
            first_seconds=peer.first_media_seconds,
            idle_seconds=peer.media_loss_seconds,
            max_bits_per_second=limits.max_bits_per_second,
            hold_packets=hold_packets(wish.action),
            linger_seconds=0.0 if voice else limits.linger_seconds,  # nobody listens: the speaker must see it
        )

    return Sources(plane, ports, place, admission=admission, name=name)
