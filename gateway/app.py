"""Composition root: the only place that builds objects.

A side is given loop, clocks, stack, store, relay and its end of the link as arguments and finds none
of them by import; in one process both sides run on one loop that is handed in.
"""

import asyncio
import itertools
import logging
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Literal

from cascade.as_lower.face import AsLower
from cascade.as_upper.face import AsUpper
from cascade.leg import LegMemo, end_remembered
from cascade.limits import Bounds
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.index import Index
from cascade.ports import Store
from cascade.provenance import LoopGuard
from certs.identities import Identity
from certs.trust import read_trust
from gateway.chamber.audit import Audit
from gateway.chamber.counting import GateCounters
from gateway.chamber.gate import Gate
from gateway.chamber.link import LinkEnd
from gateway.chamber.link.frames import BadFrame
from gateway.chamber.link.hosts import HostsEnd
from gateway.chamber.link.memory import memory_link
from gateway.chamber.link.plug import Plug, TcpPlug
from gateway.chamber.link.standing import LinkView
from gateway.chamber.policy import NOWHERE, Place
from gateway.collecting import calm
from gateway.config import Config, SideConfig
from gateway.credentials.holders import Secrets, SideSecrets
from gateway.keeper import Keeper, Kept, keeping
from gateway.local.place import NAME
from gateway.local.server import serving
from gateway.session.meter import Meter
from gateway.session.sessions import Sessions
from gateway.side.adopting import Adopting, Credentials, described
from gateway.side.side import Limits, Side, sources
from gateway.store.sqlite.store import SqliteStore
from gateway.trace.book import Book, Recording
from gateway.trace.desk import Desk, Seat
from gateway.trace.plane import TracedPlane, TracedTrunk
from gateway.transports import Agreement, Transports, attached, open_engine
from gateway.words import Saying, Told, saying
from gateway.words.sentences import recognised
from gateway.words.system import reason
from media.link import BadMessage, MediaLink, Memory, Network, Terms
from media.ports import Ports
from media.relay import NativePlane, PortTaken, RelayRefused, TrunkPlane
from sip._native import Engine
from sip.aio.calls import Calls
from sip.endpoint import Endpoint, Party, Stack
from sip.uri import host_port

log = logging.getLogger(__name__)

SideName = Literal["outer", "inner"]

FIRST_CORRELATION: Final[dict[SideName, int]] = {"outer": 1, "inner": 2}
"""Each side counts in twos from its own start, so that a number says who asked."""

LEAVING_SECONDS: Final = 3.0
"""How long a stop waits for the answers to our BYEs; who is silent longer is told again after a restart."""


