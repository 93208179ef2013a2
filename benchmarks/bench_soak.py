"""The soak: ten million good and bad messages at the whole gateway (tests/gateway/soak.py), or as named.

The gateway's loop runs in virtual time, so it never rests, but its turns are measured by the real clock and
by the CPU that they took; a turn may hold a whole batch of a hundred messages, and who sends them. Asked:
no turn of 50 ms or more, memory flat, nothing unhandled, each good message answered well.

Left out of a whole run: `make bench ARGS=soak`, or `python -m benchmarks.bench_soak 1000000`.
"""

import asyncio
import gc
import logging
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.results import Result, save
from gateway.collecting import calm
from tests.clock import VirtualLoop
from tests.gateway.soak import Soaked, soak

MESSAGES: Final = 10_000_000
STALL_MS: Final = 50.0
FLAT: Final = 1.05
"""Resident memory at the end against that after the first tenth."""
TOLD: Final = 100_000


class Timed(VirtualLoop):
    """Notes its longest turn, by the clock and by CPU, in seconds, while it is `counting`."""

    def __init__(self) -> None:
        super().__init__(limit=float("inf"))
        self.counting = False
        self.longest = self.longest_cpu = 0.0

    def _run_once(self) -> None:
        begun, used = time.perf_counter(), time.thread_time()
        super()._run_once()  # type: ignore[misc]
        if self.counting:
            self.longest = max(self.longest, time.perf_counter() - begun)
            self.longest_cpu = max(self.longest_cpu, time.thread_time() - used)


class Errors(logging.Handler):
    """Counts what was logged as an error, which is what is not handled."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def resident() -> int:
    """Bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def measure(messages: int = MESSAGES) -> list[Result]:
    loop, errors = Timed(), Errors()
    logging.getLogger().addHandler(errors)
    sizes: list[int] = []
    told = 0

    def noticed(soaked: Soaked) -> None:
        nonlocal told
        loop.counting = bool(sizes)  # from then on: to collect all garbage is our doing
        if not sizes and soaked.sent >= messages / 10:
            gc.collect()
            sizes.append(resident())
        if soaked.sent // TOLD > told:
            told = soaked.sent // TOLD
            longest = loop.longest * 1e3
            print(
                f"{soaked.sent:,} messages, {resident() >> 20} MiB, longest turn {longest:.1f} ms", flush=True
            )

    begun = time.perf_counter()
    asyncio.set_event_loop(loop)
    try:
        with calm():
            soaked = loop.run_until_complete(soak(messages, noticed=noticed))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
        asyncio.set_event_loop(None)
        logging.getLogger().removeHandler(errors)
    seconds = time.perf_counter() - begun
    gc.collect()
    sizes.append(resident())
    growth = sizes[-1] / sizes[0]
    lost = soaked.asked - soaked.answered
    print(
        f"{soaked.sent:,} messages in {seconds:.0f} s; longest turn {loop.longest * 1e3:.1f} ms"
        f" ({loop.longest_cpu * 1e3:.1f} ms of CPU); resident {sizes[0] >> 20} to {sizes[-1] >> 20} MiB;"
        f" {errors.count} errors; {lost} good ones not answered well; at rest {soaked.held}"
    )
    assert soaked.held[0] == soaked.held[1]
    raw = {"messages": soaked.sent, "seconds": round(seconds), "kinds": dict(soaked.kinds)}
    return [
        Result(
            work="soak: longest turn of the loop, by the clock",
            value=round(loop.longest * 1e3, 1),
            unit="ms",
            better="lower",
            bar=STALL_MS,
            raw=raw,
        ),
        Result(
            work="soak: longest turn of the loop, CPU that it took",
            value=round(loop.longest_cpu * 1e3, 1),
            unit="ms",
            better="lower",
            bar=STALL_MS,
        ),
        Result(
            work="soak: resident memory, end against first tenth",
            value=round(growth, 3),
            unit="x",
            better="lower",
            bar=FLAT,
            raw={"mib": [size >> 20 for size in sizes]},
        ),
        Result(work="soak: errors", value=errors.count, unit="", better="lower", bar=0),
        Result(work="soak: good messages not answered well", value=lost, unit="", better="lower", bar=0),
    ]


def main(messages: int = MESSAGES) -> None:
    save("soak", measure(messages))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES)
