"""The demo's alarms: a camera below rings, and the upper platform hears it, or will once it takes any."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from interop.demo.report import RungReport
from interop.demo.watched import Watched
from interop.sim.alarms import AlarmSpec
from interop.sim.lower import LowerPlatform
from interop.sim.upper import UpperPlatform

PATIENCE_SECONDS: Final = 10.0
"""How long an alarm may take; on this machine it takes milliseconds."""
LOOK_SECONDS: Final = 0.02
LATER: Final = 503


class Ringing:
    """All alarms of one run. `channel` rings, once `run` has begun."""

    def __init__(self, lower: LowerPlatform, upper: UpperPlatform) -> None:
        self._bell = lower.bell
        self._desk = upper.alarms
        self._report: RungReport | None = None

    async def run(self, channel: str, gateway: Watched) -> None:
        """Ring once, and once more while the upper platform takes none."""
        self._report = report = RungReport(channel=channel)
        began = time.monotonic()
        await self.ring()
        if not await self.heard():
            return
        report.crossed_ms = (time.monotonic() - began) * 1000
        self._desk.status = LATER
        try:
            await self.ring()

            async def waits() -> bool:
                kept = (await gateway.look()).inner.kept
                return bool(self._desk.refused) and any(one.count for one in kept)

            report.kept = await _within(waits)
        finally:
            self._desk.status = 200
        began = time.monotonic()
        if await self.heard():
            report.kept_ms = (time.monotonic() - began) * 1000

    async def ring(self) -> None:
        """Again; nothing where nobody has rung yet."""
        report = self._report
        if report is None:
            return
        number = len(report.rung) + 1
        spec = AlarmSpec(device=report.channel, description=f"alarm {number} of the demo")
        if await self._bell.ring(spec) == 200:
            report.answered += 1
        report.rung.append(spec.description)

    async def heard(self) -> bool:
        """Whether all that rang so far was heard, once it was."""

        async def all_heard() -> bool:
            return self._report is None or {*self._report.rung} <= {*self._desk.told()}

        return await _within(all_heard)

    def so_far(self) -> RungReport | None:
        """None while nobody has rung."""
        if self._report is not None:
            self._report.heard = self._desk.told()
        return self._report


async def _within(holds: Callable[[], Awaitable[bool]]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_SECONDS)
    return True
