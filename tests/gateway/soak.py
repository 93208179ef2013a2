"""Good and bad messages mixed by a seed, at the whole gateway in virtual time, as many as one likes.

Half is what peers say, half is not: forged, torn, mutated torture messages, noise. What a peer says well has
to be answered well to the last; what is held has to be the same in the end as in the beginning.
"""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from interop.attacks import wire
from interop.attacks.ground import Ground, Line, Registering, Target, prepared
from tests.gateway.world import LOWER_ID, OUTER, OUTER_ID, PASSWORD, World, world

HOST, STRANGERS = "203.0.113.77", tuple(f"203.0.113.{number}" for number in range(101, 151))
TARGET: Final = Target((OUTER, 5060), OUTER_ID, OUTER_ID[:10], LOWER_ID, PASSWORD)
BATCH: Final = 100
PAUSE_SECONDS: Final = 0.1
"""Between batches: 1,000 messages a second, of which no limit for strangers takes notice."""
VECTORS: Final = Path(__file__).parents[1] / "sip" / "vectors"


@dataclass(slots=True)
class Soaked:
    """`asked` and `answered`: of what the peer says well. `held`: what was held at rest, before and after."""

    sent: int = 0
    asked: int = 0
    answered: int = 0
    held: list[dict[str, int]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


class Mix:
    """Where the next message comes from, and what it is."""

    def __init__(self, ground: Ground, lines: list[Line], soaked: Soaked, seed: int) -> None:
        self._dice = random.Random(seed)
        self._ground = ground
        self._lines = lines
        self._soaked = soaked
        files = sorted([*VECTORS.glob("rfc*/*.dat"), *VECTORS.glob("cameras/*.dat")])
        self._torture = [file.read_bytes() for file in files]
        self._kinds: list[tuple[str, Callable[[Line], bytes]]] = [
            ("forged", self._forged),
            ("torture", lambda _line: self._dice.choice(self._torture)),
            ("mutated", self._mutated),
            ("noise", lambda _line: self._dice.randbytes(self._dice.randrange(1, 400))),
            ("question", self._question),
            ("torn", lambda line: ground.peer.keepalive(line)[: self._dice.randrange(20, 400)]),
        ]

    async def batch(self) -> None:
        """Half of it from the peer, whose last one is waited for."""
        peer, soaked = self._ground.peer, self._soaked
        for _ in range(BATCH // 2 - 1):
            kind, write = self._dice.choice(self._kinds)
            line = self._dice.choice(self._lines)
            line.throw(write(line))
            soaked.kinds[kind] += 1
            peer.line.throw(peer.keepalive())
            soaked.kinds["keepalive"] += 1
        peer.line.throw(self._mutated(peer.line))
        soaked.kinds["mutated"] += 1
        if self._dice.randrange(10) == 0:
            await peer.register()
            soaked.kinds["register"] += 1
        soaked.asked += 1
        soaked.answered += await peer.beat() == 200
        soaked.kinds["keepalive"] += 1
        soaked.sent = soaked.kinds.total()

    def _forged(self, line: Line) -> bytes:
        user = f"{self._dice.randrange(10**20):020d}"
        return Registering(user, secrets.token_hex(8), 1).written(line)

    def _mutated(self, _line: Line) -> bytes:
        data = bytearray(self._dice.choice(self._torture)[:2000])
        for _ in range(self._dice.randrange(1, 9)):
            data[self._dice.randrange(len(data))] = self._dice.randrange(256)
        return bytes(data)

    def _question(self, line: Line) -> bytes:
        method = self._dice.choice(
            ("INVITE", "OPTIONS", "BYE", "CANCEL", "SUBSCRIBE", "NOTIFY", "INFO", "ACK")
        )
        headers = [
            ("From", f"<sip:{LOWER_ID}@4401000000>;tag={self._dice.randrange(9)}"),
            ("To", f"<sip:{OUTER_ID}@4401000000>;tag={self._dice.randrange(9)}"),
            ("Call-ID", str(self._dice.randrange(1000))),
            ("CSeq", f"{self._dice.randrange(100)} {method}"),
        ]
        return wire.request(method, TARGET.uri, line.address, wire.branch(), headers, b"x" * 40)


def held(here: World) -> dict[str, int]:
    """What the outer side's engine holds, and the sessions of both."""
    counters = here.gateway.outer.side.endpoint.stack.counters()
    return {
        **{name: count for name, count in counters.items() if name.startswith("now_")},
        "orphans": here.gateway.orphans,
    }


async def soak(messages: int, *, seed: int = 1, noticed: Callable[[Soaked], None] = lambda _: None) -> Soaked:
    """Send so many, then rest until every timer has run out. `noticed` is told after each batch."""
    soaked = Soaked()
    async with world(lower_runs=False) as here, prepared(here.network, TARGET, HOST, HOST) as ground:
        lines = [Line(here.network, host, TARGET) for host in STRANGERS]
        mix = Mix(ground, lines, soaked, seed)
        await asyncio.sleep(150.0)
        await ground.peer.register()  # what has expired is forgotten along with something new
        await asyncio.sleep(40.0)
        soaked.held.append(held(here))
        while soaked.sent < messages:
            await mix.batch()
            noticed(soaked)
            await asyncio.sleep(PAUSE_SECONDS)
        await asyncio.sleep(150.0)
        await ground.peer.register()  # what has expired is forgotten along with something new
        await asyncio.sleep(40.0)
        soaked.held.append(held(here))
        for line in lines:
            line.close()
    return soaked
