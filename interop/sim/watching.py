"""`lockgate-sim upper`: wait for registrations, fetch catalogs, play, speak, report."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from interop.sim.net import Address
from interop.sim.playing import PlayReport
from interop.sim.queries import QueryFailed
from interop.sim.registrar import NotRegistered, Registered
from interop.sim.speaking import BroadcastRefused, SpeechReport
from interop.sim.station import Reporter, station, until_stopped
from interop.sim.subscribing import SubscribeRefused
from interop.sim.upper import PlayRefused, UpperPlatform
from interop.sim.xml import Message
from interop.words import Saying, saying
from sip.endpoint import Party
from sip.uri import host_port

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
    speak: tuple[str, ...] = ()  # targets of broadcasts
    alarms: bool = False  # stay for them when all else is over
    subscribe: bool = False  # to the catalog of each platform; each change is told


class Owed:
    """What was asked for and has not come so far: the sentence for each, until it is `settled`."""

    def __init__(self, wanted: Wanted, address: str) -> None:
        self._came = False
        self._done: set[str] = set()
        self._platforms = {
            platform: saying("never.came", id=platform, own=wanted.me.user, address=address)
            for platform in wanted.passwords
        }
        self._more = {channel: saying("never.sent", channel=channel) for channel in wanted.channels}
        self._more |= {target: saying("never.spoken", target=target) for target in wanted.speak}

    def came(self, platform: str) -> None:
        self._came = True
        del self._platforms[platform]

    def failed(self, what: str, why: Saying) -> None:
        """It did not come from there, or not yet; what came before from elsewhere stays settled."""
        if what not in self._done:
            self._more[what] = why

    def settled(self, what: str) -> None:
        self._done.add(what)
        self._more.pop(what, None)

    def troubles(self) -> list[Saying]:
        """While nobody has registered, that alone says why nothing else came."""
        return [*self._platforms.values(), *(self._more.values() if self._came else ())]


async def watch(wanted: Wanted, reporter: Reporter) -> list[Saying]:
    """Run until stopped; what was asked for and did not come, with the reason and the remedy."""
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

        upper.alarms.on_alarm = lambda alarm: reporter.say("alarm", **describe_alarm(alarm))
        ours = host_port(*base.endpoint.local)
        owed = Owed(wanted, ours)

        def status() -> dict[str, Any]:
            return {
                "registered": len(upper.registered()),
                "playing": len(upper.playing),
                "frames": sum(playing.report().frames_decoded for playing in upper.playing.values()),
                "refused": len(upper.refused),
                "alarms": len(upper.alarms.taken),
            }

        reporter.say("started", address=ours)
        serving = _serve(upper, wanted, reporter, owed)
        await until_stopped(serving, status, reporter, seconds=wanted.seconds)
    return owed.troubles()


async def _serve(upper: UpperPlatform, wanted: Wanted, reporter: Reporter, owed: Owed) -> None:
    async with asyncio.TaskGroup() as group:
        for platform in wanted.passwords:
            group.create_task(_attend(upper, platform, wanted, reporter, owed))
    if wanted.alarms:
        await asyncio.Event().wait()


async def _attend(
    upper: UpperPlatform, platform: str, wanted: Wanted, reporter: Reporter, owed: Owed
) -> None:
    """Everything with one platform, once; then stay."""
    bound = await upper.wait_registered(platform)
    owed.came(platform)
    reporter.say("registered", id=platform, address=host_port(*bound.address))
    try:
        info = await upper.device_info(platform)
        reporter.say("device_info", id=platform, **info)
        channels = await _channels(upper, platform, wanted, reporter, owed)
    except (QueryFailed, NotRegistered) as error:
        reporter.say("query_failed", id=platform, reason=error.said)
        owed.failed(platform, saying("never.told", id=platform, why=error.said))
        return
    chosen = dict.fromkeys((*wanted.channels, *channels[: wanted.first]))
    for channel in chosen:
        owed.failed(channel, saying("never.sent", channel=channel))
    async with asyncio.TaskGroup() as group:
        for channel in chosen:
            group.create_task(_watch_one(upper, channel, bound, wanted, reporter, owed))
        if wanted.subscribe:
            group.create_task(_follow(upper, platform, reporter))
        for number, target in enumerate(wanted.speak):
            group.create_task(_speak_to(upper, target, bound, number, reporter, owed))


async def _channels(
    upper: UpperPlatform, platform: str, wanted: Wanted, reporter: Reporter, owed: Owed
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
            owed.settled(platform)
            return channels
        owed.failed(platform, saying("never.enough", id=platform, channels=told, asked=wanted.first))
        await asyncio.sleep(ASK_AGAIN_SECONDS)


async def _follow(upper: UpperPlatform, platform: str, reporter: Reporter) -> None:
    """Hold a subscription to its catalog, and say each change that it tells; made anew where it is lost."""

    def changed(event: str, channel: str) -> None:
        reporter.say("changed", id=platform, channel=channel, change=event)

    while True:
        try:
            watch = await upper.subscriptions.subscribe(via=platform, on_item=changed)
        except (SubscribeRefused, NotRegistered) as error:
            reporter.say("query_failed", id=platform, reason=error.said)
            await asyncio.sleep(ASK_AGAIN_SECONDS * 10)
            continue
        reporter.say("subscribed", id=platform, seconds=watch.granted)
        status = 200
        while status == 200:
            await asyncio.sleep(max(1.0, watch.granted * 2 / 3))
            status = await upper.subscriptions.refresh(watch)
        upper.subscriptions.forget(watch)


async def _watch_one(
    upper: UpperPlatform,
    channel: str,
    bound: Registered,
    wanted: Wanted,
    reporter: Reporter,
    owed: Owed,
) -> None:
    snapshot = wanted.snapshots / f"{channel}.png" if wanted.snapshots else None
    try:
        async with upper.play(channel, via=bound.id, snapshot=snapshot) as playing:
            try:
                reporter.say("playing", channel=channel)
                await playing.over.wait()
            finally:
                report = await playing.finish()
                reporter.say("played", **describe(report))
                if report.packets_received:
                    owed.settled(channel)
    except (PlayRefused, NotRegistered) as error:
        reporter.say("refused", channel=channel, reason=error.said)
        owed.failed(channel, saying("never.played", why=error.said))


async def _speak_to(
    upper: UpperPlatform, target: str, bound: Registered, voice: int, reporter: Reporter, owed: Owed
) -> None:
    """One broadcast, until every listener has gone or we are stopped."""
    try:
        async with upper.broadcast(target, via=bound.id, voice=voice) as broadcast:
            for complaint in broadcast.complaints:
                reporter.say("complaint", target=target, about=complaint)
            try:
                reporter.say("speaking", target=target)
                owed.settled(target)
                await broadcast.over.wait()
            finally:
                for report in await broadcast.pause():
                    reporter.say("spoken", **describe_speech(report))
    except (BroadcastRefused, NotRegistered) as error:
        reporter.say("refused", channel=target, reason=error.said)
        owed.failed(target, saying("never.fetched", why=error.said))


def describe_alarm(alarm: Message) -> dict[str, Any]:
    """What it says, as plain values; what it leaves out is None."""
    said = {
        "priority": "AlarmPriority",
        "method": "AlarmMethod",
        "time": "AlarmTime",
        "kind": "AlarmType",
        "event_type": "EventType",
        "description": "AlarmDescription",
        "longitude": "Longitude",
        "latitude": "Latitude",
    }
    named = {name: alarm.text(tag) or None for name, tag in said.items()}
    return {"id": alarm.device_id, "sn": alarm.sn, **named}


def describe_speech(report: SpeechReport) -> dict[str, Any]:
    """The figures of one voice as plain values."""
    return {
        "target": report.target,
        "listener": report.listener,
        "ssrc": report.ssrc,
        "payload_type": report.payload_type,
        "frames": report.frames_sent,
        "sha256": report.sha256,
        "ended": report.ended,
    }


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
