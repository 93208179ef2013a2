"""REGISTER with digest and keepalives: the real gateway against Kamailio, in one run, in alternating slices.

All are alive on one processor, the devices on another (where there are two); who is not asked does
nothing. What a processor carries is drawn from the CPU time of one registration (401, then 200) or one
keepalive: the rate that is reached also depends on what else the machine does. The gateway writes bindings to
a journal, tells the other side who is online, and prolongs a lease by each keepalive; Kamailio keeps bindings
in memory, has one password for everybody, and answers a MESSAGE without a look at its sender: statelessly, or
through tm, which absorbs repeats as the gateway does.
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
    Ports,
    Setup,
    Work,
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
KAMAILIO_TM: Final = "127.0.1.4"
SLICES: Final = 7
SECONDS: Final = 1.0
PROMISED: Final = {
    "register": (0.75, 1.0),
    "keepalive, stateless": (0.6, 0.9),
    "keepalive, through tm": (1.3, 1.8),
}
"""Bar and aim of each ratio."""


class Slice(Struct, frozen=True):
    done: int
    seconds: float
    cpu_seconds: float

    @property
    def cost(self) -> float:
        """CPU time of one, microseconds."""
        return self.cpu_seconds / self.done * 1e6


class Server(Struct):
    """One of those that are compared, with devices of its own."""

    name: str
    fleet: Fleet
    process: int

    def slice(self, what: Work) -> Slice:
        used, begun = peers.run_seconds(self.process), time.monotonic()
        done = run(self.fleet, what, seconds=SECONDS)
        return Slice(done, time.monotonic() - begun, peers.run_seconds(self.process) - used)


def figures(slices: list[Slice]) -> dict[str, Any]:
    return {
        "done": sum(each.done for each in slices),
        "microseconds_each": [round(each.cost, 2) for each in slices],
        "reached_per_second": [round(each.done / each.seconds) for each in slices],
    }


def measure() -> list[Result]:
    load, measured = peers.apart()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = Ports.free()
        stateless, tm = ((host, free_port(host)) for host in (KAMAILIO, KAMAILIO_TM))
        with peers.on(measured):
            gateway = stack.enter_context(running_gateway(Setup(ports))).pid
            kamailio = stack.enter_context(registrar(stateless, DOMAIN, PASSWORD, folder / "stateless"))
            with_tm = stack.enter_context(registrar(tm, DOMAIN, PASSWORD, folder / "tm", "tm"))
        stack.enter_context(peers.on(load))
        us = Server("gateway", devices((OUTER, ports.outer)), gateway)
        them = Server("kamailio", devices(stateless), kamailio)
        stateful = Server("kamailio_tm", devices(tm), with_tm)
        for server in (us, them, stateful):
            run(server.fleet, "register", count=DEVICES)  # everybody is known
        results = compared("register", "REGISTER with digest", us, {"": them})
        results += compared("keepalive", "keepalive", us, {", stateless": them, ", through tm": stateful})
    return results


def compared(what: Work, name: str, us: Server, others: dict[str, Server]) -> list[Result]:
    """Slices of all in turn; rates, and ratios of ours to each, from the slices of one round."""
    servers = [us, *others.values()]
    rounds = [[server.slice(what) for server in servers] for _ in range(SLICES)]
    columns = [list(column) for column in zip(*rounds, strict=True)]
    raw: dict[str, Any] = {
        server.name: {**figures(column), "failed": failed(server.fleet)}
        for server, column in zip(servers, columns, strict=True)
    }
    raw |= {"devices": DEVICES, "window": WINDOW, "slice_seconds": SECONDS}
    unit = "per second and processor"
    results = [_result(f"{name}, the gateway", rate(columns[0]), unit, raw)]
    for (how, _), column in zip(others.items(), columns[1:], strict=True):
        ratio = statistics.median(k.cost / g.cost for g, k in zip(columns[0], column, strict=True))
        promised = PROMISED[f"{what}{how}"]
        results += [
            _result(f"{name}, Kamailio{how}", rate(column), unit, raw),
            _result(f"{name}, against Kamailio{how}", round(ratio, 2), "times its rate", raw, promised),
        ]
    return results


def rate(slices: list[Slice]) -> int:
    return round(1e6 / statistics.median(each.cost for each in slices))


def _result(
    work: str,
    value: float,
    unit: str,
    raw: dict[str, Any],
    promised: tuple[float | None, float | None] = (None, None),
) -> Result:
    bar, aim = promised
    return Result(
        work=f"kamailio: {work}", value=value, unit=unit, better="higher", bar=bar, aim=aim, raw=raw
    )


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
