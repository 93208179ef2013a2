"""The demo's voice: the upper platform speaks to a loudspeaker below, and both say what they saw of it."""

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from interop.demo.report import SpokenReport
from interop.sim.listening import HearingRecord
from interop.sim.lower import LowerPlatform
from interop.sim.speaking import Broadcast, SpeechReport
from interop.sim.upper import UpperPlatform

DRAIN_SECONDS: Final = 2.0
"""How long the demo waits for what is on its way."""


@dataclass(frozen=True, slots=True)
class Heard:
    """For the view: packets so far."""

    said: int
    heard: int


class Speech:
    """One voice, from `begin` to `end`. `target` is the loudspeaker's id."""

    def __init__(self, upper: UpperPlatform, lower: LowerPlatform, target: str) -> None:
        self.target = target
        self._upper = upper
        self._lower = lower
        self._held = AsyncExitStack()
        self._broadcast: Broadcast | None = None
        self._setup_ms = 0.0

    async def begin(self) -> None:
        """Announce it, and return when the loudspeaker has fetched it. Raises BroadcastRefused."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._broadcast = await self._held.enter_async_context(self._upper.broadcast(self.target))
        self._setup_ms = (loop.time() - started) * 1000

    def so_far(self) -> Heard | None:
        """None while nobody listens."""
        if self._broadcast is None:
            return None
        said = sum(report.frames_sent for report in self._broadcast.reports())
        return Heard(said, sum(record.packets_received for record in self._records()))

    async def end(self) -> SpokenReport | None:
        """Fall silent, hang up, and say what came of it; None where there was nothing."""
        if self._broadcast is None:
            return None
        said = sum(report.frames_sent for report in await self._broadcast.pause())
        await _at_most(self._lower.listeners.heard(said))
        await self.hang_up()
        await _at_most(self._lower.listeners.ended())
        return self._report(self._broadcast.reports(), self._records())

    async def hang_up(self) -> None:
        """As often as one likes."""
        await self._held.aclose()

    def _records(self) -> list[HearingRecord]:
        return [record for record in self._lower.listeners.records() if record.speaker == self.target]

    def _report(self, said: tuple[SpeechReport, ...], heard: list[HearingRecord]) -> SpokenReport | None:
        if not said or not heard:
            return None
        above, below = said[-1], heard[-1]
        return SpokenReport(
            target=self.target,
            packets_sent=above.frames_sent,
            packets_received=below.packets_received,
            sha256_sent=above.sha256,
            sha256_received=below.sha256,
            setup_ms=self._setup_ms,
            ended_above=above.ended,
            ended_below=below.ended,
        )


async def _at_most(waiting: Awaitable[None]) -> None:
    """What has not come by then is missing in the report."""
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await waiting
    except TimeoutError:
        return
