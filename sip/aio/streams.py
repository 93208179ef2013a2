"""Connections on their way through asyncio: moves bytes between transports and the engine, by one path.

TCP and TLS differ in one object, `Secured`. Nothing is decided here: who may connect, how long a connection
may be silent and where a message goes is the engine's; this does what it orders.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol, cast

from sip.aio.secured import Secured
from sip.errors import TransportFailed, UsageError
from sip.events import Address, Listener, Order

WRITE, CLOSE, DIAL = 1, 2, 3

BACKLOG: Final = 64 * 1024
"""Bytes that wait for a slow reader before the engine is told."""

ACCEPTED: Final = 64
"""Connections taken up in one turn of the loop, so that a crowd which comes at once holds nobody up."""

SOMAXCONN: Final = Path("/proc/sys/net/core/somaxconn")

DIAL_SECONDS: Final = 8.0
FLUSH_SECONDS: Final = 2.0
"""How long a connection that is over may take to send its last words."""

Make = Callable[[], asyncio.Protocol]


class Engine(Protocol):
    """What moves between an engine and its connections (`sip._native.Engine`, or a test's)."""

    def accept(self, peer: Address, transport: str, *, to: Address | None = None) -> int: ...
    def opened(self, connection: int) -> None: ...
    def certified(self, connection: int, names: str) -> None: ...
    def closed(self, connection: int, reason: str) -> None: ...
    def feed_stream(self, connection: int, data: bytes) -> None: ...
    def backlog(self, connection: int, waiting: int) -> None: ...
    def take_orders(self) -> list[Order]: ...


class Listening(Protocol):
    def close(self) -> None: ...


def _bound(address: Address) -> socket.socket:
    """A listening socket to be. Raises OSError: the address is not to be had."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except BaseException:
        made.close()
        raise
    return made


def _unaccepted() -> int:
    """As many as this kernel lets wait; who comes beyond that tries again a second later, and then three."""
    try:
        return int(SOMAXCONN.read_text())
    except (OSError, ValueError):
        return socket.SOMAXCONN


class Plug(Protocol):
    """How connections are had: sockets here, something in memory in tests."""

    async def listen(self, address: Address, make: Make) -> Listening:
        """Make a protocol for each connection that comes in. Raises OSError: the address is not to be had."""
        ...

    async def dial(self, local: str, peer: Address, make: Make) -> None:
        """Connect from the host `local`. Raises OSError."""
        ...


class Sockets:
    """The sockets of this machine."""

    async def listen(self, address: Address, make: Make) -> Listening:
        loop = asyncio.get_running_loop()
        listening = _bound(address)
        try:
            server = await loop.create_server(make, sock=listening, backlog=ACCEPTED)
            listening.listen(_unaccepted())  # the same number was asyncio's for both
        except BaseException:
            listening.close()
            raise
        return server

    async def dial(self, local: str, peer: Address, make: Make) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DIAL_SECONDS):
            await loop.create_connection(make, *peer, local_addr=(local, 0))


@dataclass(frozen=True, slots=True)
class Tls:
    """`names` are those of which the certificate of whom we dial must show one; None: any that is trusted."""

    server: ssl.SSLContext | None = None
    client: ssl.SSLContext | None = None
    names: Callable[[Address], frozenset[str] | None] = lambda _peer: None


class CannotBind(TransportFailed):
    """An address of ours is not to be had."""

    def __init__(self, listener: Listener, why: OSError) -> None:
        super().__init__(f"{listener}: {why}")
        self.listener = listener
        self.why = why


class Streams:
    """All connections of one engine. Use `async with`; call `carry_out` whenever the engine did something.

    `on_trouble` is told of a TLS handshake that failed: the peer, and why.
    """

    def __init__(
        self,
        engine: Engine,
        listeners: Sequence[Listener],
        *,
        local: str,
        plug: Plug | None = None,
        tls: Tls | None = None,
        on_trouble: Callable[[Address, str], None] = lambda _peer, _why: None,
    ) -> None:
        self.engine = engine
        self.on_trouble = on_trouble
        self.tls = tls or Tls()
        self._listeners = [listener for listener in listeners if listener[0] != "udp"]
        self._local = local
        self._plug = plug or Sockets()
        self._listening: list[Listening] = []
        self._connections: dict[int, Connection] = {}
        self._dialling: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._over = False  # what still happens concerns the engine no more

    async def __aenter__(self) -> "Streams":
        try:
            for transport, host, port in self._listeners:
                if transport == "tls" and self.tls.server is None:
                    raise UsageError("a TLS listener without a certificate")
                await self._listen((transport, host, port))
        except BaseException:
            self._stop_listening()
            raise
        return self

    async def _listen(self, listener: Listener) -> None:
        transport, host, port = listener
        try:
            make = partial(Connection, self, transport, to=(host, port))
            listening = await self._plug.listen((host, port), make)
        except OSError as error:
            raise CannotBind(listener, error) from error
        self._listening.append(listening)

    async def __aexit__(self, *_: object) -> None:
        self.carry_out()
        self._stop_listening()
        for task in list(self._dialling):
            task.cancel()
        for connection in list(self._connections.values()):
            self.left(connection, "this side is being stopped")
            connection.close()
        self._over = True

    def _stop_listening(self) -> None:
        for listening in self._listening:
            listening.close()

    def __len__(self) -> int:
        return len(self._connections)

    def carry_out(self) -> None:
        """Do what the engine orders."""
        for kind, number, data, peer, transport in self.engine.take_orders():
            if kind == DIAL:
                task = self._loop.create_task(self._dial(number, peer, transport))
                self._dialling.add(task)
                task.add_done_callback(self._dialling.discard)
            elif (connection := self._connections.get(number)) is not None:
                if kind == WRITE:
                    connection.write(data)
                else:
                    connection.close()

    async def _dial(self, number: int, peer: Address, transport: str) -> None:
        local = next(
            (host for _, host, _ in self._listeners if (":" in host) == (":" in peer[0])), self._local
        )
        try:
            await self._plug.dial(local, peer, lambda: Connection(self, transport, number))
        except (OSError, TimeoutError) as error:
            if not self._over:
                self.engine.closed(number, _reason(error))

    def accept(self, peer: Address, transport: str, to: Address | None) -> int:
        """Its number, 0 if it has to go; some are gone by the time they are accepted, and have no address."""
        return 0 if self._over or not peer[0] else self.engine.accept(peer, transport, to=to)

    def joined(self, connection: "Connection") -> None:
        self._connections[connection.number] = connection

    def left(self, connection: "Connection", reason: str) -> None:
        if self._connections.pop(connection.number, None) is not None:
            self.engine.closed(connection.number, reason)


class Connection(asyncio.Protocol):
    """One connection. `number` is the engine's: from the order to dial it, else from its acceptance.

    `to` is the address of ours that it came to.
    """

    __slots__ = (
        "_dialled",
        "_peer",
        "_secured",
        "_streams",
        "_to",
        "_transport",
        "_transport_name",
        "number",
    )

    def __init__(
        self, streams: Streams, transport: str, number: int = 0, *, to: Address | None = None
    ) -> None:
        self.number = number
        self._to = to
        self._dialled = number != 0
        self._streams = streams
        self._transport_name = transport
        self._secured: Secured | None = None
        self._transport: asyncio.Transport | None = None
        self._peer: Address = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._peer = (self._transport.get_extra_info("peername") or ("", 0))[:2]
        engine, tls = self._streams.engine, self._streams.tls
        context = tls.client if self._dialled else tls.server
        if self._dialled and self._transport_name == "tls" and context is None:
            engine.closed(self.number, "no TLS is configured on this side")
            self._transport.abort()
            return
        if not self._dialled:
            self.number = self._streams.accept(self._peer, self._transport_name, self._to)
            if not self.number:
                self._transport.abort()
                return
        self._streams.joined(self)
        if self._transport_name == "tls" and context is not None:
            self._secured = Secured(context, server=not self._dialled)
            self._feed(self._secured, b"")
        elif self._dialled:
            engine.opened(self.number)
        self._streams.carry_out()

    def data_received(self, data: bytes) -> None:
        plain = data if self._secured is None else self._feed(self._secured, data)
        if plain:
            self._streams.engine.feed_stream(self.number, plain)

    def connection_lost(self, exc: Exception | None) -> None:
        self._streams.left(self, _reason(exc) if exc is not None else "the other end closed it")

    def write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._secured is not None:
            self._secured.write(data)
            data = self._secured.output()
        transport.write(data)
        if (waiting := transport.get_write_buffer_size()) > BACKLOG:
            self._streams.engine.backlog(self.number, waiting)

    def close(self) -> None:
        """Close it once what was written has left, or a moment later."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.close()
            if transport.get_write_buffer_size():
                asyncio.get_running_loop().call_later(FLUSH_SECONDS, transport.abort)

    def _feed(self, secured: Secured, data: bytes) -> bytes:
        """The plain text in what came; what TLS itself has to say leaves."""
        began, why, plain = secured.established, "", b""
        try:
            plain = secured.feed(data)
        except ssl.SSLError as error:
            why = error.reason or "TLS failed"
        if output := secured.output():
            assert self._transport is not None
            self._transport.write(output)
        if not why and secured.established and not began:
            why = self._established(secured.names())
        if why:
            self._streams.on_trouble(self._peer, why)
            self._streams.left(self, why)
            self.close()
            return b""
        return plain

    def _established(self, names: frozenset[str]) -> str:
        """Who is at the other end is known now; why that is not whom we wanted, "" if it is."""
        engine = self._streams.engine
        engine.certified(self.number, " ".join(sorted(names)))
        if self._dialled:
            wanted = self._streams.tls.names(self._peer)
            if wanted is not None and not names & wanted:
                return "another name in its certificate"
            engine.opened(self.number)
        return ""


def _reason(error: Exception) -> str:
    """The system's word for it, without what asyncio puts around it."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number is not None else str(error) or "no answer"
