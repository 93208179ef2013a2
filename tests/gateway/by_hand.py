"""Platforms that write SIP by hand: whatever a test wants on the wire, byte for byte, in virtual time.

Unlike the simulators they keep no dialogs and check nothing. What is harmless is answered by
itself; everything that comes is kept, so that a test can wait for it in any order.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cascade.manscdp import keepalive
from cascade.model.ids import PeerName
from gateway.app import SideName
from sip._native import authorize
from tests.gateway.bodies import CAMERAS, HAND_LOWER, HAND_UPPER, item, offer, page
from tests.gateway.world import (
    INNER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    PASSWORD,
    UPPER,
    UPPER_ID,
    Link,
    World,
    header,
    text,
    world,
)
from tests.sip.network import Network

Address = tuple[str, int]

MANSCDP: Final = "Application/MANSCDP+xml"
SDP: Final = "APPLICATION/SDP"

_serial = itertools.count(1)


@dataclass(frozen=True)
class Heard:
    """One datagram that came in."""

    at: float
    raw: bytes
    source: Address

    @property
    def head(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[0].decode("gb18030", "replace") + "\r\n\r\n"

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def start(self) -> str:
        return self.head.partition("\r\n")[0]

    @property
    def uri(self) -> str:
        return self.start.split()[1]

    def header(self, name: str) -> str:
        return header(self.head, name)

    def line(self, letter: str) -> str:
        """The first SDP line of that letter, "" if there is none."""
        found = (text for text in self.body.decode().splitlines() if text.startswith(f"{letter}="))
        return next(found, "")[2:]

    def media_port(self) -> int:
        return int(self.line("m").split()[1])


class Hand:
    """An address where everything is written by hand. `answered` methods get a 200 by themselves."""

    def __init__(self, network: Network, address: Address, peer: Address, answered: Sequence[str]) -> None:
        self.address = address
        self.heard: list[Heard] = []
        self.answered = set(answered)
        self._loop = network.loop
        self._peer = peer
        self._news = asyncio.Event()
        self._taken: set[int] = set()
        self._port = network.datagrams(address, self._hear)

    def send(self, message: str | bytes) -> None:
        self._port.send(message.encode("gb18030") if isinstance(message, str) else message, self._peer)

    def request(
        self,
        method: str,
        user: str,
        *,
        me: str,
        to: str = "",
        call_id: str = "",
        cseq: int = 1,
        branch: str = "",
        from_tag: str = "hand",
        to_tag: str = "",
        headers: Sequence[str] = (),
        body: bytes = b"",
        content_type: str = "",
        length: int | None = None,
    ) -> bytes:
        """A request to `user`. `length` is what Content-Length shall claim, whatever the body is."""
        number = next(_serial)
        host, port = self.address
        there = f"{self._peer[0]}:{self._peer[1]}"
        lines = [
            f"{method} sip:{user}@{there} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch={branch or f'z9hG4bKhand{number}'}",
            f"From: <sip:{me}@{host}:{port}>;tag={from_tag}",
            f"To: <sip:{to or user}@{there}>" + (f";tag={to_tag}" if to_tag else ""),
            f"Call-ID: {call_id or f'hand{number}@{host}'}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            *headers,
        ]
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        lines.append(f"Content-Length: {len(body) if length is None else length}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def reply(
        self,
        request: Heard,
        status: str,
        *,
        tag: str = "byhand",
        contact: str | None = "",
        headers: Sequence[str] = (),
        body: bytes = b"",
    ) -> None:
        """Answer. `contact` "" is our own address, None leaves it out."""
        lines = [f"SIP/2.0 {status}"]
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            value = request.header(name)
            lines.append(
                f"{name}: {value};tag={tag}" if name == "To" and "tag=" not in value else f"{name}: {value}"
            )
        if contact is not None:
            lines.append(f"Contact: {contact or f'<sip:hand@{self.address[0]}:{self.address[1]}>'}")
        lines += headers
        if body:
            lines.append(f"Content-Type: {SDP}")
        self.send("\r\n".join([*lines, f"Content-Length: {len(body)}"]).encode() + b"\r\n\r\n" + body)

    async def wait(
        self, start: str, fits: Callable[[Heard], bool] = lambda heard: True, *, seconds: float = 40.0
    ) -> Heard:
        """The next datagram not waited for yet whose first line begins so."""
        async with asyncio.timeout(seconds):
            while True:
                for number, heard in enumerate(self.heard):
                    if number not in self._taken and heard.start.startswith(start) and fits(heard):
                        self._taken.add(number)
                        return heard
                self._news.clear()
                await self._news.wait()

    async def ask(self, message: bytes, *, seconds: float = 40.0) -> Heard:
        """Send a request and return its final answer."""
        mine = header(message.partition(b"\r\n\r\n")[0].decode("gb18030", "replace") + "\r\n\r\n", "Call-ID")
        self.send(message)
        return await self.wait(
            "SIP/2.0",
            lambda heard: heard.header("Call-ID") == mine and not heard.start.startswith("SIP/2.0 1"),
            seconds=seconds,
        )

    def count(self, start: str) -> int:
        """How many datagrams began so, waited for or not."""
        return sum(heard.start.startswith(start) for heard in self.heard)

    def close(self) -> None:
        self._port.close()

    def _hear(self, payload: bytes, source: Address) -> None:
        heard = Heard(self._loop.time(), payload, source)
        self.heard.append(heard)
        if heard.start.partition(" ")[0] in self.answered:
            self.reply(heard, "200 OK")
        self._news.set()


class HandLower(Hand):
    """A lower platform: registers, answers keepalives' worth; catalogs and INVITEs are the test's."""

    def __init__(self, network: Network, address: Address = HAND_LOWER, me: str = LOWER_ID) -> None:
        super().__init__(network, address, (OUTER, 5060), ("MESSAGE", "BYE", "CANCEL"))
        self.me = me
        self._timer: asyncio.TimerHandle | None = None

    async def register(self, expires: int = 3600, password: str = PASSWORD) -> Heard:
        """The answer to the second REGISTER, with credentials; keepalives follow by themselves."""
        host, port = self.address
        usual = [f"Contact: <sip:{self.me}@{host}:{port}>", f"Expires: {expires}"]
        challenge = await self.ask(self.request("REGISTER", OUTER_ID, to=self.me, me=self.me, headers=usual))
        uri = f"sip:{OUTER_ID}@{OUTER}:5060"
        proof = authorize(
            [challenge.header("WWW-Authenticate")], self.me, password, "REGISTER", uri, f"c{next(_serial)}"
        )
        again = self.request(
            "REGISTER", OUTER_ID, to=self.me, me=self.me, cseq=2, headers=[*usual, f"Authorization: {proof}"]
        )
        answer = await self.ask(again)
        if answer.start.startswith("SIP/2.0 200") and expires and self._timer is None:
            self._timer = self._loop.call_later(50.0, self._alive)
        return answer

    def message(self, body: bytes, *, length: int | None = None, headers: Sequence[str] = ()) -> bytes:
        return self.request(
            "MESSAGE", OUTER_ID, me=self.me, body=body, content_type=MANSCDP, length=length, headers=headers
        )

    async def say(self, body: bytes) -> Heard:
        """A MESSAGE; its answer."""
        return await self.ask(self.message(body))

    async def asked(self, *, seconds: float = 40.0) -> str:
        """The SN of the next catalog query."""
        query = await self.wait("MESSAGE", lambda heard: b"<CmdType>Catalog<" in heard.body, seconds=seconds)
        return query.body.partition(b"<SN>")[2].partition(b"<")[0].decode()

    async def page(self, sn: str, sum_num: int | str, *items: str, num: int | str | None = None) -> Heard:
        return await self.say(page(sn, sum_num, *items, num=num))

    async def show(self, *items: str) -> None:
        """Register and show a catalog of these, in one page."""
        assert (await self.register()).start == "SIP/2.0 200 OK"
        await self.page(await self.asked(), len(items), *items)

    async def invited(self, *, seconds: float = 40.0) -> Heard:
        return await self.wait("INVITE", seconds=seconds)

    def stop_keepalives(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        self.stop_keepalives()
        super().close()

    def _alive(self) -> None:
        self.send(self.message(keepalive.write(sn=next(_serial), device_id=PeerName(self.me))))
        self._timer = self._loop.call_later(50.0, self._alive)


class HandUpper(Hand):
    """An upper platform: lets us register without a password; its INVITEs are the test's."""

    def __init__(self, network: Network) -> None:
        super().__init__(network, HAND_UPPER, (INNER, 5060), ("REGISTER", "MESSAGE", "BYE"))

    def invite(
        self,
        channel: str,
        body: bytes | None = None,
        *,
        subject: str | None = None,
        to: str = "",
        call_id: str = "",
        branch: str = "",
        from_tag: str = "hand",
        cseq: int = 1,
    ) -> bytes:
        host, port = self.address
        return self.request(
            "INVITE",
            channel,
            me=UPPER_ID,
            to=to,
            call_id=call_id,
            branch=branch,
            from_tag=from_tag,
            cseq=cseq,
            headers=[
                f"Contact: <sip:{UPPER_ID}@{host}:{port}>",
                f"Subject: {f'{channel}:0100000001,{UPPER_ID}:0' if subject is None else subject}",
            ],
            body=offer() if body is None else body,
            content_type=SDP,
        )

    def within(
        self, invite: bytes, answer: Heard, method: str, *, cseq: int, headers: Sequence[str] = ()
    ) -> bytes:
        """A request in the dialog that the answer made (ACK with the INVITE's CSeq, BYE with a higher)."""
        return self.request(
            method,
            answer.header("To").partition("sip:")[2].partition("@")[0],
            me=UPPER_ID,
            call_id=answer.header("Call-ID"),
            from_tag=answer.header("From").partition("tag=")[2],
            to_tag=answer.header("To").partition("tag=")[2],
            cseq=cseq,
            headers=headers,
        )


