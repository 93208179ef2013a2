"""Sends the messages of a folder at the gateway, as a peer or a stranger, and notes the answers."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from sip.events import Address
from tests.clock import run
from tests.gateway.world import INNER, INNER_ID, LOWER, OUTER, UPPER, World, text, world
from tests.sip.bytestreams import Talker

Role = Literal["above", "below", "stranger"]
Form = Literal["datagram", "whole", "bytes"]
"""A datagram; by TCP in one piece, and byte by byte."""
ROLES: Final[tuple[Role, ...]] = ("above", "below", "stranger")
FORMS: Final[tuple[Form, ...]] = ("datagram", "whole", "bytes")

OWN: Final = Path(__file__).parents[1] / "sip" / "vectors"
RFCS: Final = Path(__file__).parents[3] / "shared" / "testdata"
"""The messages as the RFCs print them, for whoever has them beside the project."""

AT: Final[dict[Role, tuple[Address, Address]]] = {
    "above": ((UPPER, 5060), (INNER, 5060)),
    "below": ((LOWER, 5060), (OUTER, 5060)),
    "stranger": (("203.0.113.99", 5060), (OUTER, 5060)),
}
"""From where and where to: a registered peer of each kind, and somebody of an allowed network."""

LISTENING: Final = {
    f'address = "{own}"': f'address = "{own}"\nlisten = [{{ transport = "tcp" }}]' for own in (OUTER, INNER)
}

APART_SECONDS: Final = 40.0
"""Between two messages: longer than anything of one that is refused lives."""

_CALL_ID: Final = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*(.*?)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)


def outcomes(folder: Path, role: Role, form: Form) -> dict[str, str]:
    """By name of each message there: the final statuses that answer it, or "ignored".

    Raises AssertionError: something of them stayed, or the peers did not survive them.
    """
    found: dict[str, str] = {}
    messages = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.dat"))}

    async def scenario() -> None:
        async with world(written=text(**LISTENING)) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            for name, message in messages.items():
                said = said_by_datagram if form == "datagram" else said_by_stream
                found[name] = await said(here, message, role, piece=1 if form == "bytes" else None)
            assert here.gateway.orphans == 0
            assert here.gateway.outer.side.as_upper.state()[0].online
            assert here.gateway.inner.side.as_lower.state()[0].registered
            for side in (here.gateway.outer, here.gateway.inner):
                assert side.side.endpoint.stack.counters()["now_open"] == 0
            await asyncio.sleep(70.0)  # a keepalive: where the lower is reached is known by the last it sent
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 20

    run(scenario(), seconds=100_000.0)
    return found


async def said_by_datagram(here: World, message: bytes, role: Role, *, piece: int | None) -> str:
    source, destination = AT[role]
    calls = set(_CALL_ID.findall(message))
    heard: list[str] = []

    def note(_at: float, payload: bytes, _source: Address, destination: Address, _arrives: bool) -> None:
        if destination[0] == source[0] and calls & set(_CALL_ID.findall(payload)):
            heard.extend(finals(payload))

    here.network.taps.append(note)
    here.network.carry(message, source, destination)
    await asyncio.sleep(APART_SECONDS)
    here.network.taps.remove(note)
    return ", ".join(dict.fromkeys(heard)) or "ignored"


async def said_by_stream(here: World, message: bytes, role: Role, *, piece: int | None) -> str:
    """As `outcomes` says, with "closed" at the end where the connection was; the peer closes it else."""
    source, destination = AT[role]
    talker = Talker()
    here.network.wires.piece = piece
    here.network.wires.connect(source, destination, talker)
    here.network.wires.piece = None
    await asyncio.sleep(0.1)
    talker.end.write(message)
    await asyncio.sleep(4.0)
    at_once = talker.closed
    await asyncio.sleep(APART_SECONDS)
    words = sorted(set(finals(bytes(talker.heard))))
    words += ["closed"] if at_once else ["timed out"] if talker.closed else []
    talker.end.close()
    return ", ".join(words) or "ignored"


def finals(heard: bytes) -> Iterator[str]:
    """The final statuses in one or several responses."""
    for line in heard.split(b"\r\n"):
        if line.startswith(b"SIP/2.0 ") and line[8:9] != b"1":
            yield line[8:11].decode()
