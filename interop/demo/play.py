"""The play itself: gateway, lower and upper platform, in one process or on hosts apart; writes the report."""

import argparse
import asyncio
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

import gateway.words
from gateway import log
from gateway.chamber import chain
from gateway.transports import CannotListen
from interop.demo.across import reach
from interop.demo.cast import INNER_ID
from interop.demo.faults import FAULTS, HOSTS_FAULTS, WELL, Fault
from interop.demo.hosts import NotStarted, open_two_hosts
from interop.demo.judging import Expected, judge
from interop.demo.orphans import Held
from interop.demo.outage import Outage
from interop.demo.report import (
    NOT_MEASURED,
    Delay,
    HostsReport,
    NotMeasured,
    Orphans,
    RefusedReport,
    Report,
    StreamReport,
    percentile,
)
from interop.demo.scene import Scene, Sent, open_scene
from interop.demo.telling import refusal
from interop.demo.view import LiveView, Picture, PlainView, View
from interop.demo.view import Playing as PlayingRow
from interop.demo.watched import Look, cameras_of
from interop.sim.camera import FRAME_RATE
from interop.sim.playing import Playing, PlayReport
from interop.sim.speaking import BroadcastRefused
from interop.sim.upper import PTZ_LEFT, PlayRefused
from interop.tied import tie
from interop.words import ENGLISH, LANGUAGES, Saying, Words, saying
from interop.words.choice import show_anything

MEETING: Final = saying("phase.meeting")
LOOK_SECONDS: Final = 0.05
"""Between two looks for what must come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a run is to do; `started` is when its user pressed Enter, in seconds since 1970."""

    seconds: float
    plays: int
    out: Path
    record: bool = False
    started: float


class Stopped(Exception):
    """Somebody pressed Ctrl-C."""


