"""The play itself, in one process: gateway, lower and upper platform; writes the report."""

import argparse
import asyncio
import logging
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path

from rich.console import Console

from gateway.chamber import chain
from interop.demo.faults import FAULTS, Fault
from interop.demo.orphans import Held, held
from interop.demo.report import Delay, Orphans, RefusedReport, Report, StreamReport, percentile
from interop.demo.scene import CAMERA, INNER_ID, LOWER_ID, Scene, open_scene
from interop.demo.view import LiveView, Picture, PlainView, View
from interop.demo.view import Playing as PlayingRow
from interop.sim.camera import FRAME_RATE
from interop.sim.playing import Playing, PlayReport
from interop.sim.sending import StreamRecord
from interop.sim.upper import PTZ_LEFT, PlayRefused


class Stopped(Exception):
    """Somebody pressed Ctrl-C."""


class Play:
    """One run of the demo over a scene; what was seen is in `report`."""

    def __init__(
        self, scene: Scene, view: View, wanted: argparse.Namespace, stop: asyncio.Event, fault: Fault
    ) -> None:
        self.report = Report(seconds=wanted.seconds)
        self.delays: list[float] = []
        self._scene = scene
        self._view = view
        self._wanted = wanted
        self._stop = stop
        self._fault = fault
        self._started = time.monotonic()
        self._phase = "starting"
        self._pages = (0, 0)  # catalog items received above, and announced
        self._sockets: set[str] = set()
        self._playing: dict[str, Playing] = {}

    async def run(self) -> None:
        """Register, sync, play, be refused, hang up, and look what is left."""
        async with self._shown():
            try:
                await self._unless_stopped(self._meet(), "Registration and catalog", self._fault.meet_seconds)
                before = held()
                async with self._fault.lingering(self._scene):
                    await self._watch()
                    await self._settle(before)
            except Stopped:
                self.report.interrupted = True

    async def _meet(self) -> None:
        """Both registrations, the catalog from below, the catalog above."""
        scene, report = self._scene, self.report
        self._phase = "registering"
        await scene.lower.registered.wait()
        await scene.upper.wait_registered(INNER_ID)
        self._phase = "catalog through the lock"
        arrived = asyncio.Event()
        inner = scene.gateway.inner
        inner.gate.observe(lambda _direction, _crossing: arrived.set())
        while (shared := _cameras(inner.side.shared.rows(LOWER_ID).ids())) != scene.cameras():
            arrived.clear()
            await arrived.wait()
        report.channels_offered = len(_cameras(scene.gateway.outer.side.below.rows(LOWER_ID).ids()))
        report.channels_shared = len(shared)
        catalog = await scene.upper.catalog(on_page=self._page, quiet_seconds=self._fault.page_seconds)
        report.channels_received = len(_cameras(list(catalog.ids())))

    def _page(self, items: int, announced: int | None) -> None:
        self._pages = (items, announced or 0)

    async def _watch(self) -> None:
        """Play some cameras at once, ask for one that no rule shares, stop after the time that is left."""
        self._phase = "playing"
        shared = self._scene.cameras()
        chosen = shared[:: max(1, len(shared) // self._wanted.plays)][: self._wanted.plays]
        async with AsyncExitStack() as calls:
            await asyncio.gather(*(self._start(calls, channel) for channel in chosen))
            await self._be_refused(self._scene.kept()[0])
            await self._be_refused_ptz(chosen[0])
            left = self._started + self._wanted.seconds - time.monotonic()
            try:
                async with asyncio.timeout(max(1.0, left)):
                    await self._stop.wait()
                self.report.interrupted = True
            except TimeoutError:
                pass
            self._phase = "hanging up"
            sent = {record.camera: record for record in await self._scene.lower.pause_streams()}
            await self._scene.upper.drained({camera: record.packets_sent for camera, record in sent.items()})
            for channel, playing in sorted(self._playing.items()):
                seen = await playing.finish()
                self.delays += seen.delays_ms
                if channel in sent:
                    self.report.streams.append(_stream(sent[channel], seen))
            gateway = self._scene.gateway
            self.report.refused_by_rule = {
                **gateway.outer.counters.rows_refused,
                **gateway.inner.counters.refused,
            }
            self.report.controls_below = len(self._scene.lower.controls)

    async def _start(self, calls: AsyncExitStack, channel: str) -> None:
        camera = self._scene.tree.camera(channel)
        number = None if camera is None else camera.number
        snapshot = self._wanted.out / f"camera-{channel}.png"
        recording = self._wanted.out / f"camera-{channel}.ps" if self._wanted.record else None
        play = self._scene.upper.play(channel, camera=number, snapshot=snapshot, recording=recording)
        try:
            self._playing[channel] = await calls.enter_async_context(play)
        except PlayRefused as refused:
            self.report.problems.append(f"Camera {channel} did not play: {refused}.")

    async def _be_refused(self, channel: str) -> None:
        try:
            async with self._scene.upper.play(channel):
                self.report.problems.append(f"Camera {channel} played although no rule shares it.")
        except PlayRefused as refused:
            self.report.refused.append(
                RefusedReport(channel=channel, asked="play", status=refused.status, reason=refused.reason)
            )

    async def _be_refused_ptz(self, channel: str) -> None:
        """Turn a camera that plays."""
        status = await self._scene.upper.control(channel, PTZ_LEFT)
        if status == 200:
            self.report.problems.append(f"Camera {channel} was turned although a rule forbids it.")
        else:
            rules = " ".join(self._scene.gateway.inner.counters.refused)
            told = RefusedReport(channel=channel, asked="ptz", status=status, reason=f"by {rules}")
            self.report.refused.append(told)

    async def _settle(self, before: Held) -> None:
        """Wait for the last session to be gone, then count what is left of it."""
        self._phase = "looking for leftovers"
        deadline = time.monotonic() + self._fault.settle_seconds
        while True:
            now = held()
            orphans = Orphans(
                tables=self._scene.gateway.orphans,
                descriptors=max(0, now.descriptors - before.descriptors),
                sockets=len(now.sockets - before.sockets),
            )
            if orphans.total == 0 or time.monotonic() > deadline:
                self.report.orphans = orphans
                return
            await asyncio.sleep(0.1)

    async def _unless_stopped(self, work: Coroutine[None, None, None], what: str, seconds: float) -> None:
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
                self.report.problems.append(f"{what} took more than {seconds:.0f} s.")
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
                self._view.show(self._picture())
                self._sockets |= held().sockets
                await asyncio.sleep(0.25)

        task = asyncio.get_running_loop().create_task(show())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._view.show(self._picture())
            self.report.sockets = sorted(self._sockets | held().sockets)

    def _picture(self) -> Picture:
        gateway = self._scene.gateway
        outer, inner = gateway.outer, gateway.inner
        below = outer.side.as_upper.state()[0]
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
        refused = [f"{rule}: {count} rows kept back" for rule, count in outer.counters.rows_refused.items()]
        refused += [
            f"{one.asked} {one.channel}: answered {one.status} {one.reason}" for one in self.report.refused
        ]
        return Picture(
            phase=self._phase,
            elapsed=time.monotonic() - self._started,
            seconds=self._wanted.seconds,
            outer=[
                ("lower platform", "registered" if below.online else "not registered"),
                ("cameras offered", str(self.report.channels_offered or below.rows)),
                ("sources", str(outer.side.sessions.sources)),
            ],
            lock=[
                ("crossings", str(outer.counters.passed.total() + inner.counters.passed.total())),
                ("rows passed", str(outer.counters.rows_passed)),
                ("rows kept back", str(outer.counters.rows_refused.total())),
            ],
            inner=[
                ("upper platform", "we are registered" if registered else "not registered"),
                ("cameras shared", str(self.report.channels_shared)),
                ("viewings", str(inner.side.sessions.viewings)),
            ],
            received=self._pages[0],
            expected=self._pages[1],
            playing=rows,
            refused=refused,
        )


def _cameras(ids: list[str]) -> list[str]:
    return sorted(name for name in ids if len(name) == 20 and name[10:13] == CAMERA)


def _stream(sent: StreamRecord, seen: PlayReport) -> StreamReport:
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
        delay_ms=_delay(seen.delays_ms),
        bits_per_second=sent.bytes_sent * 8 * FRAME_RATE / max(1, sent.frames_sent),
        snapshot=None if seen.snapshot is None else str(seen.snapshot),
    )


def _delay(delays: Sequence[float]) -> Delay | None:
    if not delays:
        return None
    return Delay(p50=percentile(delays, 0.5), p99=percentile(delays, 0.99))


def complete(
    report: Report, delays: Sequence[float], audits: Sequence[Path], wanted: argparse.Namespace, expected: int
) -> None:
    """Add up the streams, verify the audit trail, and judge; after the gateway has ended."""
    streams = report.streams
    report.frames_sent = sum(stream.frames_sent for stream in streams)
    report.frames_decoded = sum(stream.frames_decoded for stream in streams)
    report.payload_identical = bool(streams) and all(stream.identical for stream in streams)
    report.packets_lost = {s.channel: s.packets_lost for s in streams if s.packets_lost}
    report.setup_ms = [round(stream.setup_ms, 1) for stream in streams]
    report.snapshots = [stream.snapshot for stream in streams if stream.snapshot]
    report.delay_ms = _delay(delays)
    trails = [chain.verify(audit) for audit in audits]
    report.audit_records = sum(trail.records for trail in trails)
    report.audit_verified = all(trail.whole for trail in trails)
    report.audit_refused = _refused_in(audits)
    report.audit_problems = [trail.problem for trail in trails if trail.problem]
    if not report.interrupted:
        report.problems += report.judge(cameras=wanted.cameras, shared=expected, plays=wanted.plays)
    elif not report.audit_verified or report.orphans.total:
        report.problems.append("Stopped early, and something was left behind or the audit does not verify.")


def _refused_in(audits: Sequence[Path]) -> dict[str, int]:
    """Crossings that the audit says were refused, by rule."""
    found: Counter[str] = Counter()
    for audit in audits:
        for line in audit.read_bytes().splitlines():
            record = chain.unseal(line) or {}
            if record.get("verdict") == "refused":
                found[record["rule"]] += 1
    return dict(found)


async def main(wanted: argparse.Namespace) -> int:
    stop, fault = asyncio.Event(), FAULTS[wanted.fault]()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    terminal = sys.stdout.isatty() and not wanted.no_tty
    plain = PlainView(lambda line: print(line, flush=True))
    with (
        tempfile.TemporaryDirectory(prefix="lockgate-demo-") as folder,
        ThreadPoolExecutor(2) as workers,
        LiveView(Console()) if terminal else nullcontext(plain) as view,
    ):
        async with open_scene(Path(folder), wanted.cameras, workers, fault) as scene:
            play = Play(scene, view, wanted, stop, fault)
            await play.run()
            audits, expected = scene.audits, len(scene.cameras())
        fault.audits(audits)
        fault.pictures(wanted.out)
        complete(play.report, play.delays, audits, wanted, expected)
    play.report.sockets += fault.before_exit()
    play.report.write(wanted.report)
    return 1 if play.report.problems else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--started", type=float, default=time.time())
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--plays", type=int, default=4)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--no-tty", action="store_true")
    parser.add_argument("--break", dest="fault", choices=FAULTS, default="none")
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    sys.exit(asyncio.run(main(arguments())))
