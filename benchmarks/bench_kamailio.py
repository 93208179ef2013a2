"""REGISTER with digest: the real gateway against Kamailio, in one run, in alternating slices.

Both are alive on one processor, the devices on another (where there are two); who is not asked does
nothing. What a processor carries is drawn from the CPU time of one registration (401, then 200): the rate
that is reached also depends on what else the machine does. The gateway keeps bindings in SQLite and
tells the other side who is online; Kamailio keeps them in memory and has one password for everybody.
"""

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from benchmarks import peers
from benchmarks.bench_signalling import (
    DEVICES,
    DOMAIN,
    OUTER,
    PASSWORD,
    WINDOW,
    devices,
    failed,
    run,
    running_gateway,
)
from benchmarks.peers.kamailio import registrar
from benchmarks.results import Result, save
from interop.demo.cast import free_port
from interop.sim._native import Fleet

KAMAILIO: Final = "127.0.1.3"
SLICES: Final = 7
SECONDS: Final = 1.0


class Slice(Struct, frozen=True):
    registrations: int
    seconds: float
    cpu_seconds: float

    @property
    def cost(self) -> float:
        """CPU time of one registration, microseconds."""
        return self.cpu_seconds / self.registrations * 1e6


def one(fleet: Fleet, process: int) -> Slice:
    used, begun = peers.run_seconds(process), time.monotonic()
    done = run(fleet, "register", seconds=SECONDS)
    return Slice(done, time.monotonic() - begun, peers.run_seconds(process) - used)


def figures(slices: list[Slice]) -> dict[str, Any]:
    return {
        "registrations": sum(each.registrations for each in slices),
        "microseconds_each": [round(each.cost, 2) for each in slices],
        "reached_per_second": [round(each.registrations / each.seconds) for each in slices],
    }


def measure() -> list[Result]:
    load, measured = peers.apart()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours, theirs = (OUTER, free_port(OUTER)), (KAMAILIO, free_port(KAMAILIO))
        with peers.on(measured):
            gateway = stack.enter_context(running_gateway(ours[1])).pid
            kamailio = stack.enter_context(registrar(theirs, DOMAIN, PASSWORD, folder))
        stack.enter_context(peers.on(load))

        sides = [(devices(ours), gateway), (devices(theirs), kamailio)]
        for fleet, _ in sides:
            run(fleet, "register", count=DEVICES)  # everybody is known
        slices: tuple[list[Slice], list[Slice]] = ([], [])
        for _ in range(SLICES):
            for (fleet, process), kept in zip(sides, slices, strict=True):
                kept.append(one(fleet, process))
        failures = [failed(fleet) for fleet, _ in sides]
    gateway_slices, kamailio_slices = slices
    ratio = statistics.median(k.cost / g.cost for g, k in zip(*slices, strict=True))
    raw = {
        "gateway": {**figures(gateway_slices), "failed": failures[0]},
        "kamailio": {**figures(kamailio_slices), "failed": failures[1]},
        "devices": DEVICES,
        "window": WINDOW,
        "slice_seconds": SECONDS,
    }
    made = _Results(raw)
    return [
        made.of("REGISTER with digest, the gateway", rate(gateway_slices), "per second and processor"),
        made.of("REGISTER with digest, Kamailio", rate(kamailio_slices), "per second and processor"),
        made.of("REGISTER with digest, against Kamailio", round(ratio, 2), "times its rate"),
    ]


def rate(slices: list[Slice]) -> int:
    return round(1e6 / statistics.median(each.cost for each in slices))


class _Results:
    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw

    def of(self, work: str, value: float, unit: str) -> Result:
        return Result(work=f"kamailio: {work}", value=value, unit=unit, better="higher", raw=self._raw)


def main() -> None:
    if peers.program("kamailio") is None:
        print("not measured: kamailio is not installed")
        save("kamailio", [])
        return
    results = measure()
    for result in results:
        print(f"{result.work}: {result.value:g} {result.unit}")
    save("kamailio", results)


if __name__ == "__main__":
    main()