class Play:
    """One run of the demo over a scene; what was seen is in `report`."""

    def __init__(
        self, scene: Scene, view: View, wanted: Wanted, stop: asyncio.Event, fault: Fault = WELL
    ) -> None:
        self.report = Report(seconds=wanted.seconds)
        self._scene = scene
        self._view = view
        self._wanted = wanted
        self._stop = stop
        self._fault = fault
        self._started = time.monotonic()
        self._phase = saying("phase.starting")
        self._pages = (0, 0)  # catalog items received above, and announced
        self._sockets: set[str] = set()
        self._playing: dict[str, Playing] = {}
        self._delays: list[float] = []

    async def run(self) -> None:
        """Register, sync, play, be refused, hang up, and look what is left."""
        async with self._shown():
            try:
                await self._unless_stopped(self._meet(), MEETING, self._fault.meet_seconds)
                before = self._scene.held()
                async with self._fault.lingering(self._scene):
                    await self._watch()
                    await self._try_hosts()
                    await self._settle(before)
            except Stopped:
                self.report.interrupted = True

    def judged(self, audits: Sequence[Path], expected: Expected, words: Words = ENGLISH) -> Report:
        """Add up the streams, verify the audit trail, and judge; after the gateway has ended.

        What is wrong with the trail is told in `words`.
        """
        report = self.report
        streams = report.streams
        report.frames_sent = sum(stream.frames_sent for stream in streams)
        report.frames_decoded = sum(stream.frames_decoded for stream in streams)
        report.payload_identical = bool(streams) and all(stream.identical for stream in streams)
        report.packets_lost = {s.channel: s.packets_lost for s in streams if s.packets_lost}
        report.setup_ms = [round(stream.setup_ms, 1) for stream in streams]
        report.snapshots = [stream.snapshot for stream in streams if stream.snapshot]
        report.delay_ms = self._delay(self._delays)
        trails = [chain.verify(audit) for audit in audits]
        report.audit_records = sum(trail.records for trail in trails)
        report.audit_verified = all(trail.whole for trail in trails)
        report.audit_refused = _refused_in(audits)
        spoken = gateway.words.Words(words.language)
        report.audit_problems = [spoken.render(trail.problem) for trail in trails if trail.problem]
        if not report.interrupted:
            judge(report, expected)
        elif not report.audit_verified or report.orphans.total:
            report.problems.append(saying("problem.stopped"))
        return report

    def _delay(self, delays: Sequence[float]) -> Delay | NotMeasured | None:
        if not self._scene.live:
            return NOT_MEASURED
        return Delay(p50=percentile(delays, 0.5), p99=percentile(delays, 0.99)) if delays else None

    async def _meet(self) -> None:
        """Both registrations, the catalog from below, the catalog above."""
        scene, report = self._scene, self.report
        self._phase = saying("phase.registering")
        await scene.lower.registered.wait()
        await scene.upper.wait_registered(INNER_ID)
        self._phase = saying("phase.catalog")
        while True:
            if (await scene.gateway.look()).whole:
                break
            await asyncio.sleep(LOOK_SECONDS)
        catalog = await scene.upper.catalog(on_page=self._page, quiet_seconds=self._fault.page_seconds)
        look = await scene.gateway.look()
        report.channels_offered, report.channels_shared = look.offered, look.shared
        report.channels_received = len(cameras_of(catalog.ids()))

    def _page(self, items: int, announced: int | None) -> None:
        self._pages = (items, announced or 0)

    async def _watch(self) -> None:
        """Play some cameras at once, ask for one that no rule shares, stop after the time that is left."""
        self._phase = saying("phase.playing")
        shared = self._scene.cameras()
        chosen = shared[:: max(1, len(shared) // self._wanted.plays)][: self._wanted.plays]
        async with AsyncExitStack() as calls:
            await asyncio.gather(*(self._start(calls, channel) for channel in chosen))
            await self._speak(calls)
            await self._be_refused(self._scene.kept()[0])
            await self._be_refused_ptz(chosen[0])
            await self._ring(chosen[0])
            left = self._started + self._wanted.seconds - time.monotonic()
            try:
                async with asyncio.timeout(max(1.0, left)):
                    await self._stop.wait()
                self.report.interrupted = True
            except TimeoutError:
                pass
            self._phase = saying("phase.hanging_up")
            if self._scene.speech is not None:
                self.report.spoken = await self._scene.speech.end()
            sent = {record.camera: record for record in await self._scene.lower.pause_streams()}
            await self._scene.upper.drained({camera: record.packets_sent for camera, record in sent.items()})
            for channel, playing in sorted(self._playing.items()):
                seen = await playing.finish()
                self._delays += seen.delays_ms
                if channel in sent:
                    self.report.streams.append(_stream(sent[channel], seen, self._delay(seen.delays_ms)))
            look = await self._scene.gateway.look()
            self.report.refused_by_rule = {**look.outer.rows_refused, **look.inner.refused}
            self.report.controls_below = len(self._scene.lower.controls)

    async def _try_hosts(self) -> None:
        """Where the gateway is two hosts: look for a way around them, and pull the wire between them."""
        hosts = self._scene.hosts
        if hosts is None or self.report.interrupted:
            return
        self._phase = saying("phase.apart")
        told = HostsReport(namespaces=[network.inode for network in hosts.networks.all])
        self.report.hosts = told
        told.attempts = await reach(hosts.networks)
        self._phase = saying("phase.outage")
        shared = self._scene.cameras()
        outage = Outage(hosts, self._scene.gateway, self._scene.ringing)
        told.outage = await outage.run(shared[0], shared[-1])

    async def _start(self, calls: AsyncExitStack, channel: str) -> None:
        camera = self._scene.tree.camera(channel)
        number = None if camera is None else camera.number
        snapshot = self._wanted.out / f"camera-{channel}.png"
        recording = self._wanted.out / f"camera-{channel}.ps" if self._wanted.record else None
        play = self._scene.upper.play(channel, camera=number, snapshot=snapshot, recording=recording)
        try:
            self._playing[channel] = await calls.enter_async_context(play)
        except PlayRefused as refused:
            self.report.problems.append(saying("problem.unplayed", reason=refused.said))

    async def _speak(self, calls: AsyncExitStack) -> None:
        speech = self._scene.speech
        if speech is None:
            self.report.spoken = NOT_MEASURED
            return
        calls.push_async_callback(speech.hang_up)
        try:
            await speech.begin()
        except BroadcastRefused as refused:
            self.report.problems.append(saying("problem.unspoken", reason=refused.said))

    async def _ring(self, channel: str) -> None:
        ringing = self._scene.ringing
        if ringing is None:
            self.report.rung = NOT_MEASURED
            return
        await ringing.run(channel, self._scene.gateway)
        self.report.rung = ringing.so_far()

    async def _be_refused(self, channel: str) -> None:
        try:
            async with self._scene.upper.play(channel):
                self.report.problems.append(saying("problem.kept_played", channel=channel))
        except PlayRefused as refused:
            self.report.refused.append(
                RefusedReport(channel=channel, asked="play", status=refused.status, reason=refused.reason)
            )

    async def _be_refused_ptz(self, channel: str) -> None:
        """Turn a camera that plays."""
        before = Counter((await self._scene.gateway.look()).inner.refused)
        status = await self._scene.upper.control(channel, PTZ_LEFT)
        if status == 200:
            self.report.problems.append(saying("problem.turned", channel=channel))
        else:
            now = Counter((await self._scene.gateway.look()).inner.refused)
            rules = " ".join(now - before)
            told = RefusedReport(channel=channel, asked="ptz", status=status, reason=rules)
            self.report.refused.append(told)

    async def _settle(self, before: Held) -> None:
        """Wait for the last session to be gone, then count what is left of it."""
        self._phase = saying("phase.leftovers")
        deadline = time.monotonic() + self._fault.settle_seconds
        while True:
            now = self._scene.held()
            orphans = Orphans(
                tables=(await self._scene.gateway.look()).orphans,
                descriptors=max(0, now.descriptors - before.descriptors),
                sockets=len(now.sockets - before.sockets),
            )
            if orphans.total == 0 or time.monotonic() > deadline:
                self.report.orphans = orphans
                if self._scene.ringing is not None:  # what would be heard twice has been by now
                    self.report.rung = self._scene.ringing.so_far()
                return
            await asyncio.sleep(0.1)

    async def _unless_stopped(self, work: Coroutine[None, None, None], what: Saying, seconds: float) -> None:
        """Do `work`; too late is a problem, and Ctrl-C ends it by raising Stopped."""
        doing = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((doing, stopping), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
            elif stopping.done():
                raise Stopped
            else:
                self.report.problems.append(saying("problem.late", what=what, seconds=round(seconds)))
                raise Stopped
        finally:
            doing.cancel()
            stopping.cancel()
            await asyncio.gather(doing, stopping, return_exceptions=True)

    @asynccontextmanager
    async def _shown(self) -> AsyncIterator[None]:
        """Keep the view fresh for as long as the context lasts."""

        async def show() -> None:
            while True:
                self._view.show(await self._picture())
                self._sockets |= self._scene.held().sockets
                await asyncio.sleep(0.25)

        task = asyncio.get_running_loop().create_task(show())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._view.show(await self._picture())
            self.report.sockets = sorted(self._sockets | self._scene.held().sockets)

    async def _picture(self) -> Picture:
        look = await self._scene.gateway.look()
        registered = bool(self._scene.upper.registered())
        rows = []
        for channel, playing in sorted(self._playing.items()):
            report = playing.report()
            camera = self._scene.tree.camera(channel)
            if report.first_picture_ms is not None and self.report.first_picture_seconds is None:
                self.report.first_picture_seconds = time.time() - self._wanted.started
            rows.append(
                PlayingRow(
                    camera=report.camera or 0,
                    name=channel if camera is None else camera.name,
                    frames=report.frames_decoded,
                    bits_per_second=report.bits_per_second,
                    setup_ms=report.setup_ms,
                    delay_ms=statistics.median(report.delays_ms) if report.delays_ms else None,
                )
            )
        return Picture(
            phase=self._phase,
            elapsed=time.monotonic() - self._started,
            seconds=self._wanted.seconds,
            outer=[
                (
                    saying("view.platform"),
                    saying("view.registered") if look.below.online else saying("view.absent"),
                ),
                (saying("view.offered"), str(self.report.channels_offered or look.below.rows)),
                (saying("view.sources"), str(len(look.outer.streams))),
            ],
            lock=[
                (saying("view.crossings"), str(look.crossings)),
                (saying("view.rows_passed"), str(look.outer.rows_passed)),
                (saying("view.rows_kept"), str(sum(look.outer.rows_refused.values()))),
            ],
            inner=[
                (
                    saying("view.platform"),
                    saying("view.we_registered") if registered else saying("view.absent"),
                ),
                (saying("view.shared"), str(self.report.channels_shared)),
                (saying("view.viewings"), str(look.inner.viewings)),
            ],
            received=self._pages[0],
            expected=self._pages[1],
            playing=rows,
            voice=self._voice(),
            alarms=self._alarms(),
            refused=[*self._refusals(look)],
        )

    def _voice(self) -> Saying | None:
        speech = self._scene.speech
        heard = None if speech is None else speech.so_far()
        if speech is None or heard is None:
            return None
        return saying("view.voice", target=speech.target, said=heard.said, heard=heard.heard)

    def _alarms(self) -> Saying | None:
        rung = None if self._scene.ringing is None else self._scene.ringing.so_far()
        if rung is None:
            return None
        return saying("view.alarms", channel=rung.channel, rung=len(rung.rung), heard=len(rung.heard))

    def _refusals(self, look: Look) -> Iterator[Saying]:
        for rule, count in look.outer.rows_refused.items():
            yield saying("view.kept_back", rule=rule, count=count)
        for one in self.report.refused:
            yield refusal(one)


def _stream(sent: Sent, seen: PlayReport, delay: Delay | NotMeasured | None) -> StreamReport:
    return StreamReport(
        channel=seen.channel,
        camera=sent.number,
        frames_sent=sent.frames_sent,
        frames_decoded=seen.frames_decoded,
        frames_wrong=seen.wrong_camera + seen.frames_repeated + seen.unreadable + seen.frames_damaged,
        frames_lost=list(seen.frames_lost),
        packets_sent=sent.packets_sent,
        packets_received=seen.packets_received,
        packets_lost=list(seen.packets_lost),
        sha256_sent=sent.sha256,
        sha256_received=seen.sha256,
        setup_ms=seen.setup_ms or 0.0,
        delay_ms=delay,
        bits_per_second=sent.bytes_sent * 8 * FRAME_RATE / max(1, sent.frames_sent),
        snapshot=None if seen.snapshot is None else str(seen.snapshot),
    )


def _refused_in(audits: Sequence[Path]) -> dict[str, int]:
    """Crossings that the audit says were refused, by rule."""
    found: Counter[str] = Counter()
    for audit in audits:
        for line in audit.read_bytes().splitlines():
            record = chain.unseal(line) or {}
            if record.get("verdict") == "refused":
                found[record["rule"]] += 1
    return dict(found)


async def main(given: argparse.Namespace, words: Words) -> int:
    stop, fault = asyncio.Event(), {**FAULTS, **HOSTS_FAULTS}[given.fault]()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    terminal = sys.stdout.isatty() and not given.no_tty
    plain = PlainView(lambda line: print(line, flush=True), words)
    wanted = Wanted(
        seconds=given.seconds, plays=given.plays, out=given.out, record=given.record, started=given.started
    )
    with (
        tempfile.TemporaryDirectory(prefix="lockgate-demo-") as folder,
        ThreadPoolExecutor(2) as workers,
        LiveView(Console(), words) if terminal else nullcontext(plain) as view,
    ):
        at = Path(folder)
        stage = (
            open_two_hosts(at, given.cameras, workers, words.language, fault)
            if given.two_hosts
            else open_scene(at, given.cameras, workers, fault)
        )
        async with stage as scene:
            play = Play(scene, view, wanted, stop, fault)
            await play.run()
            expected = Expected(given.cameras, len(scene.cameras()), given.plays)
        fault.audits(scene.audits)
        fault.pictures(wanted.out)
        report = play.judged(scene.audits, expected, words)
    report.sockets += fault.before_exit()
    report.write(given.report)
    return 1 if report.problems else 0


def arguments() -> argparse.Namespace:
    """From `interop.demo.__main__`, which has all defaults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lang", choices=LANGUAGES, required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--started", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--cameras", type=int, required=True)
    parser.add_argument("--plays", type=int, required=True)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--no-tty", action="store_true")
    parser.add_argument("--break", dest="fault", choices=[*FAULTS, *HOSTS_FAULTS], default="none")
    parser.add_argument("--two-hosts", action="store_true")
    parser.add_argument("--parent", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    show_anything()
    given = arguments()
    tie(given.parent, signal.SIGTERM)
    log.setup("error", words=gateway.words.Words(given.lang))
    try:
        sys.exit(asyncio.run(main(given, Words(given.lang))))
    except NotStarted as error:
        print(Words(given.lang).render(error.said), file=sys.stderr)
        sys.exit(2)
    except CannotListen as error:
        print(gateway.words.Words(given.lang).render(error.said), file=sys.stderr)
        sys.exit(2)
