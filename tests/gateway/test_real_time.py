"""The named handful with real sockets and real time. They wait for events, never for a duration."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway.app import SideName
from gateway.chamber import chain
from interop.demo.cast import INNER_ID, KEPT_BRANCH, write_config
from interop.demo.report import Delay, Report, SpokenReport, read
from interop.demo.scene import Platforms, open_platforms
from interop.sim.queries import QueryFailed
from interop.sim.tasks import Tasks
from interop.sim.upper import PlayRefused

PATIENCE = 60.0
"""Seconds until a test that hangs is given up; nothing is measured by it."""


async def start(*command: str, descriptors: Sequence[int] = ()) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, pass_fds=descriptors
    )


async def lines_until(process: asyncio.subprocess.Process, word: str) -> None:
    """Read what the process says until a line holds `word`."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        async for line in process.stdout:
            if word in line.decode():
                return
    raise AssertionError(f"the process ended without saying {word!r}")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Report, Path]:
    """One short run of the demo, as a newcomer would start it: exit code, report, folder of pictures."""
    folder = tmp_path_factory.mktemp("demo")
    report = folder / "report.json"

    async def play() -> int:
        process = await start(
            *("-m", "interop.demo", "--seconds", "4", "--no-tty", "--cameras", "40"),
            *("--report", str(report), "--out", str(folder)),
        )
        await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode is not None
        return process.returncode

    return asyncio.run(play()), read(report), folder


def test_the_demo_holds(demo: tuple[int, Report, Path]) -> None:
    code, report, _ = demo
    assert report.problems == []
    assert code == 0


def test_each_field_of_the_demos_report(demo: tuple[int, Report, Path]) -> None:
    _, report, _ = demo
    assert (report.channels_offered, report.channels_shared, report.channels_received) == (40, 20, 20)
    assert len(report.streams) == len(report.setup_ms) == 4
    assert report.frames_sent == report.frames_decoded == sum(s.frames_sent for s in report.streams) > 0
    assert report.payload_identical
    assert all(stream.sha256_sent == stream.sha256_received for stream in report.streams)
    assert report.packets_lost == {}
    assert all(setup > 0 for setup in report.setup_ms)
    assert isinstance(report.delay_ms, Delay)
    assert 0 < report.delay_ms.p50 <= report.delay_ms.p99
    assert isinstance(report.spoken, SpokenReport)
    assert report.spoken.packets_sent == report.spoken.packets_received > 0
    assert report.spoken.identical
    assert report.spoken.setup_ms > 0
    assert (report.spoken.ended_above, report.spoken.ended_below) == ("left", "bye")
    assert [(one.status, one.asked) for one in report.refused] == [(404, "play"), (403, "ptz")]
    assert report.refused_by_rule == {"no-schools": 21, "no-ptz": 1}
    assert report.audit_refused == {"no-ptz": 1}
    assert report.controls_below == 0
    assert report.audit_records > 0
    assert report.audit_verified
    assert report.orphans.total == 0
    assert report.orphans.after_exit == 0
    assert len(report.checked) == 23
    assert report.not_checked == []


def test_the_demo_saves_a_picture_of_each_camera(demo: tuple[int, Report, Path]) -> None:
    _, report, folder = demo
    assert len({*report.snapshots}) == 4
    for snapshot in report.snapshots:
        assert Path(snapshot).parent == folder
        assert Path(snapshot).read_bytes().startswith(b"\x89PNG\r\n")


async def test_ctrl_c_ends_the_demo_cleanly(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    process = await start(
        *("-m", "interop.demo", "--seconds", "50", "--no-tty", "--cameras", "20"),
        *("--report", str(report), "--out", str(tmp_path)),
    )
    await lines_until(process, "playing")
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0
    told = read(report)
    assert told.interrupted
    assert told.problems == []
    assert told.orphans.total == 0


async def test_lockgate_run_serves_and_ends_on_sigterm(tmp_path: Path) -> None:
    write_config(tmp_path, "open-sesame")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "run", "--config", str(tmp_path / "gateway.toml")),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        async for line in process.stderr:
            if b"gateway.ready" in line:
                break
    process.terminate()
    await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0


SIDES: tuple[SideName, SideName] = ("inner", "outer")