@asynccontextmanager
async def below(
    link: Link, *, written: str | None = None, show: Sequence[str] | None = None
) -> AsyncIterator[tuple[World, HandLower]]:
    """A world whose lower platform is written by hand. It shows `show`, three cameras by default.

    Leaving looks whether anything was left behind.
    """
    async with world(link, lower_runs=False, written=written) as here:
        lower = HandLower(here.network)
        try:
            items = [item(name) for name in CAMERAS] if show is None else list(show)
            if items:
                await lower.show(*items)
                await here.shown(len(items))
            yield here, lower
            await settled(here)
        finally:
            lower.close()


@asynccontextmanager
async def above(link: Link, *, written: str | None = None) -> AsyncIterator[tuple[World, HandUpper]]:
    """A world whose upper platform is written by hand; the lower one is the simulator."""
    async with world(link, written=text(**{UPPER: HAND_UPPER[0]}) if written is None else written) as here:
        upper = HandUpper(here.network)
        try:
            await here.shown()
            await upper.wait("REGISTER", seconds=120.0)
            yield here, upper
            await settled(here)
        finally:
            upper.close()


async def settled(here: World, *, seconds: float = 150.0) -> None:
    """Nothing is left behind, and both audits are whole. `seconds` outlast two unanswered requests."""
    await asyncio.sleep(seconds)
    assert here.gateway.orphans == 0
    assert here.plane.sockets() == 0
    assert here.trails_whole()


@contextmanager
def disk_full(here: World, side: SideName) -> Iterator[None]:
    """The audit's disk has no space as long as this lasts: what is open, and what is opened, is /dev/full."""
    path = here.folder / f"{side}.jsonl"
    aside = path.with_suffix(".kept")
    (opened,) = [int(link.name) for link in Path("/proc/self/fd").iterdir() if _target(link) == path]
    full = os.open("/dev/full", os.O_RDWR | os.O_APPEND)
    path.rename(aside)
    path.symlink_to("/dev/full")
    os.dup2(full, opened)
    os.close(full)
    try:
        yield
    finally:
        path.unlink()
        aside.rename(path)


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:  # the descriptor of the listing itself
        return None
