"""The wire between both hosts is pulled while a picture is shown: it must come back, and all else with it."""

import asyncio
import time
from contextlib import suppress
from typing import Final

from interop.demo.hosts import Hosts
from interop.demo.report import OutageReport
from interop.demo.ringing import Ringing
from interop.demo.watched import Look, Watched
from interop.sim.camera import FRAME_RATE
from interop.sim.playing import Playing
from interop.sim.queries import QueryFailed
from interop.sim.upper import PlayRefused

CUT_SECONDS: Final = 3.0
"""Shorter than what ends sessions on the link (docs/decisions/014): whoever watches sees a picture stand."""
RECOVERY_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.05


class Outage:
    """One outage, with a picture before, during and after it, and a new one in the end."""

    def __init__(self, hosts: Hosts, gateway: Watched, ringing: Ringing | None) -> None:
        self._hosts = hosts
        self._gateway = gateway
        self._ringing = ringing
        self._upper = hosts.platforms.upper

    async def run(self, channel: str, other: str) -> OutageReport:
        """Show `channel`, pull the wire, put it back; then ask a question, and for the picture of `other`."""
        await self._quiet()  # whoever joined a stream that lingers would share its silence
        self._hosts.platforms.lower.senders.resume_streams()
        report = OutageReport(cut_seconds=CUT_SECONDS)
        before = await self._gateway.look()
        with suppress(PlayRefused):
            async with self._upper.play(channel, camera=self._hosts.platforms.number(channel)) as playing:
                await _frames(playing, FRAME_RATE)
                await self._hosts.cut()
                report.frames_before = playing.report().frames_decoded
                if self._ringing is not None:
                    await self._ringing.ring()
                await asyncio.sleep(CUT_SECONDS)
                report.frames_meanwhile = playing.report().frames_decoded - report.frames_before
                await self._hosts.mend()
                mended = time.monotonic()
                standing = playing.report().frames_decoded
                if await _frames(playing, standing + 1):
                    report.resumed_ms = (time.monotonic() - mended) * 1000
                await _frames(playing, standing + FRAME_RATE)
                seen = playing.report()
                report.frames_after = seen.frames_decoded - standing
                report.frames_wrong = seen.wrong_camera + seen.frames_repeated
        report.answered = await self._answered(other)
        report.played_again = await self._played(other)
        report.alarmed = self._ringing is None or await self._ringing.heard()
        after = await self._gateway.look()
        report.registered = after.below.online == 1 and bool(self._upper.registered())
        report.linked = _linked(after)
        report.rows_kept = (after.offered, after.shared) == (before.offered, before.shared)
        return report

    async def _quiet(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RECOVERY_SECONDS):
                while True:
                    if not (await self._gateway.look()).orphans:
                        return
                    await asyncio.sleep(LOOK_SECONDS)

    async def _answered(self, channel: str) -> bool:
        """A question about a device is answered by it, beyond the link."""
        with suppress(QueryFailed):
            return (await self._upper.device_info(target=channel))["Result"] == "OK"
        return False

    async def _played(self, channel: str) -> bool:
        with suppress(PlayRefused):
            async with self._upper.play(channel, camera=self._hosts.platforms.number(channel)) as playing:
                return await _frames(playing, 5)
        return False


def _linked(look: Look) -> bool:
    return all(side.link is not None and side.link.up for side in (look.outer, look.inner))


async def _frames(playing: Playing, wanted: int) -> bool:
    """Whether so many pictures were decoded in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(RECOVERY_SECONDS):
            while True:
                if playing.report().frames_decoded >= wanted:
                    return True
                await asyncio.sleep(LOOK_SECONDS)
    return False
