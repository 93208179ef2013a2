"""Composition root: the only place that builds objects.

A side is given loop, clocks, stack, store, relay and its end of the link as arguments and finds none
of them by import; in one process both sides run on one loop that is handed in.
"""

import asyncio
import itertools
import logging
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cascade.as_lower.face import AsLower
from cascade.as_upper.face import AsUpper
from cascade.leg import LegMemo, end_remembered
from cascade.model.ids import ChannelId
from cascade.model.index import Index
from cascade.model.secret import Secret
from cascade.ports import Store
from gateway.chamber.audit import Audit
from gateway.chamber.gate import Gate, GateCounters
from gateway.chamber.link import LinkEnd
from gateway.chamber.link.memory import memory_link
from gateway.config import Config, Secrets, SideConfig, load_secrets
from gateway.session.sessions import Sessions
from gateway.side.side import Side, sources
from gateway.store.sqlite.store import SqliteStore
from gateway.words import Told, saying
from gateway.words.system import reason
from media.ports import Ports
from media.relay import DataPlane, NativePlane
from sip._native import Engine, ha1
from sip.aio.calls import Calls
from sip.aio.driver import UdpDriver
from sip.endpoint import Endpoint, Party, Stack

log = logging.getLogger(__name__)

SideName = Literal["outer", "inner"]

FIRST_CORRELATION: Final[dict[SideName, int]] = {"outer": 1, "inner": 2}
"""Each side counts in twos from its own start, so that a number says who asked."""

LEAVING_SECONDS: Final = 3.0
"""How long a stop waits for the answers to our BYEs; who is silent longer is told again after a restart."""


class CannotListen(Told):
    """The signalling address of a side is not to be had."""

    def __init__(self, name: SideName, own: SideConfig, error: OSError) -> None:
        side = saying("side.outer") if name == "outer" else saying("side.inner")
        address = f"{own.address}:{own.port}"
        super().__init__(saying("run.address", side=side, address=address, reason=reason(error)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a side gets from outside. Tests play all of it in virtual time."""

    loop: asyncio.AbstractEventLoop
    wall: Callable[[], float]
    random: random.Random
    stack: Callable[[SideName, SideConfig], Stack]
    attach: Callable[[Stack, Endpoint], AbstractContextManager[object]]
    plane: DataPlane
    store: Callable[[SideName], Store]
    audit: Callable[[SideName], Audit]


@dataclass(frozen=True, slots=True)
class Open:
    """A side that runs, with its door."""

    side: Side
    gate: Gate
    audit: Audit

    @property
    def counters(self) -> GateCounters:
        return self.gate.counters

    def linked(self, up: bool) -> None:
        """Told by a link that may lose its other end (`RejoiningEnd.on_linked`)."""
        self.gate.linked(up)
        self.side.linked(up)


@dataclass(frozen=True, slots=True)
class Gateway:
    """Both sides in one process."""

    outer: Open
    inner: Open

    @property
    def orphans(self) -> int:
        """Sessions, dialogs and ports in our own tables; 0 when nobody watches anything."""
        return self.outer.side.tables().orphans + self.inner.side.tables().orphans


@asynccontextmanager
async def open_side(
    name: SideName,
    config: Config,
    passwords: dict[str, Secret],
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
        for peer in own.lower:
            secret = passwords.get(peer.id)
            if secret is not None:
                stack.set_credentials(peer.id, ha1(peer.id, us.domain, secret.reveal()))
        held.enter_context(around.attach(stack, endpoint))

        below = Index()  # what our lowers have
        shared = Index(told=True)  # what the other side lets us show, and where it says that stands

        def branch(channel: ChannelId) -> str:
            for index in (below, shared):
                row = index.find(channel.peer, channel.name)
                if row is not None:
                    return row.get("branch", "")
            return ""

        gate = Gate(
            side=name,
            rules=config.rules(),
            audit=audit,
            link=link,
            branch=branch,
            clock=around.loop.time,
            later=around.loop.call_later,
        )
        held.callback(gate.close)
        calls = Calls(endpoint, leaving_seconds=LEAVING_SECONDS)
        media_address = own.media_address or own.address
        listeners = [(*stack.local, stack.local[1]), (media_address, *own.media_ports)]
        as_upper = AsUpper(
            us=us,
            endpoint=endpoint,
            calls=calls,
            peers=own.lowers(),
            gate=gate,
            index=below,
            store=store,
            media_address=media_address,
            loop=around.loop,
            wall=around.wall,
            random=around.random,
            listeners=listeners,
        )
        as_lower = AsLower(
            us=us,
            endpoint=endpoint,
            calls=calls,
            uppers=own.uppers(),
            lowers=own.lowers(),
            secrets=lambda peer: _revealed(passwords.get(peer)),
            gate=gate,
            index=shared,
            store=store,
            media_address=media_address,
            loop=around.loop,
            wall=around.wall,
            random=around.random,
            listeners=listeners,
        )
        ports = Ports(
            media_address,
            *own.media_ports,
            quarantine_seconds=30.0,
            clock=around.loop.time,
            choose=around.random.choice,
            resting=[kept.media_port for kept in remembered if kept.media_port],
        )
        bringing = sources(
            around.plane,
            ports,
            as_upper,
            as_lower,
            name=stack.token,
            linger_seconds=config.media.linger_seconds,
            max_bits_per_second=config.media.max_bits_per_second,
        )
        sessions = Sessions(
            gate=gate,
            sources=bringing,
            plane=around.plane,
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
        )
        gate.on_delivery = side.deliver
        await held.enter_async_context(side)
        end_remembered(remembered, calls, store)
        host, port = stack.local
        log.info("side.opened", extra={"side": name, "address": f"{host}:{port}"})
        yield Open(side, gate, audit)
    log.info("side.closed", extra={"side": name})


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


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
async def real_surroundings(config: Config) -> AsyncIterator[Surroundings]:
    """Sockets, clocks, files and the native relay of this machine."""
    loop = asyncio.get_running_loop()
    engines: list[Engine] = []
    state = Path(config.gateway.state)

    def stack(name: SideName, own: SideConfig) -> Engine:
        try:
            engine = Engine(
                (own.address, own.port),
                own.domain or own.id[:10],
                own.networks,
                os.urandom(32),
                receive_buffer=own.receive_buffer,
            )
        except OSError as error:
            raise CannotListen(name, own, error) from error
        engines.append(engine)
        return engine

    async with NativePlane(loop) as plane:
        try:
            yield Surroundings(
                loop=loop,
                wall=time.time,
                random=random.SystemRandom(),
                stack=stack,
                attach=_driver,
                plane=plane,
                store=lambda name: SqliteStore(state / name),
                audit=lambda name: Audit(state / name / "audit.jsonl"),
            )
        finally:
            for engine in engines:
                engine.close()


def _driver(stack: Stack, endpoint: Endpoint) -> AbstractContextManager[object]:
    assert isinstance(stack, Engine)
    return UdpDriver(stack, endpoint)


def run(config: Config) -> int:
    """`lockgate run`: serve until SIGINT or SIGTERM. Returns the exit code."""
    return asyncio.run(_serve(config))


async def _serve(config: Config) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    secrets = load_secrets(Path(config.gateway.secrets))
    async with real_surroundings(config) as around, open_gateway(config, secrets, around):
        log.info("gateway.ready")
        await stop.wait()
        log.info("gateway.stopping")
    return 0