class CannotLink(Told):
    """An address of the link is not to be had."""

    def __init__(self, protocol: Literal["TCP", "UDP"], address: str, port: int, why: Saying | str) -> None:
        super().__init__(
            saying("run.link_address", address=address, port=port, protocol=protocol, reason=why)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a side gets from outside. Tests play all of it in virtual time."""

    loop: asyncio.AbstractEventLoop
    wall: Callable[[], float]
    random: random.Random
    stack: Callable[[SideName, SideConfig], Stack]
    attach: Callable[[SideName, SideConfig, Stack, Endpoint], AbstractAsyncContextManager[Transports]]
    plane: TrunkPlane
    media: MediaLink | None = None  # the leg to another host; None: both sides use `plane`
    link: Callable[[], LinkView | None] = lambda: None  # how the link to that host stands
    trunk: TracedTrunk | None = None  # the relay as that leg uses it
    store: Callable[[SideName], Store]
    audit: Callable[[SideName], Audit]


@dataclass(frozen=True, slots=True)
class Open:
    """A side that runs, with its door."""

    side: Side
    gate: Gate
    audit: Audit
    seat: Seat
    adopting: Adopting

    @property
    def counters(self) -> GateCounters:
        return self.gate.counters

    def kept(self) -> Kept:
        """As whoever keeps the rules looks at it."""
        own = PlatformId(self.side.as_upper.us.id.digits)
        offer, adopting = self.side.tell_anew, self.adopting
        return Kept(self.seat.name, own, self.gate, offer, adopting.take, adopting.certificates)

    def linked(self, up: bool) -> None:
        """Told by a link that may lose its other end (`HostsEnd.on_linked`)."""
        if not up:
            self.seat.book.parted()
        self.gate.linked(up)
        self.side.linked(up)


@dataclass(frozen=True, slots=True)
class Gateway:
    """Both sides in one process."""

    outer: Open
    inner: Open

    def desk(self, wall: Callable[[], float]) -> Desk:
        """Who answers what happened here, and how it stands."""
        return Desk((self.outer.seat, self.inner.seat), wall=wall)

    @property
    def orphans(self) -> int:
        """Sessions, dialogs and ports in our own tables; 0 when nobody watches anything."""
        return self.outer.side.tables().orphans + self.inner.side.tables().orphans


@asynccontextmanager
async def open_side(
    name: SideName,
    config: Config,
    secrets: SideSecrets,
    link: LinkEnd,
    around: Surroundings,
) -> AsyncIterator[Open]:
    """Run one side until the context ends: BYE on every leg, goodbye above, stores written."""
    own = config.outer if name == "outer" else config.inner
    us = own.us()
    async with AsyncExitStack() as held:
        store = around.store(name)
        held.push_async_callback(store.close)
        remembered = await store.dialogs()
        audit = around.audit(name)
        held.callback(audit.close)
        stack = around.stack(name, own)
        endpoint = Endpoint(stack, Party(us.id.digits, us.domain), user_agent=us.user_agent)
        credentials = Credentials(stack)
        credentials.take(own, secrets)
        agreement = Agreement(stack)
        agreement.take(own)
        transports = await held.enter_async_context(around.attach(name, own, stack, endpoint))

        below = Index()  # what our lowers have
        shared = Index(told=True)  # what the other side lets us show, and where it says that stands

        def places(channel: ChannelId) -> Place:
            key = channel.peer, channel.name
            return below.place(*key) or shared.place(*key) or NOWHERE

        trunk = around.trunk
        book = trunk.book if trunk is not None else _book(name, around)
        plane = TracedPlane(around.plane, book, around.loop.time)
        bounds = Bounds(own.limits.above(), around.random.random)
        gate = Gate(
            side=name,
            rules=config.rules(),
            audit=Recording(audit, book),
            link=link,
            places=places,
            clock=around.loop.time,
            later=around.loop.call_later,
            wall=around.wall,
            rates=Meter(around.plane.counters, around.loop.time).rates,
            bounds=bounds,
        )
        held.callback(gate.close)
        calls = Calls(endpoint, leaving_seconds=LEAVING_SECONDS)
        other = config.inner if name == "outer" else config.outer
        guard = LoopGuard(
            us.id.digits, other.id, own.uppers(), ring=await store.ring(), found=store.save_ring
        )
        media_address = own.media_address or own.address
        listeners = [(*stack.local, stack.local[1]), (media_address, *own.media_ports)]
        as_upper = AsUpper(
            us=us,
            endpoint=endpoint,
            calls=calls,
            peers=own.lowers(name),
            gate=gate,
            index=below,
            store=store,
            media_address=media_address,
            loop=around.loop,
            wall=around.wall,
            random=around.random,
            listeners=listeners,
            guard=guard,
            ptz=config.ptz.terms(),
            quota=config.alarms.quota(),
            bounds=bounds,
        )
        as_lower = AsLower(
            us=us,
            endpoint=endpoint,
            calls=calls,
            uppers=own.uppers(),
            lowers=as_upper.peers,
            secrets=credentials.ours,
            gate=gate,
            index=shared,
            store=store,
            media_address=media_address,
            loop=around.loop,
            wall=around.wall,
            random=around.random,
            listeners=listeners,
            guard=guard,
            ptz=config.ptz.terms(),
            quota=config.alarms.quota(),
            bounds=bounds,
        )
        ports = Ports(
            media_address,
            *own.media_ports,
            quarantine_seconds=30.0,
            clock=around.loop.time,
            choose=around.random.choice,
            resting=[kept.media_port for kept in remembered if kept.media_port],
        )
        media = around.media or Memory(stack.token)
        limits = Limits(config.media.linger_seconds, config.media.max_bits_per_second)
        bringing = sources(
            plane,
            ports,
            as_upper,
            as_lower,
            name=media.name,
            limits=limits,
        )
        sessions = Sessions(
            gate=gate,
            sources=bringing,
            plane=plane,
            media=media,
            ports=ports,
            correlation=itertools.count(FIRST_CORRELATION[name], 2).__next__,
        )
        side = Side(
            name,
            endpoint=endpoint,
            calls=calls,
            as_upper=as_upper,
            as_lower=as_lower,
            below=below,
            shared=shared,
            sessions=sessions,
            ports=ports,
            waiting=lambda peer: LegMemo(store, peer, 0),  # no port is taken for it yet
            leg=media.counters,
            bounds=bounds,
        )
        side.described = described(own)
        gate.on_delivery = side.deliver
        gate.on_anew = side.tell_anew
        await held.enter_async_context(side)
        end_remembered(remembered, calls, store)
        host, port = stack.local
        log.info("side.opened", extra={"side": name, "address": host_port(host, port)})
        adopting = Adopting(side, credentials, limits, agreement.take, transports)
        seat = Seat(side, gate, endpoint, bringing, book, plane, trunk, around.link, media)
        yield Open(side, gate, audit, seat, adopting)
    log.info("side.closed", extra={"side": name})


def _book(name: SideName, around: Surroundings) -> Book:
    return Book(name, clock=around.loop.time, wall=around.wall)


@asynccontextmanager
async def open_gateway(
    config: Config, secrets: Secrets, around: Surroundings, ends: tuple[LinkEnd, LinkEnd] | None = None
) -> AsyncIterator[Gateway]:
    """Run both sides on one loop, joined by `ends` (outer's, inner's): in memory by default."""
    outer_end, inner_end = ends or memory_link(around.loop)
    async with (
        open_side("inner", config, secrets.inner, inner_end, around) as inner,
        open_side("outer", config, secrets.outer, outer_end, around) as outer,
    ):
        inner.side.as_upper.offer_all()  # what it said before the outer gate was there went nowhere
        try:
            yield Gateway(outer, inner)
        finally:  # both at once: neither waits for the other's dead peers
            outer.side.stop()
            inner.side.stop()


@asynccontextmanager
async def open_host(
    name: SideName, config: Config, secrets: SideSecrets, around: Surroundings, plug: Plug
) -> AsyncIterator[Open]:
    """Run one side alone, joined with the other host's by `config.link`. `plug`: its place on that wire."""
    given = config.link
    own_host, other_host = (given.outer, given.inner) if name == "outer" else (given.inner, given.outer)
    trunk = TracedTrunk(around.plane, _book(name, around), around.loop.time)
    leg = Network(
        trunk,
        start=2 * around.random.getrandbits(30) + (name == "inner"),
        local=(own_host, given.media_port),
        peer=(other_host, given.media_port),
        loop=around.loop,
        terms=_terms(config),
    )
    other: SideName = "inner" if name == "outer" else "outer"
    link = HostsEnd(
        name,
        plug=plug,
        dialler=None if given.dials == "both" else given.dials,
        other_host=other_host,
        other=Identity(other, config.inner.id if name == "outer" else config.outer.id),
        trust=lambda: read_trust(Path(given.certs), name),
        alive_seconds=given.alive_seconds,
        loop=around.loop,
        wall=around.wall,
        random=around.random,
        unheard_bytes=given.unheard_bytes,
    )

    def heard(message: bytes) -> None:
        try:
            leg.receive(message)
        except BadMessage as error:
            raise BadFrame(str(error)) from error

    leg.send, link.on_media, link.on_joined = link.send_media, heard, leg.joined
    async with AsyncExitStack() as held:
        try:
            await held.enter_async_context(leg)
        except PortTaken as error:
            raise CannotLink("UDP", own_host, given.media_port, saying("system.in_use")) from error
        except RelayRefused as error:
            raise CannotLink("UDP", own_host, given.media_port, recognised(str(error))) from error
        held.push_async_callback(link.close)  # the ends of this side's sessions have been told by then
        here = await held.enter_async_context(
            open_side(name, config, secrets, link, replace(around, media=leg, link=link.view, trunk=trunk))
        )
        link.on_linked = here.linked

        def taken(new: Config) -> None:
            read = partial(read_trust, Path(new.link.certs), name)
            link.adopt(read, new.link.alive_seconds, new.link.unheard_bytes)
            leg.adopt(_terms(new))

        here.adopting.on_taken = taken
        try:
            await link.open()
        except OSError as error:
            raise CannotLink("TCP", own_host, given.port, reason(error)) from error
        yield here


def _terms(config: Config) -> Terms:
    """Silence between the hosts is told later than any peer's, whose own side knows more."""
    peers = (peer for side in (config.outer, config.inner) for _, peer in side.peers())
    longest = max((max(peer.first_media_seconds, peer.media_loss_seconds) for peer in peers), default=0.0)
    seconds = max(Terms().idle_seconds, longest + 30.0)
    return Terms(
        first_seconds=seconds,
        idle_seconds=seconds,
        max_bits_per_second=config.media.max_bits_per_second,
    )


@asynccontextmanager
async def real_surroundings(config: Config) -> AsyncIterator[Surroundings]:
    """Sockets, clocks, files and the native relay of this machine."""
    loop = asyncio.get_running_loop()
    engines: list[Engine] = []
    state = Path(config.gateway.state)

    def stack(name: SideName, own: SideConfig) -> Engine:
        engine = open_engine(name, own)
        engines.append(engine)
        return engine

    async with NativePlane(loop) as plane:
        try:
            yield Surroundings(
                loop=loop,
                wall=time.time,
                random=random.SystemRandom(),
                stack=stack,
                attach=attached,
                plane=plane,
                store=lambda name: SqliteStore(state / name),
                audit=lambda name: Audit(state / name / "audit.jsonl"),
            )
        finally:
            for engine in engines:
                engine.close()


@asynccontextmanager
async def _running(
    config: Config, secrets: Secrets, side: SideName | None, around: Surroundings
) -> AsyncIterator[tuple[Desk, list[Kept]]]:
    """The whole gateway, or one side of it."""
    if side is None:
        async with open_gateway(config, secrets, around) as gateway:
            yield gateway.desk(around.wall), [gateway.outer.kept(), gateway.inner.kept()]
        return
    link = config.link
    own, other = (link.outer, link.inner) if side == "outer" else (link.inner, link.outer)
    plug = TcpPlug(around.loop, own, other, link.port)
    async with open_host(side, config, secrets.of(side), around, plug) as here:
        yield Desk((here.seat,), wall=around.wall), [here.kept()]


def run(file: Path, config: Config, secrets: Secrets, side: SideName | None = None) -> int:
    """`lockgate run`: serve until SIGINT or SIGTERM, both sides or one. Returns the exit code.

    SIGHUP has `file` read again, of which `config` and `secrets` were made.
    """
    return asyncio.run(_serve(file, config, secrets, side))


async def _serve(file: Path, config: Config, secrets: Secrets, side: SideName | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    named = sum(len(own.lower) + len(own.upper) for own in (config.outer, config.inner))
    log.info("gateway.starting", extra={"peers": named})
    async with (
        real_surroundings(config) as around,
        _running(config, secrets, side, around) as (desk, sides),
        keeping(Keeper(file, config, secrets, sides, wall=around.wall, side=side)) as keeper,
        serving(desk, Path(config.gateway.state) / (side or "") / NAME, reload=keeper.answer),
    ):
        desk.rules = lambda: (keeper.state(),)
        loop.add_signal_handler(signal.SIGHUP, keeper.ask)
        with calm():
            log.info("gateway.ready")
            await stop.wait()
        log.info("gateway.stopping")
    return 0
