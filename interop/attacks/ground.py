"""Where attacks are made from: our addresses, and the peer whose registration is attacked."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from interop.attacks import wire
from interop.attacks.wire import Answer, Challenge, Proof
from interop.sim.net import Address, Net

REPEATS: Final = (0.5, 1.0)
"""Seconds after which a request that nobody answered is sent again."""


class Unusable(Exception):
    """The registrar can't be attacked: it does not take the peer itself. `status` is 0 for silence."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(frozen=True, slots=True)
class Target:
    """The registrar, and the account at it that is ours to attack."""

    address: Address
    id: str
    domain: str
    user: str
    password: str
    other_user: str = ""
    other_password: str = ""
    other_door: Address | None = None
    patience: float = 2.0
    stale_seconds: float = 0.0

    @property
    def uri(self) -> str:
        return f"sip:{self.id}@{self.domain}"

    def aor(self, user: str) -> str:
        return f"<sip:{user}@{self.domain}>"


class Line:
    """One address of ours. What the registrar asks of it by itself is answered and noted in `visits`."""

    def __init__(self, net: Net, host: str, target: Target, *, port: int = 0) -> None:
        self.target = target
        self.visits: list[str] = []
        self.came = 0
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._port = net.datagrams((host, port), self._receive)
        self.address = self._port.address

    def close(self) -> None:
        self._port.close()

    def throw(self, datagram: bytes, to: Address | None = None) -> None:
        self._port.send(datagram, to or self.target.address)

    async def ask(self, datagram: bytes, to: Address | None = None) -> Answer | None:
        """Send a request until its final answer comes. None: none came in time."""
        mark = wire.branch_of(wire.read(datagram)[1])
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[mark] = waiting
        pauses = [pause for pause in REPEATS if pause < self.target.patience]
        try:
            for pause in (*pauses, max(self.target.patience - sum(pauses), 0.1)):
                self.throw(datagram, to)
                done, _ = await asyncio.wait({waiting}, timeout=pause)
                if done:
                    return waiting.result()
            return None
        finally:
            del self._waiting[mark]

    def _receive(self, datagram: bytes, source: Address) -> None:
        self.came += len(datagram)
        start, headers = wire.read(datagram)
        status = wire.status(start)
        waiting = self._waiting.get(wire.branch_of(headers))
        if status >= 200 and waiting is not None and not waiting.done():
            waiting.set_result(Answer(status, headers, len(datagram)))
        elif start and not start.startswith("SIP/2.0"):
            self.visits.append(start)
            answered = start.startswith(("MESSAGE ", "OPTIONS ", "NOTIFY "))
            answer = wire.answer_to(start, headers, *((200, "OK") if answered else (486, "Busy Here")))
            if answer:
                self._port.send(answer, source)


@dataclass(slots=True)
class Registering:
    """One REGISTER before it is written: what is None or "" is left out or as it should be."""

    user: str
    call_id: str
    number: int
    expires: int = 3600
    contact: str = ""
    authorization: str = ""
    more: tuple[tuple[str, str], ...] = ()

    def written(self, line: Line, *, branch: str = "") -> bytes:
        target, (host, port) = line.target, line.address
        contact = self.contact or f"<sip:{self.user}@{host}:{port}>"
        headers = [
            ("From", f"{target.aor(self.user)};tag={self.call_id[:8]}"),
            ("To", target.aor(self.user)),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.number} REGISTER"),
            ("Contact", contact),
            ("Expires", str(self.expires)),
            *self.more,
        ]
        if self.authorization:
            headers.append(("Authorization", self.authorization))
        return wire.request("REGISTER", target.uri, line.address, branch or wire.branch(), headers)


