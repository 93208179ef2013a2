"""Sends the messages of a folder at the gateway, as a peer or a stranger, and notes the answers."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from sip.events import Address
from tests.clock import run
from tests.gateway.world import INNER, INNER_ID, LOWER, OUTER, UPPER, World, world

Role = Literal["above", "below", "stranger"]
Form = Literal["datagram"]
ROLES: Final[tuple[Role, ...]] = ("above", "below", "stranger")
FORMS: Final[tuple[Form, ...]] = ("datagram",)

OWN: Final = Path(__file__).parents[1] / "sip" / "vectors"
RFCS: Final = Path(__file__).parents[3] / "shared" / "testdata"
"""The messages as the RFCs print them, for whoever has them beside the project."""

AT: Final[dict[Role, tuple[Address, Address]]] = {
    "above": ((UPPER, 5060), (INNER, 5060)),
    "below": ((LOWER, 5060), (OUTER, 5060)),
    "stranger": (("203.0.113.99", 5060), (OUTER, 5060)),
}
"""From where and where to: a registered peer of each kind, and somebody of an allowed network."""

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
        async with world() as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            for name, message in messages.items():
                found[name] = await sent(here, message, role)
            assert here.gateway.orphans == 0
            assert here.gateway.outer.side.as_upper.state()[0].online
            assert here.gateway.inner.side.as_lower.state()[0].registered
            for side in (here.gateway.outer, here.gateway.inner):
                assert side.side.endpoint.stack.counters()["now_open"] == 0
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 20

    run(scenario(), seconds=100_000.0)
    return found


async def sent(here: World, message: bytes, role: Role) -> str:
    source, destination = AT[role]
    with answers(here, message, source[0]) as heard:
        here.network.carry(message, source, destination)
        await asyncio.sleep(APART_SECONDS)
    return ", ".join(dict.fromkeys(heard)) or "ignored"


@contextmanager
def answers(here: World, message: bytes, host: str) -> Iterator[list[str]]:
    """The final statuses that go to `host` in answer to `message`."""
    calls = set(_CALL_ID.findall(message))
    heard: list[str] = []

    def note(_at: float, payload: bytes, _source: Address, destination: Address, _arrives: bool) -> None:
        final = payload.startswith(b"SIP/2.0 ") and payload[8:9] != b"1"
        if destination[0] == host and final and calls & set(_CALL_ID.findall(payload)):
            heard.append(payload[8:11].decode())

    here.network.taps.append(note)
    try:
        yield heard
    finally:
        here.network.taps.remove(note)
