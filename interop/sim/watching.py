"""`lockgate-sim upper`: wait for registrations, fetch catalogs, play, report."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from interop.sim.net import Address
from interop.sim.playing import PlayReport
from interop.sim.queries import QueryFailed
from interop.sim.registrar import NotRegistered, Registered
from interop.sim.station import Reporter, station, until_stopped
from interop.sim.upper import PlayRefused, UpperPlatform
from sip.endpoint import Party

ASK_AGAIN_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for. `first`: so many cameras of each catalog are played as well."""

    me: Party
    listen: Address
    media_host: str
    passwords: dict[str, str]
    channels: tuple[str, ...]
    first: int
    snapshots: Path | None
    charset: str
    seconds: float | None


async def watch(wanted: Wanted, reporter: Reporter) -> None:
    """Run until stopped."""
    async with station(wanted.listen, wanted.me, wanted.me.host) as base:
        upper = UpperPlatform(
            endpoint=base.endpoint,
            calls=base.calls,
            net=base.net,
            media_host=wanted.media_host,
            passwords=wanted.passwords,
            charset=wanted.charset,
            workers=base.workers,
        )

        def status() -> dict[str, Any]:
            return {
                "registered": len(upper.registered()),
                "playing": len(upper.playing),
                "frames": sum(playing.report().frames_decoded for playing in upper.playing.values()),
                "refused": len(upper.refused),
            }

        reporter.say("started", address=f"{base.endpoint.local[0]}:{base.endpoint.local[1]}")
        await until_stopped(_serve(upper, wanted, reporter), status, reporter, seconds=wanted.seconds)


async def _serve(upper: UpperPlatform, wanted: Wanted, reporter: Reporter) -> None:
    async with asyncio.TaskGroup() as group:
        for platform in wanted.passwords:
            group.create_task(_attend(upper, platform, wanted, reporter))


async def _attend(upper: UpperPlatform, platform: str, wanted: Wanted, reporter: Reporter) -> None:
    """Everything with one platform, once; then stay."""
    bound = await upper.wait_registered(platform)
    reporter.say("registered", id=platform, address=f"{bound.address[0]}:{bound.address[1]}")
    try:
        info = await upper.device_info(platform)
        reporter.say("device_info", id=platform, **info)
        channels = await _channels(upper, platform, wanted, reporter)
    except (QueryFailed, NotRegistered) as error:
        reporter.say("query_failed", id=platform, reason=str(error))
        return
    chosen = dict.fromkeys((*wanted.channels, *channels[: wanted.first]))
    async with asyncio.TaskGroup() as group:
        for channel in chosen:
            group.create_task(_watch_one(upper, channel, bound, wanted, reporter))


async def _channels(
    upper: UpperPlatform, platform: str, wanted: Wanted, reporter: Reporter
) -> tuple[str, ...]:
    """What can be played there; asked for again until there are as many cameras as are to be played.

    A platform that has just started may not know its own cameras yet.
    """
    told = -1
    while True:
        catalog = await upper.catalog(platform)
        channels = catalog.channels()
        if len(channels) != told:
            told = len(channels)
            reporter.say(
                "catalog",
                id=platform,
                items=len(catalog.items),
                announced=catalog.announced,
                complete=catalog.complete,
                channels=told,
            )
        if told >= wanted.first:
            return channels
        await asyncio.sleep(ASK_AGAIN_SECONDS)


async def _watch_one(
    upper: UpperPlatform, channel: str, bound: Registered, wanted: Wanted, reporter: Reporter
) -> None:
    snapshot = wanted.snapshots / f"{channel}.png" if wanted.snapshots else None
    try:
        async with upper.play(channel, via=bound.id, snapshot=snapshot) as playing:
            try:
                reporter.say("playing", channel=channel)
                await playing.over.wait()
            finally:
                reporter.say("played", **describe(await playing.finish()))
    except (PlayRefused, NotRegistered) as error:
        reporter.say("refused", channel=channel, reason=str(error))


def describe(report: PlayReport) -> dict[str, Any]:
    """The figures of one stream as plain values."""
    delays = sorted(report.delays_ms)
    return {
        "channel": report.channel,
        "camera": report.camera,
        "ssrc": report.ssrc,
        "setup_ms": None if report.setup_ms is None else round(report.setup_ms, 1),
        "frames": report.frames_decoded,
        "frames_lost": len(report.frames_lost),
        "frames_repeated": report.frames_repeated,
        "unreadable": report.unreadable,
        "wrong_camera": report.wrong_camera,
        "packets": report.packets_received,
        "packets_lost": report.packets_lost_count,
        "delay_ms": round(median(delays), 1) if delays else None,
        "delay_p99_ms": round(delays[int(0.99 * (len(delays) - 1))], 1) if delays else None,
        "sha256": report.sha256,
        "snapshot": str(report.snapshot) if report.snapshot else None,
        "ended": report.ended,
    }
