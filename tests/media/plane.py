"""The relay in virtual time: `lockgate_native.relay.Core` over datagram ports of a made-up network."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from media import stats
from media._native import Core
from media.relay import (
    AddViewer,
    AimViewer,
    Close,
    DropViewer,
    Expect,
    Join,
    Open,
    OpenFromTrunk,
    PortTaken,
    RelayRefused,
    Subscribers,
    ViewOverTrunk,
    carried_out,
    encode,
    keyed,
)

Address = tuple[str, int]
OnDatagram = Callable[[bytes, Address], None]


class DatagramPort(Protocol):
    def send(self, payload: bytes, destination: Address) -> None: ...

    def close(self) -> None: ...


OpenPort = Callable[[Address, OnDatagram], DatagramPort]
"""Binds an address (`tests.sip.network.Network.datagrams`); raises OSError when it is taken."""


class CorePlane(Subscribers):
    """A `DataPlane` whose packets and deadlines run on the loop that it is given."""

    def __init__(self, loop: asyncio.AbstractEventLoop, open_port: OpenPort, *, seed: int = 0) -> None:
        super().__init__()
        self._loop = loop
        self._open_port = open_port
        self._core = Core(seed)
        self._receiving: dict[str, Address] = {}  # by stream
        self._sending: dict[tuple[str, str], Address] = {}  # by stream and viewer
        self._trunk: Address | None = None
        self._ports: dict[Address, DatagramPort] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._woken = False

    async def bind(self, command: Open | AddViewer) -> int:
        self._open(command, (command.address, command.port))
        match command:
            case Open(stream=stream):
                self._receiving[stream] = (command.address, command.port)
            case AddViewer(stream=stream, viewer=viewer):
                self._sending[stream, viewer] = (command.address, command.port)
        return command.port

    def _open(self, command: Open | AddViewer | Join, address: Address) -> None:
        try:
            port = self._open_port(address, lambda data, source: self._feed(address, data, source))
        except OSError as error:
            raise PortTaken(str(error)) from None
        try:
            carried_out(self._core.command(encode(command), self._loop.time()))
        except (PortTaken, RelayRefused):
            port.close()
            raise
        self._ports[address] = port

    async def join(self, command: Join) -> int:
        self._trunk = (command.address, command.port)
        self._open(command, self._trunk)
        return command.port

    async def open_from_trunk(self, command: OpenFromTrunk) -> None:
        carried_out(self._core.command(encode(command), self._loop.time()))

    def view_over_trunk(self, command: ViewOverTrunk) -> None:
        carried_out(self._core.command(encode(command), self._loop.time()))
        self._settle()

    def offer(self) -> bytes:
        with keyed():
            return self._core.offer()

    def accept(self, offer: bytes) -> None:
        with keyed():
            self._core.accept(offer)

    def tell(self, command: Expect | AimViewer | DropViewer | Close) -> None:
        match command:
            case DropViewer(stream=stream, viewer=viewer):
                self._free(self._sending.pop((stream, viewer), None))
            case Close(stream=stream):
                self._free(self._receiving.pop(stream, None))
                for key in [key for key in self._sending if key[0] == stream]:
                    self._free(self._sending.pop(key))
        carried_out(self._core.command(encode(command), self._loop.time()))
        self._settle()

    def counters(self) -> stats.Counters:
        return stats.read(self._core.counters())

    def sockets(self) -> int:
        return self._core.sockets()

    def close(self) -> None:
        """Free every port; nothing is heard or sent any more."""
        for stream in list(self._receiving):
            self.tell(Close(stream=stream))
        self._free(self._trunk)
        self._trunk = None
        if self._timer is not None:
            self._timer.cancel()

    def _free(self, address: Address | None) -> None:
        if address is not None:
            self._ports.pop(address).close()

    def _feed(self, address: Address, data: bytes, source: Address) -> None:
        self._core.feed(address, data, source, self._loop.time())
        self._settle()

    def _due(self) -> None:
        self._timer = None
        self._core.advance(self._loop.time())
        self._settle()

    def _settle(self) -> None:
        for payload, destination, address in self._core.take_outputs():
            self._ports[address].send(payload, destination)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._core.deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._due)
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._woken = False
        self.dispatch(self._core.take_events())