@dataclass(slots=True)
class Peer:
    """The real one. `heard` is its last REGISTER with a digest, as somebody on the wire would have it."""

    line: Line
    call_id: str = field(default_factory=lambda: secrets.token_hex(12))
    number: int = 0
    heard: Registering | None = None
    challenge: Challenge | None = None
    alive: int = 0
    """What its keepalive is answered while all is well; 0 where it is not answered."""

    def next(self, **more: str | int) -> Registering:
        self.number += 1
        return replace(Registering(self.line.target.user, self.call_id, self.number), **more)  # type: ignore[arg-type]

    def anew(self) -> None:
        """Speak under a Call-ID that the registrar has not seen: some ask nothing of one that they know."""
        self.call_id = secrets.token_hex(12)

    def as_known(self, **more: str | int) -> Registering:
        """A REGISTER under the Call-ID of its last registration."""
        assert self.heard is not None
        return self.next(call_id=self.heard.call_id, **more)

    async def challenged(self) -> Challenge:
        """What it is asked for. Raises `Unusable`."""
        self.anew()
        answer = await self.line.ask(self.next().written(self.line))
        offered = [asked for asked in wire.challenges(answer) if asked.known] if answer else []
        if not offered:
            raise Unusable(answer.status if answer else 0)
        self.challenge = offered[0]
        return offered[0]

    def proof(self, count: int = 1) -> Proof:
        target = self.line.target
        return Proof(target.user, target.password, target.uri, count=count)

    async def register(self, *, expires: int = 3600) -> None:
        """As a device does. Raises `Unusable` when it is not taken."""
        asked = await self.challenged()
        self.heard = self.next(expires=expires, authorization=self.proof().header(asked))
        answer = await self.line.ask(self.heard.written(self.line))
        if answer is None or not 200 <= answer.status < 300:
            raise Unusable(answer.status if answer else 0)

    def keepalive(self, line: Line | None = None) -> bytes:
        """Of the peer, from `line`."""
        line = line or self.line
        target = line.target
        self.number += 1
        body = (
            '<?xml version="1.0" encoding="GB2312"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n'
            f"<SN>{self.number}</SN>\r\n<DeviceID>{target.user}</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n"
        )
        headers = [
            ("From", f"{target.aor(target.user)};tag={secrets.token_hex(4)}"),
            ("To", target.aor(target.id)),
            ("Call-ID", secrets.token_hex(12)),
            ("CSeq", f"{self.number} MESSAGE"),
            ("Content-Type", "Application/MANSCDP+xml"),
        ]
        return wire.request("MESSAGE", target.uri, line.address, wire.branch(), headers, body.encode())

    async def beat(self) -> int:
        """The status that its keepalive gets; 0 for silence."""
        answer = await self.line.ask(self.keepalive())
        return answer.status if answer else 0


class Ground:
    """Everything an attack has: the registered peer, and lines of an attacker."""

    def __init__(self, net: Net, target: Target, host: str, other_host: str) -> None:
        self.net = net
        self.target = target
        self.host = host
        self.other_host = other_host
        self.peer = Peer(Line(net, host, target))

    @asynccontextmanager
    async def line(self, *, elsewhere: bool = False) -> AsyncIterator[Line]:
        """Another port of the peer's address, or of another one."""
        one = Line(self.net, self.other_host if elsewhere else self.host, self.target)
        try:
            yield one
        finally:
            one.close()

    async def challenge(self, line: Line, to: Address | None = None) -> Challenge | Answer | None:
        """What the peer's user is asked for at that line; else the answer that asks for nothing."""
        self.peer.anew()
        answer = await line.ask(self.peer.next().written(line), to)
        offered = [asked for asked in wire.challenges(answer) if asked.known] if answer else []
        return offered[0] if offered else answer

    async def unharmed(self, *strangers: Line) -> bool:
        """Whether the peer is still heard, and nobody else was called in its place."""
        return not any(line.visits for line in strangers) and await self.peer.beat() == self.peer.alive


@asynccontextmanager
async def prepared(net: Net, target: Target, host: str, other_host: str) -> AsyncIterator[Ground]:
    """With the peer registered; it leaves in the end. Raises `Unusable` when it can't register."""
    ground = Ground(net, target, host, other_host)
    try:
        await ground.peer.register()
        ground.peer.alive = await ground.peer.beat()
        yield ground
        await ground.peer.register(expires=0)
    finally:
        ground.peer.line.close()
