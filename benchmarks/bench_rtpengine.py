"""What a forwarded packet costs our relay and rtpengine, in one run, in alternating slices.

Both are alive in processes of their own on one processor; cameras and viewers are in this process on another
(where there are two). CPU time is that of the whole process, divided by the packets that arrived at the
viewers. rtpengine runs in user space with one thread, without its kernel module; it checks less of a packet
than we do, and does not send merged.
"""

import asyncio
import contextlib
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from benchmarks import peers
from benchmarks.bench_relay import HOST, Case, Load, drive, open_streams
from benchmarks.peers import rtpengine
from benchmarks.results import Result, save
from interop.demo.cast import free_port
from media.relay import NativePlane

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

STREAMS: Final = 100
PORTS: Final = (42_000, 43_999)  # of rtpengine: four a stream
WARM_SECONDS, SECONDS, LAST_SECONDS = 0.5, 1.5, 0.05
SLICES: Final = 5
CASES: Final = (
    Case("100 streams, bursts of 14, 20,000 packets/s", STREAMS, 20_000),
    Case("100 streams, bursts arrive merged, 30,000 packets/s", STREAMS, 30_000, merged_source=True),
)


class Slice(Struct, frozen=True):
    sent: int
    arrived: int
    cpu_seconds: float

    @property
    def cost(self) -> float:
        """CPU time of one packet that arrived, nanoseconds."""
        return self.cpu_seconds / max(self.arrived, 1) * 1e9


def serve(case: Case, sink_ports: list[int], ask: "Connection[Any, Any]") -> None:
    """Our relay's process: says its ports, and ends when the pipe closes."""

    async def relay() -> None:
        async with NativePlane(asyncio.get_running_loop()) as plane:
            ask.send(await open_streams(plane, case, sink_ports))
            closed = asyncio.Event()
            asyncio.get_running_loop().add_reader(ask.fileno(), closed.set)
            await closed.wait()

    asyncio.run(relay())


@contextlib.contextmanager
def our_relay(load: Load) -> Iterator[int]:
    spawning = multiprocessing.get_context("spawn")
    ask, answers = spawning.Pipe()
    process = spawning.Process(target=serve, args=(load.case, load.sink_ports, answers), daemon=True)
    process.start()
    answers.close()
    try:
        if not ask.poll(20.0):
            raise SystemExit("the relay did not start")
        load.ports = ask.recv()
        assert process.pid is not None
        yield process.pid
    finally:
        ask.close()
        process.join(10.0)


@contextlib.contextmanager
def their_relay(load: Load, folder: Path) -> Iterator[int]:
    at = free_port(HOST)
    camera = load.camera.getsockname()[1]
    with rtpengine.running(at, folder, *PORTS) as process, contextlib.ExitStack() as stack:
        control = rtpengine.Control(at, stack)
        sinks = load.sink_ports
        load.ports = [
            control.stream(str(number), camera, sinks[number % len(sinks)])
            for number in range(load.case.streams)
        ]
        yield process


def one(load: Load, process: int, seconds: float) -> Slice:
    sent, arrived, used = load.sent, load.drained, peers.run_seconds(process)
    drive(load, seconds)
    until = time.monotonic() + LAST_SECONDS
    while time.monotonic() < until:  # what is still on its way
        load.drain()
    return Slice(load.sent - sent, load.drained - arrived, peers.run_seconds(process) - used)


def measure(case: Case) -> list[Result]:
    generator, measured = peers.apart()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        loads = Load(case, stack), Load(case, stack)
        with peers.on(measured):
            processes = (
                stack.enter_context(our_relay(loads[0])),
                stack.enter_context(their_relay(loads[1], folder)),
            )
        stack.enter_context(peers.on(generator))
        sides = tuple(zip(loads, processes, strict=True))
        for load, process in sides:
            one(load, process, WARM_SECONDS)
        ours: list[Slice] = []
        theirs: list[Slice] = []
        for _ in range(SLICES):
            for (load, process), kept in zip(sides, (ours, theirs), strict=True):
                kept.append(one(load, process, SECONDS))
    ratio = statistics.median(our.cost / their.cost for our, their in zip(ours, theirs, strict=True))
    raw = {
        "relay": figures(ours),
        "rtpengine": figures(theirs),
        "streams": case.streams,
        "slice_seconds": SECONDS,
    }

    def result(what: str, value: float, unit: str) -> Result:
        work = f"rtpengine: {case.work}, {what}"
        return Result(work=work, value=value, unit=unit, better="lower", raw=raw)

    return [
        result("our relay", median(ours), "ns per packet arrived"),
        result("rtpengine", median(theirs), "ns per packet arrived"),
        result("against rtpengine", round(ratio, 2), "times its CPU time"),
    ]


def median(slices: list[Slice]) -> float:
    return round(statistics.median(each.cost for each in slices))


def figures(slices: list[Slice]) -> dict[str, Any]:
    return {
        "nanoseconds_each": [round(each.cost) for each in slices],
        "sent": [each.sent for each in slices],
        "arrived": [each.arrived for each in slices],
    }


def main() -> None:
    results = []
    if peers.program("rtpengine") is None:
        print("not measured: rtpengine is not installed")
    else:
        for case in CASES:
            made = measure(case)
            results += made
            for result in made:
                print(f"{result.work}: {result.value:g} {result.unit}")
    save("rtpengine", results)


if __name__ == "__main__":
    main()
