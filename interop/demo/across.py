"""Is there a way from one network to the other besides the gateway? Tried from both ends."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Final, Literal

from interop.demo.halves import OTHER, SIDES
from interop.demo.hosts import CAST, LINK, Networks
from interop.demo.report import Attempt
from interop.netns import Namespace

PATIENCE_SECONDS: Final = 1.0
"""How long an attempt may take; on this machine what arrives does so in less than a millisecond."""
PROTOCOLS: Final[tuple[Literal["udp", "tcp"], ...]] = ("udp", "tcp")
WORD: Final = b"anybody there?"


async def reach(networks: Networks) -> list[Attempt]:
    """Knock, by UDP and by TCP, at every address that lies beyond the gateway, seen from either network;
    and at the nearest host of the gateway, which must hear it: else nothing would be proven."""
    return list(await asyncio.gather(*(_knock(*attempt) for attempt in _attempts(networks))))


def _attempts(networks: Networks) -> Iterator[tuple[Attempt, Namespace, Namespace]]:
    below, outer, inner, above = networks.all
    hosts = {"outer": outer, "inner": inner}
    own = {"outer": CAST.outer[0], "inner": CAST.inner[0]}
    platforms = {"outer": (below, CAST.lower[0]), "inner": (above, CAST.upper[0])}
    for side in SIDES:
        other = OTHER[side]
        source, _ = platforms[side]
        far, address = platforms[other]
        beyond = {LINK[other]: hosts[other], own[other]: hosts[other], address: far}
        for protocol in PROTOCOLS:
            near = Attempt(source=side, target=own[side], protocol=protocol, beyond=False)
            yield near, source, hosts[side]
            for target, there in beyond.items():
                yield Attempt(source=side, target=target, protocol=protocol, beyond=True), source, there


async def _knock(attempt: Attempt, source: Namespace, there: Namespace) -> Attempt:
    kind = socket.SOCK_DGRAM if attempt.protocol == "udp" else socket.SOCK_STREAM
    loop = asyncio.get_running_loop()
    with ExitStack() as held:
        ear, mouth = (held.enter_context(_socket(network, kind)) for network in (there, source))
        ear.bind((attempt.target, 0))
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                if kind == socket.SOCK_STREAM:
                    ear.listen()
                    await loop.sock_connect(mouth, ear.getsockname())
                    attempt.arrived = True
                else:
                    mouth.sendto(WORD, ear.getsockname())
                    attempt.arrived = await loop.sock_recv(ear, len(WORD)) == WORD
    return attempt


def _socket(network: Namespace, kind: socket.SocketKind) -> socket.socket:
    with network.entered():
        made = socket.socket(socket.AF_INET, kind)
    made.setblocking(False)
    return made
