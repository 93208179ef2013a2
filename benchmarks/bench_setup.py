"""How long a picture takes to be set up: one process against two hosts joined by the link, in turns.

From the upper's INVITE to its 200, over a gateway in a process of its own (or two), real sockets on loopback
and a camera that was not watched before: INVITE below, answer, ports on each relay, answer above. Each
camera is played once in each run, so no source is found alive.
"""

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.results import Result, save
from gateway.config import load
from interop.demo.halves import SIDES
from interop.demo.scene import open_platforms
from interop.sim.tasks import Tasks
from sip.aio.calls import Call, Calls
from tests.gateway.test_two_hosts_real import PASSWORD, PATIENCE, Process, Two, set_up

CAMERAS: Final = 120
WARM: Final = 10
REST_SECONDS: Final = 0.05
"""Between two of them, so that the end of one does not stand in the way of the next."""
RUNS: Final = 3
BAR_MS: Final = 5.0


class Timed(Calls):
    """The upper's calls; notes how many milliseconds passed until each was answered."""

    def __init__(self, calls: Calls, taken: list[float]) -> None:
        self._timed = calls
        self._taken = taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._timed, name)

    @asynccontextmanager
    async def place(self, *given: Any, **named: Any) -> AsyncIterator[Call]:
        begun = time.perf_counter()
        async with self._timed.place(*given, **named) as call:
            self._taken.append((time.perf_counter() - begun) * 1e3)
            yield call


@asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[Two]:
    """Platforms on both networks, and no gateway yet."""
    set_up(folder)
    written = load(folder / "whole" / "gateway.toml")
    with ThreadPoolExecutor(1) as workers:
        async with open_platforms(written, PASSWORD, CAMERAS, workers) as platforms, Tasks() as background:
            here = Two(folder, platforms)
            background.start(platforms.lower.run())
            try:
                yield here
            finally:
                await here.close()


async def whole(folder: Path) -> Process:
    """Both sides in one process."""
    config = folder / "whole" / "gateway.toml"
    config.write_text(config.read_text().partition("\n[link]\n")[0])
    command = (sys.executable, "-m", "gateway", "--lang", "en", "run", "--config", str(config))
    process = Process(await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE))
    await process.says("gateway.ready")
    return process


async def measure(hosts: int) -> list[float]:
    """Milliseconds of each set-up."""
    with tempfile.TemporaryDirectory() as folder:
        async with joined(Path(folder)) as here:
            single = await whole(Path(folder)) if hosts == 1 else None
            if single is None:
                for side in SIDES:
                    await here.start(side)
            taken: list[float] = []
            here.upper._calls = Timed(here.upper._calls, taken)
            ids = [name for name in await here.catalog(CAMERAS // 2) if name[10:13] == "132"]
            await here.answered(ids[0])
            for name in ids:
                async with asyncio.timeout(PATIENCE), here.upper.play(name):
                    pass
                await asyncio.sleep(REST_SECONDS)
            if single is not None:
                await single.end(signal.SIGTERM)
    return taken[WARM:]


def main() -> None:
    runs: dict[int, list[list[float]]] = {1: [], 2: []}
    for _ in range(RUNS):
        for hosts, found in runs.items():
            found.append(asyncio.run(measure(hosts)))
    one, two = (median(min(runs[hosts], key=median)) for hosts in (1, 2))
    raw = {
        "setups": [len(run) for run in runs[1]],
        "one_process_p50_ms": [round(median(run), 3) for run in runs[1]],
        "two_hosts_p50_ms": [round(median(run), 3) for run in runs[2]],
        "one_process_p95_ms": [round(sorted(run)[len(run) * 95 // 100], 3) for run in runs[1]],
        "two_hosts_p95_ms": [round(sorted(run)[len(run) * 95 // 100], 3) for run in runs[2]],
    }
    results = [
        Result(work="set-up in one process", value=round(one, 2), unit="ms p50", better="lower", raw=raw),
        Result(work="set-up between two hosts", value=round(two, 2), unit="ms p50", better="lower", raw=raw),
        Result(
            work="set-up: what the link adds",
            value=round(two - one, 2),
            unit="ms p50",
            better="lower",
            bar=BAR_MS,
            raw=raw,
        ),
    ]
    for result in results:
        print(f"{result.work}: {result.value:g} {result.unit}")
    save("setup", results)


if __name__ == "__main__":
    main()
