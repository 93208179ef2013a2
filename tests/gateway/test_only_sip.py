"""Nothing that is no SIP leaves a SIP address, whatever comes in: tests of uplinks fail platforms for it."""

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from sip.events import Address
from tests.clock import run
from tests.gateway.test_transports import LISTENING, TCP_ABOVE, TCP_BELOW, Site, everything
from tests.gateway.world import INNER, LOWER, OUTER, UPPER, Link, World, text, world
from tests.sip.network import VirtualStack

if TYPE_CHECKING:
    from collections.abc import Callable

PINGS: Final = (b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n\r\n")
START: Final = re.compile(rb"(SIP/2\.0 [1-6]\d\d [^\r\n]+|[A-Z]+ sip:[^\r\n ]+ SIP/2\.0)\r\n")
SIGNALLING: Final = {5060, 5061}


def messages(said: bytes) -> int:
    """How many SIP messages that is, one right behind the other and nothing else."""
    count = 0
    while said:
        assert START.match(said), said[:100]
        head, _, rest = said.partition(b"\r\n\r\n")
        length = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
        assert length is not None, head
        said = rest[int(length[1]) :]
        count += 1
    return count


def heard(stack: VirtualStack, monkeypatch: pytest.MonkeyPatch) -> dict[int, bytearray]:
    """What comes to a peer by each of its connections from now on, in plain text."""
    all_heard: dict[int, bytearray] = {}
    feed: Callable[[int, bytes], None] = stack.feed_stream

    def noted(connection: int, data: bytes) -> None:
        all_heard.setdefault(connection, bytearray()).extend(data)
        feed(connection, data)

    monkeypatch.setattr(stack, "feed_stream", noted)
    return all_heard


async def pinged(here: World, stacks: list[VirtualStack]) -> None:
    """Pings of registered peers and of strangers, between messages, for some keepalives."""
    for number in range(20):
        for ping in (*PINGS, b"\0\0\0\0"):
            here.network.carry(ping, (LOWER, 5060), (OUTER, 5060))
            here.network.carry(ping, (UPPER, 5060), (INNER, 5060))
            here.network.carry(ping, ("203.0.113.77", 5060), (OUTER, 5060))
        for stack in stacks:
            connections: Any = stack.streams
            for connection in list(connections._connections.values()) if connections else ():
                connection.write(PINGS[number % len(PINGS)])
        await asyncio.sleep(10.0)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_whoever_pings_and_however_we_say_nothing_but_sip(
    link: Link, transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        site = Site(tmp_path) if transport == "tls" else None
        by: dict[str, Any] = {}
        if site is not None:
            by = {"written": site.written, "below": site.below, "above": site.above}
        elif transport == "tcp":
            by = {"written": text(**LISTENING), "below": TCP_BELOW, "above": TCP_ABOVE}
        async with world(link, **by) as here:
            datagrams: list[bytes] = []

            def tap(_at: float, payload: bytes, source: Address, to: Address, _arrives: bool) -> None:
                if source[0] in {OUTER, INNER} and source[1] in SIGNALLING and to[0] in {LOWER, UPPER}:
                    datagrams.append(payload)

            here.network.taps.append(tap)
            stacks = [calls.endpoint.stack for calls in (here.lower_calls, here.upper_calls)]
            virtual = [stack for stack in stacks if isinstance(stack, VirtualStack)]
            streams = [heard(stack, monkeypatch) for stack in virtual]
            await everything(here)
            await pinged(here, virtual)
            assert here.gateway.outer.side.as_upper.state()[0].online
            assert here.gateway.inner.side.as_lower.state()[0].registered
            outer = here.gateway.outer.side.endpoint.stack.counters()
            assert outer["pings"] >= 20
            assert outer["malformed"] == 0
            said = [bytes(data) for each in streams for data in each.values()]
            counted = sum(map(messages, [*datagrams, *said]))
            assert counted > 30
            assert bool(datagrams) == (transport == "udp")
            assert bool(said) == (transport != "udp")

    run(scenario())