class Process:
    """One side in a process of its own; `control` hands it its links to the other one."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self.process = process
        self.control = control

    def join(self, end: socket.socket) -> None:
        socket.send_fds(self.control, [b"x"], [end.fileno()])
        end.close()


class Split:
    """Both sides in processes of their own, and the platforms in this one."""

    def __init__(self, folder: Path, state: Path, platforms: Platforms) -> None:
        self.state = state
        self.lower = platforms.lower
        self.upper = platforms.upper
        self.sides: dict[SideName, Process] = {}
        self.started: list[Process] = []
        self._folder = folder

    @property
    def outer(self) -> asyncio.subprocess.Process:
        return self.sides["outer"].process

    @property
    def inner(self) -> asyncio.subprocess.Process:
        return self.sides["inner"].process

    async def start(self, side: SideName) -> None:
        """Start that side; with the other one there, join both."""
        ours, theirs = socket.socketpair()
        process = await start(
            *(str(Path(__file__).parent / "side_process.py"), side),
            *(str(self._folder / "gateway.toml"), str(theirs.fileno())),
            descriptors=(theirs.fileno(),),
        )
        theirs.close()
        self.sides[side] = Process(process, ours)
        self.started.append(self.sides[side])
        await lines_until(process, "ready")
        if len(self.sides) == len(SIDES):
            for each, end in zip(self.sides.values(), socket.socketpair(), strict=True):
                each.join(end)

    async def kill(self, side: SideName) -> None:
        killed = self.sides.pop(side)
        killed.process.kill()
        await asyncio.wait_for(killed.process.wait(), PATIENCE)

    async def close(self) -> None:
        for each in self.started:
            await _stop(each.process)
            each.control.close()


@asynccontextmanager
async def split(folder: Path) -> AsyncIterator[Split]:
    written, _ = write_config(folder, "open-sesame")
    with ThreadPoolExecutor(1) as workers:
        async with AsyncExitStack() as held:
            platforms = await held.enter_async_context(open_platforms(written, "open-sesame", 20, workers))
            here = Split(folder, Path(written.gateway.state), platforms)
            held.push_async_callback(here.close)
            for side in SIDES:
                await here.start(side)
            background = await held.enter_async_context(Tasks())
            background.start(platforms.lower.run())
            yield here


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await asyncio.wait_for(process.communicate(), PATIENCE)


async def catalog_of(here: Split, cameras: int) -> tuple[str, ...]:
    """The catalog above, asked for until so many cameras are in it."""
    async with asyncio.timeout(PATIENCE):
        await here.upper.wait_registered(INNER_ID)
        while True:
            catalog = await here.upper.catalog()
            if len(catalog.channels()) == cameras:
                return catalog.ids()


async def result_of(here: Split, channel: str) -> str:
    """What an answered question about that channel ends with; nothing while nobody is there to answer."""
    try:
        return (await here.upper.device_info(target=channel))["Result"]
    except QueryFailed:
        return ""


async def test_two_processes_share_a_catalog_and_answer_questions(tmp_path: Path) -> None:
    async with split(tmp_path) as here:
        ids = await catalog_of(here, 10)
        assert KEPT_BRANCH not in ids
        channel = next(name for name in ids if name[10:13] == "132")
        info = await here.upper.device_info(target=channel)
        assert (info["DeviceID"], info["Result"]) == (channel, "OK")
        with pytest.raises(PlayRefused) as refused:
            async with here.upper.play(here.lower.tree.cameras[1].id):
                pass
        assert refused.value.status == 404
    assert [chain.verify(here.state / side / "audit.jsonl").whole for side in ("outer", "inner")] == [
        True
    ] * 2
    assert [here.outer.returncode, here.inner.returncode] == [0, 0]


async def test_when_the_other_process_dies_the_side_that_is_left_says_no(tmp_path: Path) -> None:
    async with split(tmp_path) as here:
        ids = await catalog_of(here, 10)
        channel = next(name for name in ids if name[10:13] == "132")
        await here.kill("outer")
        with pytest.raises(PlayRefused) as refused:
            async with here.upper.play(channel):
                pass
        assert refused.value.status in {403, 503}
        assert (await here.upper.catalog()).complete  # what was shown stays answered from its own store
    assert chain.verify(here.state / "inner" / "audit.jsonl").whole
    assert here.inner.returncode == 0


@pytest.mark.parametrize("dead", ["outer", "inner"])
async def test_one_process_is_killed_and_started_again_while_the_other_lives(
    tmp_path: Path, dead: SideName
) -> None:
    async with split(tmp_path) as here:
        ids = await catalog_of(here, 10)
        channel = next(name for name in ids if name[10:13] == "132")
        survivor = here.inner if dead == "outer" else here.outer
        if dead == "inner":
            here.upper.registrar.forget(INNER_ID)  # whoever is registered from now on is the new process
        await here.kill(dead)
        await here.start(dead)
        assert await catalog_of(here, 10) == ids
        async with asyncio.timeout(PATIENCE):
            while await result_of(here, channel) != "OK":
                pass
    for side in SIDES:
        assert chain.verify(here.state / side / "audit.jsonl").whole
    assert survivor.returncode == 0
