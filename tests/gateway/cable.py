"""The wire between two hosts in virtual time: connections that can be cut, held up, spoilt and looked at.

What moves over it is real TLS; only the sockets are not there.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from certs import shelf
from certs.ca import at
from certs.identities import Identity, SideName
from certs.trust import Trust, read_trust
from gateway.chamber.link.hosts import HostsEnd
from gateway.chamber.link.plug import Listening, Make

HOST: Final[dict[SideName, str]] = {"outer": "10.9.0.1", "inner": "10.9.0.2"}
OTHER: Final[dict[SideName, SideName]] = {"outer": "inner", "inner": "outer"}
OUTER: Final = Identity("outer", "44010000002000000001")
INNER: Final = Identity("inner", "44010000002000000002")
WHO: Final[dict[SideName, Identity]] = {"outer": OUTER, "inner": INNER}
DELAY_SECONDS: Final = 0.005


class Socket(asyncio.Transport):
    """One end of a connection."""

    def __init__(
        self, cable: "Cable", host: str, protocol: asyncio.BaseProtocol, context: contextvars.Context
    ) -> None:
        super().__init__()
        self.context = context  # of whoever dialled or listens: what arrives is done in it
        self.host = host
        self.protocol: Any = protocol
        self.other: Socket | None = None
        self.written = bytearray()
        self.coming: deque[bytes | None] = deque()  # None: the other end has closed
        self._cable = cable
        self._closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        assert self.other is not None
        return (self.other.host, 40_000) if name == "peername" else default

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        self._cable.carry(self, bytes(data))

    def close(self) -> None:
        """Closes once what was written has left; the other end hears of it, if the wire is whole."""
        if not self._closing:
            self._closing = True
            self._cable.carry(self, None)
            self._cable.loop.call_soon(self.protocol.connection_lost, None, context=self.context)

    def abort(self) -> None:
        self.close()

    def arrive(self, data: bytes | None) -> None:
        if self._closing:
            return
        if data is None:
            self._closing = True
            self.protocol.connection_lost(None)
        else:
            self.protocol.data_received(data)


@dataclass(eq=False)
class Ear:
    cable: "Cable"
    host: str
    make: Make
    context: contextvars.Context

    def close(self) -> None:
        if self.cable.ears.get(self.host) is self:
            del self.cable.ears[self.host]


@dataclass
class Cable:
    """`spoil` changes what a host sends (None: swallow it); `cut` loses everything, both ways, silently."""

    loop: asyncio.AbstractEventLoop
    ears: dict[str, Ear] = field(default_factory=dict)
    sockets: list[Socket] = field(default_factory=list)
    spoil: Callable[[str, bytes], bytes | None] = lambda host, data: data
    cut: bool = False
    dialled: list[tuple[float, str]] = field(default_factory=list)

    def carry(self, sender: Socket, data: bytes | None) -> None:
        spoilt = self.spoil(sender.host, data) if data is not None else None
        if self.cut or (data is not None and spoilt is None):
            return
        assert sender.other is not None
        sender.other.coming.append(spoilt)
        self.loop.call_later(DELAY_SECONDS, self._land, sender.other)

    def _land(self, receiver: Socket) -> None:
        """The oldest that is on its way; timers of one time come in any order."""
        data = receiver.coming.popleft()
        if not self.cut:
            receiver.context.copy().run(receiver.arrive, data)

    def reset(self) -> None:
        """Every connection that is there breaks now, at both ends."""
        for socket in self.sockets:
            socket.context.copy().run(socket.arrive, None)

    def unplug(self, host: str) -> None:
        """That host is dead: nothing of it is heard, and its connections close."""
        self.ears.pop(host, None)
        for socket in self.sockets:
            if socket.host == host and not socket.is_closing():
                socket.close()

    def open(self) -> list[Socket]:
        return [socket for socket in self.sockets if not socket.is_closing()]

    def plug(self, side: SideName) -> "CablePlug":
        return CablePlug(self, HOST[side], HOST[OTHER[side]])

    def connect(self, host: str, protocol: asyncio.BaseProtocol, to: str) -> Socket:
        """A connection from any host. Raises ConnectionRefusedError."""
        ear = self.ears.get(to)
        if ear is None:
            raise ConnectionRefusedError(111, "refused")
        one = Socket(self, host, protocol, contextvars.copy_context())
        two = Socket(self, to, ear.context.copy().run(ear.make), ear.context.copy())
        one.other, two.other = two, one
        self.sockets += [one, two]
        for socket in (two, one):
            self.loop.call_soon(socket.protocol.connection_made, socket, context=socket.context)
        return one


@dataclass
class CablePlug:
    cable: Cable
    own: str
    other: str

    async def listen(self, make: Make) -> Listening:
        ear = Ear(self.cable, self.own, make, contextvars.copy_context())
        self.cable.ears[self.own] = ear
        return ear

    async def dial(self, make: Make) -> None:
        self.cable.dialled.append((self.cable.loop.time(), self.own))
        await asyncio.sleep(2 * DELAY_SECONDS)
        if self.cable.cut:
            await asyncio.sleep(20.0)
            raise OSError(110, "no answer")
        self.cable.connect(self.own, make(), self.other)


class Certificates:
    """The files of both hosts, made for the time of the wall clock that is given."""

    def __init__(
        self, folder: Path, wall: float, *, days: int = 397, sides: Sequence[Identity] = (OUTER, INNER)
    ) -> None:
        self.folder = folder
        self.now = at(wall)
        shelf.found(folder, self.now - timedelta(days=1), days=3653)
        self.authority = shelf.opened(folder)
        for side in sides:
            self.issue(side, days=days)

    def issue(self, who: Identity, *, days: int = 397, since_days: float = 0.5) -> int:
        """A certificate that counts from so many days ago. Its serial number."""
        since = self.now - timedelta(days=since_days)
        issued = shelf.certify(self.folder, self.authority, who, since, days=days)
        return issued.certificate.serial_number

    def revoke(self, serial: int) -> None:
        shelf.revoke(self.folder, self.authority, serial, self.now)

    def trust(self, side: SideName) -> Trust:
        return read_trust(self.folder, side)


def hosts_end(
    side: SideName,
    cable: Cable,
    trust: Callable[[], Trust],
    wall: Callable[[], float],
    *,
    dialler: SideName | None = "inner",
    alive_seconds: float = 5.0,
    seed: int = 1,
) -> HostsEnd:
    return HostsEnd(
        side,
        plug=cable.plug(side),
        dialler=dialler,
        other_host=HOST[OTHER[side]],
        other=WHO[OTHER[side]],
        trust=trust,
        alive_seconds=alive_seconds,
        loop=cable.loop,
        wall=wall,
        random=Random(f"{seed} {side}"),
    )
