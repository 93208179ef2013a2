"""How a side's transports are set up: its connections, its certificates, and how its peers are reached."""

import asyncio
import logging
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

from certs.identities import SideName
from gateway.config import SideConfig
from gateway.config_lowers import pairs
from gateway.config_peers import LowerConfig
from gateway.side.firsts import Firsts
from gateway.tls import TlsFiles, read_files
from gateway.words import Told, saying
from gateway.words.system import reason
from sip._native import Engine
from sip.aio.driver import Driver
from sip.aio.streams import CannotBind, Plug, Streams, Tls
from sip.aio.streams import Engine as Connected
from sip.endpoint import Endpoint, Stack
from sip.events import Address, Listener
from sip.uri import host_port, parse_uri

log = logging.getLogger(__name__)

LARGE_KINDS: Final = (b"<CmdType>Catalog<", b"<CmdType>RecordInfo<")
"""What stands in a body that may be as large as its peer's `message_bytes`."""

MEBIBYTE: Final = 1 << 20

OTHER_FILES: Final = 4096
"""Descriptors that media, stores and the console may take of those that this process may open."""


class CannotListen(Told):
    """A signalling address of a side is not to be had."""

    def __init__(self, name: SideName, listener: Listener, error: OSError) -> None:
        protocol, host, port = listener
        side = saying("side.outer") if name == "outer" else saying("side.inner")
        address = host_port(host, port)
        why = reason(error)
        super().__init__(
            saying("run.address", side=side, address=address, protocol=protocol.upper(), reason=why)
        )


class Agreement:
    """How the engine of a side reaches each configured peer, and what each may do on its connection."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._reached: set[Address] = set()
        stack.set_large_kinds(LARGE_KINDS)

    def take(self, own: SideConfig) -> None:
        """From now on as this says; who is not in it any more is nobody we dial or know by its host."""
        reached = {(upper.host, upper.port): upper for upper in own.upper}
        for address in self._reached - reached.keys():
            self._stack.set_route(address, None)
        for address, upper in reached.items():
            large_by_tcp = upper.transport == "udp+tcp"
            transport: Literal["udp", "tcp", "tls"] = (
                "udp" if upper.transport == "udp+tcp" else upper.transport
            )
            pong = upper.answer_pings
            self._stack.set_route(address, transport, large_by_tcp=large_by_tcp, pong=pong)
        self._reached = set(reached)
        for peer, alike in pairs(own.lower):
            large = alike.message_bytes if alike.message_bytes > MEBIBYTE else 0
            dial = _dialled(alike)
            self._stack.set_terms(peer, large=large, pong=alike.answer_pings, dial=dial)
        self._stack.set_limits(limits_of(own))


def open_engine(name: SideName, own: SideConfig) -> Engine:
    """The engine of a side, bound to its datagram addresses. Raises CannotListen."""
    first: Listener = ("udp", own.address, own.port)
    try:
        return Engine(
            (own.address, own.port),
            own.domain or own.id[:10],
            own.networks,
            os.urandom(32),
            receive_buffer=own.receive_buffer,
            listeners=own.listeners(),
            limits=limits_of(own),
        )
    except OSError as error:
        raise CannotListen(name, first, error) from error


def limits_of(own: SideConfig) -> dict[str, int]:
    """As configured, with no more connections than this process may have files."""
    limits = own.limits.engine()
    return limits | {"connections": min(limits["connections"], _streams_at_most())}


def _streams_at_most() -> int:
    """As many connections as this process may have files, once it asked for all it can get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(64, hard - OTHER_FILES)


class Transports:
    """The connections of a side, and by which certificates they are made."""

    def __init__(self, streams: Streams, own: SideConfig, files: TlsFiles) -> None:
        self.streams = streams
        self._files = files
        self.take(own, files)

    @property
    def mark(self) -> str:
        """Of the files that count."""
        return self._files.mark

    def take(self, own: SideConfig, files: TlsFiles) -> None:
        """For connections that are made from now on; those that stand live on."""
        self._files = files
        self.streams.tls = _tls(own, files)


@asynccontextmanager
async def attached(
    name: SideName, own: SideConfig, stack: Stack, endpoint: Endpoint
) -> AsyncIterator[Transports]:
    """Drive the engine of a side, with its connections, on this machine's sockets."""
    assert isinstance(stack, Engine)
    async with connected(name, own, stack) as transports:
        with Driver(stack, endpoint, transports.streams):
            yield transports


@asynccontextmanager
async def connected(
    name: SideName, own: SideConfig, engine: Connected, plug: Plug | None = None
) -> AsyncIterator[Transports]:
    """The connections of a side. Raises BadCertificate, CannotListen."""
    told = _TlsTold(name)
    files = read_files(own.tls)
    streams = Streams(
        engine,
        own.listeners(),
        local=own.address,
        plug=plug,
        tls=_tls(own, files),
        on_trouble=told.failed,
    )
    try:
        await streams.__aenter__()
    except CannotBind as error:
        raise CannotListen(name, error.listener, error.why) from error
    try:
        yield Transports(streams, own, files)
    finally:
        await streams.__aexit__()


class _TlsTold:
    """One line of each source and kind of a handshake that failed."""

    def __init__(self, side: SideName) -> None:
        self._side = side
        self._firsts = Firsts()
        self._loop = asyncio.get_running_loop()

    def failed(self, peer: Address, why: str) -> None:
        count = self._firsts.told(peer[0], why, self._loop.time())
        if count is not None:
            fields = {"side": self._side, "source": host_port(*peer), "reason": why, "count": count}
            log.warning("tls.refused", extra=fields)


def _tls(own: SideConfig, files: TlsFiles) -> Tls:
    """Whom we connect to is whom its certificate names, where those of others are checked at all."""
    ids: dict[Address, frozenset[str]] = {
        (upper.host, upper.port): frozenset({upper.id, upper.host}) for upper in own.upper
    }
    for peer, alike in pairs(own.lower):
        if (there := _dialled(alike)) is not None:
            ids[there] = frozenset({peer, there[0]})
    return Tls(files.server, files.client, ids.get if own.tls.authority else _anybody)


def _dialled(lower: LowerConfig) -> Address | None:
    """Where we connect to while its own connection is away."""
    return parse_uri(f"sip:{lower.dial}").address if lower.dial else None


def _anybody(_peer: Address) -> None:
    return None
