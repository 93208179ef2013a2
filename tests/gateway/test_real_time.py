"""The named handful with real sockets and real time. They wait for events, never for a duration."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from interop.demo.cast import quiet_cast, write_config
from interop.demo.report import Delay, Report, SpokenReport, read

PATIENCE = 60.0
pytestmark = pytest.mark.usefixtures("alone")
"""Seconds until a test that hangs is given up; nothing is measured by it."""


async def start(*command: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)


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
    assert len(report.checked) == 25
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
    write_config(tmp_path, "open-sesame", cast=quiet_cast())
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
