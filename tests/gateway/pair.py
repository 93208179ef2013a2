"""Two ends of the link between two hosts, over a cable, without anything behind them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cascade.crossing import Crossing, StreamEnded
from certs.identities import SideName
from certs.trust import Trust
from gateway.chamber.link.hosts import HostsEnd
from gateway.words import LANGUAGES, Saying, Words
from tests.gateway.cable import Cable, Certificates, hosts_end
from tests.gateway.chamber_ground import LOWER, ROAD_CAMERA

WALL = 1_772_352_000.0
SIDES: tuple[SideName, SideName] = ("outer", "inner")


Logged = list[logging.LogRecord]


def ended(correlation: int = 8) -> StreamEnded:
    return StreamEnded(correlation=correlation, origin=LOWER, channel=ROAD_CAMERA)


class End:
    """One side's end, and what it handed in, in order."""

    def __init__(self, end: HostsEnd) -> None:
        self.end = end
        self.crossings: list[Crossing] = []
        self.heard: list[bool | str] = []
        end.on_arrival = self.crossings.append
        end.on_signal = self.heard.append
        end.on_linked = self.heard.append

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name, count in self.end.counts.items() if count}


class Pair:
    def __init__(self, cable: Cable, certificates: Certificates, **settings: Any) -> None:
        self.cable = cable
        self.certificates = certificates
        self.jump = 0.0  # of both wall clocks
        self.ends = {side: self.made(side, **settings) for side in SIDES}
        self.outer, self.inner = self.ends["outer"], self.ends["inner"]

    def made(self, side: SideName, **settings: Any) -> End:
        def wall() -> float:
            return WALL + self.cable.loop.time() + self.jump

        def trust() -> Trust:
            return self.certificates.trust(side)

        return End(hosts_end(side, self.cable, trust, wall, **settings))

    async def up(self) -> None:
        for side in SIDES:
            await self.ends[side].end.open()
        await asyncio.sleep(1.0)
        assert self.outer.end.up
        assert self.inner.end.up


def troubles(logged: Logged) -> list[tuple[str, str]]:
    """(event, kind) of each warning; each says why and what to do, in both languages."""
    found = []
    for record in logged:
        if record.levelno < logging.WARNING:
            continue
        for name in ("reason", "remedy"):
            said = vars(record).get(name)
            if said is not None:
                assert isinstance(said, Saying), said
                assert len({Words(language).render(said) for language in LANGUAGES}) == 2
        found.append((record.getMessage(), str(vars(record).get("kind", ""))))
    return found


@asynccontextmanager
async def pair(folder: Path, **settings: Any) -> AsyncIterator[Pair]:
    cable = Cable(asyncio.get_running_loop())
    here = Pair(cable, Certificates(folder / "certs", WALL), **settings)
    try:
        yield here
    finally:
        for end in here.ends.values():
            await end.end.close()
        assert cable.ears == {}
        assert cable.open() == []
