"""Connections in virtual time: bytes in order, in pieces of any size, over the same network as datagrams.

A cable that is pulled (`Network.cut`) holds bytes back for ever, as TCP does for a long time; `reset` breaks
connections at both ends.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from sip.events import Address

Make = Callable[[], asyncio.Protocol]

FIRST_EPHEMERAL: Final = 50_000


class End(asyncio.Transport):
    """One end of a connection. `piece` cuts what it sends into so many bytes; None: as it was written."""

    def __init__(self, wires: "Wires", address: Address, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.address = address
        self.protocol = protocol
        self.other: End | None = None
        self.piece: int | None = None
        self.sent = bytearray()
        self.coming: deque[bytes | None] = deque()
        self._wires = wires
        self._closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        assert self.other is not None
        return self.other.address if name == "peername" else default

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing:
            return
        data = bytes(data)
        self.sent += data
        size = self.piece or len(data)
        for start in range(0, len(data), size):
            self._wires.carry(self, data[start : start + size])

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._wires.carry(self, None)
            self._wires.loop.call_soon(self._gone, None)

    abort = close

    def arrive(self, data: bytes | None) -> None:
        """None: the other end has closed."""
        if self._closing:
            return
        if data is None:
            self._closing = True
            self._gone(None)
        else:
            self.protocol.data_received(data)

    def reset(self) -> None:
        if not self._closing:
            self._closing = True
            self._gone(ConnectionResetError(104, "reset by peer"))

    def die(self) -> None:
        """Without a word to its protocol, which is no more."""
        if not self._closing:
            self._closing = True
            self._wires.ends.discard(self)
            self._wires.carry(self, None)

    def _gone(self, error: Exception | None) -> None:
        self._wires.ends.discard(self)
        self.protocol.connection_lost(error)


class Ear:
    def __init__(self, wires: "Wires", address: Address, make: Make) -> None:
        self.wires, self.address, self.make = wires, address, make

    def close(self) -> None:
        if self.wires.ears.get(self.address) is self:
            del self.wires.ears[self.address]


class Wires:
    """All connections. `delay` seconds each way; `taps` see what is written: source, destination, bytes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, delay: float = 0.005) -> None:
        self.loop = loop
        self.delay = delay
        self.ears: dict[Address, Ear] = {}
        self.ends: set[End] = set()
        self.taps: list[Callable[[bytes, Address, Address], None]] = []
        self.cut: set[str] = set()
        self.piece: int | None = None  # of ends made from now on
        self._next_port = FIRST_EPHEMERAL

    def carry(self, sender: End, data: bytes | None) -> None:
        receiver = sender.other
        assert receiver is not None
        if data is not None:
            for tap in self.taps:
                tap(data, sender.address, receiver.address)
        if not self.cut & {sender.address[0], receiver.address[0]}:
            receiver.coming.append(data)
            self.loop.call_later(self.delay, self._land, receiver)

    def _land(self, receiver: End) -> None:
        """The oldest that is on its way; timers of one time come in any order."""
        receiver.arrive(receiver.coming.popleft())

    def connect(self, local: Address, peer: Address, protocol: asyncio.Protocol) -> End:
        """Raises ConnectionRefusedError: nobody listens there. Port 0 takes a free one."""
        ear = self.ears.get(peer)
        if ear is None or self.cut & {local[0], peer[0]}:
            raise ConnectionRefusedError(111, "Connection refused")
        if local[1] == 0:
            self._next_port += 1
            local = (local[0], self._next_port)
        here, there = End(self, local, protocol), End(self, peer, ear.make())
        here.other, there.other = there, here
        here.piece = there.piece = self.piece
        self.ends |= {here, there}
        self.loop.call_soon(there.protocol.connection_made, there)
        self.loop.call_soon(here.protocol.connection_made, here)
        return here

    def die(self, host: str) -> None:
        """Its process is killed: nobody listens there, and who was connected finds its end closed."""
        for address in [address for address in self.ears if address[0] == host]:
            del self.ears[address]
        for end in [end for end in self.ends if end.address[0] == host]:
            end.die()

    def plug(self) -> "VirtualPlug":
        return VirtualPlug(self)

    def reset(self, host: str) -> None:
        """Every connection of that host breaks now."""
        for end in list(self.ends):
            if end.other is not None and host in (end.address[0], end.other.address[0]):
                end.reset()


class VirtualPlug:
    """`sip.aio.streams.Plug` on these wires."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires

    async def listen(self, address: Address, make: Make) -> Ear:
        if address in self._wires.ears:
            raise OSError(98, "Address already in use")
        ear = self._wires.ears[address] = Ear(self._wires, address, make)
        return ear

    async def dial(self, local: str, peer: Address, make: Make) -> None:
        await asyncio.sleep(self._wires.delay)
        self._wires.connect((local, 0), peer, make())


class Talker(asyncio.Protocol):
    """A peer without any stack on one connection: what it heard, and whether it was closed."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.closed = False
        self.end: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.end = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
