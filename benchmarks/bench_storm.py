"""110,000 devices: all at once after our sudden death, then evenly, then behind a flood of strangers.

One gateway carries all of it, as `lockgate run` does (sockets, journal, both sides, rules), on one
processor; the devices and the strangers are on another (where there are two). Kamailio has the same devices
before it, after a start of its own. Meanwhile an upper on the other network sends INVITEs for a channel that
is not there: what they wait for is the loop that the devices keep busy.
"""

import contextlib
import re
import statistics
import struct
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import count
from math import inf
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, SOL_SOCKET, socket
from typing import Any, Final, Literal

from msgspec import to_builtins

from benchmarks import peers
from benchmarks.bench_kamailio import KAMAILIO
from benchmarks.bench_signalling import (
    DEVICES_AT,
    DOMAIN,
    GATEWAY_ID,
    INNER,
    OUTER,
    PASSWORD,
    UPPER_ID,
    Gateway,
    Ports,
    Setup,
    failed,
    ids,
    running_gateway,
)
from benchmarks.peers.kamailio import registrar
from benchmarks.results import Result, save
from benchmarks.served import Memory
from interop.demo.cast import free_port
from interop.sim._native import Fleet
from sip.events import Address

COUNT: Final = 110_000
SOCKETS: Final = 64
WINDOW: Final = 512
KEEPALIVE_SECONDS: Final = 60.0
STEADY_SECONDS: Final = 20.0
SETTLE_SECONDS: Final = 400.0
LOOK_SECONDS: Final = 5.0
PATIENCE: Final = 60.0

FORGED_PER_SECOND: Final = 50_000
FLOOD_SECONDS: Final = 10.0
FLOOD_REGISTERS: Final = 200

UPPER: Final = "127.0.2.9"
PROBE_SECONDS: Final = 0.01
PROBE_PATIENCE: Final = 2.0
SO_TIMESTAMPNS: Final = 35
"""Linux: asm-generic/socket.h; the socket module has no name for it."""

Theirs = tuple[Address, int]
"""Where Kamailio listens, and its process."""

MORE: Final = """\
[[inner.upper]]
id = "{id}"
host = "{host}"
port = {port}
"""

INVITE: Final = """\
INVITE sip:{nobody}@{inner}:{inner_port} SIP/2.0\r
Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bKprobe{number}\r
From: <sip:{upper}@{host}>;tag=p{number}\r
To: <sip:{nobody}@{inner}>\r
Call-ID: probe{number}@{host}\r
CSeq: 1 INVITE\r
Contact: <sip:{upper}@{host}:{port}>\r
Max-Forwards: 70\r
Subject: {nobody}:0,{upper}:0\r
Content-Length: 0\r
\r
"""


ACK: Final = """\
ACK sip:{nobody}@{inner}:{inner_port} SIP/2.0\r
Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bKprobe{number}\r
From: <sip:{upper}@{host}>;tag=p{number}\r
{to}\r
Call-ID: probe{number}@{host}\r
CSeq: 1 ACK\r
Max-Forwards: 70\r
Content-Length: 0\r
\r
"""


class Probe:
    """An upper that asks for what is not there, and how long its final answers take. Use `with`.

    One question each `PROBE_SECONDS`, whether those before it were answered or not. An answer has arrived
    when the kernel says so: our own process is busy being 110,000 devices.
    """

    def __init__(self, inner_port: int) -> None:
        self._socket = socket(AF_INET, SOCK_DGRAM)
        self._socket.setsockopt(SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.settimeout(PROBE_SECONDS)
        self._socket.bind((UPPER, 0))
        self.port: Final[int] = self._socket.getsockname()[1]
        self._named = {
            "nobody": "34020000001320009999",
            "upper": UPPER_ID,
            "host": UPPER,
            "port": self.port,
            "inner": INNER,
            "inner_port": inner_port,
        }
        self._gateway = (INNER, inner_port)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._asked: dict[int, float] = {}  # those without an answer, by their number
        self._next = 0
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()

    def __enter__(self) -> "Probe":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Ask meanwhile, and never else: what is measured after it is to cost what it costs alone."""
        threads = [
            threading.Thread(target=run, name=run.__name__, daemon=True) for run in (self._ask, self._hear)
        ]
        self._stopped.clear()
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    @property
    def unanswered(self) -> int:
        """Those that wait for longer than they should have to."""
        with self._lock:
            return sum(asked < time.time() - PROBE_PATIENCE for asked in self._asked.values())

    def _waits(self) -> bool:
        """Some answer may still come."""
        with self._lock:
            return any(asked >= time.time() - PROBE_PATIENCE for asked in self._asked.values())

    def within(self, part: float) -> float:
        """Milliseconds within which that part of them had an answer; who had none has waited until now."""
        with self._lock:
            now = time.time()
            taken = sorted([*self.seconds, *(now - asked for asked in self._asked.values())] or [inf])
        return taken[min(len(taken) - 1, int(part * len(taken)))] * 1e3

    def _ask(self) -> None:
        begun = time.monotonic()
        for tick in count(1):
            if self._stopped.wait(max(0.0, begun + tick * PROBE_SECONDS - time.monotonic())):
                return
            self._next += 1
            invite = INVITE.format(number=self._next, **self._named).encode()
            with self._lock:
                self._asked[self._next] = time.time()
            self._socket.sendto(invite, self._gateway)

    def _hear(self) -> None:
        """Note the final answers; the gateway's own REGISTERs have none."""
        while not self._stopped.is_set() or self._waits():
            try:
                data, stamps, _, _ = self._socket.recvmsg(65_535, 64)
            except TimeoutError:
                continue
            found = re.match(rb"SIP/2.0 ([2-6]\d\d) .*?\r\nCall-ID: probe(\d+)@", data, re.DOTALL)
            if found is None:
                continue
            number = int(found[2])
            to = re.search(rb"\r\n(To: [^\r]*)\r\n", data)
            assert to is not None
            ack = ACK.format(number=number, to=to[1].decode(), **self._named)
            self._socket.sendto(ack.encode(), self._gateway)
            arrived = _kernel_time(stamps)
            with self._lock:
                if (asked := self._asked.pop(number, None)) is not None:
                    self.seconds.append(arrived - asked)
                    self.statuses[found[1].decode()] += 1


def _kernel_time(stamps: list[tuple[int, int, bytes]]) -> float:
    """Seconds of the wall clock at which the datagram arrived."""
    for level, kind, value in stamps:
        if (level, kind) == (SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", value)
            return float(seconds + nanoseconds / 1e9)
    return time.time()


def fleet_of(server: Address, count: int, *, first: int = 0, seed: int = 1) -> Fleet:
    return Fleet(
        server,
        (DEVICES_AT, 0),
        server_id=GATEWAY_ID,
        domain=DOMAIN,
        first_id=ids(first + 1)[-1],
        count=count,
        password=PASSWORD,
        sockets=min(SOCKETS, count),
        seed=seed,
    )


def registered_all(fleet: Fleet, count: int) -> float:
    """Seconds in which all of them registered once more."""
    begun, waited = time.monotonic(), 0.0
    fleet.aim("register", window=WINDOW, count=count)
    last = fleet.counters()
    while not fleet.run(0.25):
        now = fleet.counters()
        waited = 0.0 if now["register_finished"] > last["register_finished"] else waited + 0.25
        last = now
        if waited > PATIENCE:
            raise SystemExit(f"the registrar is silent; {now['under_way']} requests wait")
    return time.monotonic() - begun


@contextlib.contextmanager
def gateway_of(ports: Ports, probe: int, folder: Path, measured: set[int], count: int) -> Iterator[Gateway]:
    more = MORE.format(id=UPPER_ID, host=UPPER, port=probe)
    with peers.on(measured):
        running = running_gateway(Setup(ports, count, more, admitted=True), folder)
        gateway = running.__enter__()
    try:
        yield gateway
    finally:
        running.__exit__(None, None, None)


def measure(
    count: int = COUNT,
    *,
    steady: float = STEADY_SECONDS,
    flood: float = FLOOD_SECONDS,
    forged: int = FORGED_PER_SECOND,
    look: float = LOOK_SECONDS,
    compared: bool = True,
) -> list[Result]:
    """`look`: how often one looks whether all were asked for their catalogs. `compared`: with Kamailio."""
    load, measured = peers.apart()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = Ports.free()
        (folder / "gateway").mkdir()
        probe = stack.enter_context(Probe(ports.inner))
        devices = fleet_of((OUTER, ports.outer), count)
        with gateway_of(ports, probe.port, folder / "gateway", measured, count) as first, peers.on(load):
            registered_all(devices, count)
            first.kill()
        begun = time.monotonic()
        gateway = stack.enter_context(gateway_of(ports, probe.port, folder / "gateway", measured, count))
        started = time.monotonic() - begun
        stack.enter_context(peers.on(load))
        theirs = kamailio(folder / "kamailio", measured) if compared else contextlib.nullcontext(None)
        stages = {"started": gateway.memory()}
        results = storm(devices, gateway, probe, started, theirs)
        stages["registered"] = gateway.memory()
        settle(devices, count, look)
        stages["catalogs"] = gateway.memory()
        results += steady_state(devices, gateway, steady, count, stages)
        results += flooded(devices, (OUTER, ports.outer), gateway, flood, count, forged)
    return results


@contextlib.contextmanager
def kamailio(folder: Path, measured: set[int]) -> Iterator[Theirs | None]:
    """Where it listens, and its process; None where it is not installed."""
    if peers.program("kamailio") is None:
        print("not compared: kamailio is not installed")
        yield None
        return
    at = (KAMAILIO, free_port(KAMAILIO))
    with contextlib.ExitStack() as stack:
        with peers.on(measured):
            process = stack.enter_context(registrar(at, DOMAIN, PASSWORD, folder))
        yield at, process


def storm(
    devices: Fleet,
    gateway: Gateway,
    probe: Probe,
    started: float,
    kamailio: AbstractContextManager[Theirs | None],
) -> list[Result]:
    """All register at once: after our start, which took so long, and after Kamailio's."""
    count = devices.counters()["registered"]
    devices.forget_latency()
    before, used = failed(devices), gateway.used()
    gateway.longest_turn()
    with probe.asking():
        seconds = registered_all(devices, count)
    longest = gateway.longest_turn()
    spent = gateway.used().since(used).seconds
    raw: dict[str, Any] = {
        "devices": count,
        "start_seconds": round(started, 2),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(spent, 2),
        "lost_or_refused": failed(devices) - before,
        "retransmitted": devices.counters()["retransmitted"],
        "put_off": devices.counters()["put_off"],
        "invites": len(probe.seconds),
        "invites_unanswered": probe.unanswered,
        "statuses": dict(probe.statuses),
        "invite_p50_ms": round(probe.within(0.5), 1),
        "invite_worst_ms": round(probe.within(1.0), 1),
        "turns": longest.turns,
        "longest_turn_ms": round(longest.clock * 1e3, 1),
    }
    waited = round(probe.within(0.99), 1)
    results = [
        of("storm, lost or refused", raw["lost_or_refused"], f"of {count:,}", raw, bar=0),
        of("storm, p99 of an INVITE on the other side meanwhile", waited, "ms", raw, bar=100.0),
        of("storm, longest turn of the loop, CPU", round(longest.cpu * 1e3, 1), "ms", raw),
    ]
    with kamailio as theirs:
        if theirs is None:
            return results
        at, process = theirs
        fleet = fleet_of(at, count)
        spent_before = peers.run_seconds(process)
        raw["kamailio_seconds"] = round(registered_all(fleet, count), 2)
        raw["kamailio_cpu_seconds"] = round(peers.run_seconds(process) - spent_before, 2)
        raw["kamailio_lost_or_refused"] = failed(fleet)
    times = round(seconds / raw["kamailio_seconds"], 2)
    cpu = round(spent / raw["kamailio_cpu_seconds"], 2)
    return [
        *results,
        of("storm, against Kamailio", times, "times its seconds", raw, bar=1.0, aim=0.5),
        of("storm, CPU time against Kamailio", cpu, "times its seconds", raw),
    ]


def settle(devices: Fleet, count: int, look: float) -> None:
    """Until everybody was asked for its catalog. Keepalives go on: who is silent for so long is offline."""
    devices.aim("keepalive", rate=count / KEEPALIVE_SECONDS)
    before, waited = -1, 0.0
    while (told := devices.counters()["catalogs"]) > before and waited < SETTLE_SECONDS:
        before = told
        devices.run(look)
        waited += look
    devices.rest("keepalive")


def steady_state(
    devices: Fleet, gateway: Gateway, seconds: float, count: int, stages: dict[str, Memory]
) -> list[Result]:
    """Everybody sends a keepalive a minute, evenly. `stages`: what the gateway held until now."""
    rate = count / KEEPALIVE_SECONDS
    devices.aim("keepalive", rate=rate)
    devices.run(2.0)
    used, begun, done = gateway.used(), time.monotonic(), devices.counters()["keepalive_finished"]
    devices.run(seconds)
    taken, spent = time.monotonic() - begun, gateway.used().since(used)
    finished = devices.counters()["keepalive_finished"] - done
    devices.rest("keepalive")
    devices.run(1.0)
    raw: dict[str, Any] = {
        "keepalives": finished,
        "wanted": round(rate * taken),
        "seconds": round(taken, 2),
        "gateway_user_seconds": round(spent.user, 3),
        "gateway_system_seconds": round(spent.system, 3),
        "p99_ms": round(devices.latency("keepalive")[2] * 1e3, 2),
    }
    load = round(spent.seconds / taken * 100, 1)
    stages["steady"] = gateway.memory()
    for name, held in stages.items():
        print(f"memory, {name}: {told(held)}")
    raw["memory"] = {name: to_builtins(held) for name, held in stages.items()}
    memory = round(stages["steady"].resident)
    return [
        of(f"steady, {rate:,.0f} keepalives a second", load, "% of a core", raw, bar=12.0, aim=8.0),
        of("steady, resident", memory, "MB", raw, bar=350.0, aim=250.0),
    ]


def told(held: Memory) -> str:
    return (
        f"{held.resident:.0f} MiB resident, {held.resident - held.anonymous:.0f} of them files; "
        f"{held.held:.0f} native, {held.given_back:.0f} given back, {held.objects:,} objects"
    )


def flooded(
    devices: Fleet, server: Address, gateway: Gateway, seconds: float, count: int, rate: int
) -> list[Result]:
    """Strangers forge REGISTERs, as many as they can; the devices go on as they have to."""
    strangers = fleet_of(server, 50_000, first=count, seed=2)
    flooding = threading.Event()
    strangers.aim("forged", rate=rate)

    def forge() -> None:
        while not flooding.is_set():
            strangers.run(0.1)

    sizes = [gateway.resident_megabytes]
    before = devices.counters()
    thread = threading.Thread(target=forge, daemon=True)
    thread.start()
    devices.aim("keepalive", rate=count / KEEPALIVE_SECONDS)
    devices.aim("register", rate=FLOOD_REGISTERS)
    begun = time.monotonic()
    while (taken := time.monotonic() - begun) < seconds:
        devices.run(0.5)
        sizes.append(gateway.resident_megabytes)
    devices.rest("keepalive")
    devices.rest("register")
    in_time = devices.counters()
    devices.run(1.0)
    flooding.set()
    thread.join()
    after = devices.counters()
    started = sum(after[f"{what}_started"] - before[f"{what}_started"] for what in ("keepalive", "register"))
    finished = sum(
        after[f"{what}_finished"] - before[f"{what}_finished"] for what in ("keepalive", "register")
    )
    half = len(sizes) // 2
    grown = statistics.median(sizes[half:]) - statistics.median(sizes[:half])
    raw = {
        "forged_per_second": round(strangers.counters()["forged_started"] / taken),
        "started": started,
        "finished": finished,
        "retransmitted": after["retransmitted"] - before["retransmitted"],
        "under_way_at_the_end": in_time["under_way"],
        "megabytes": [round(size) for size in sizes],
    }
    return [
        of("flood, real peers served", round(finished / started * 100, 1), "%", raw, bar=95.0, higher=True),
        of("flood, memory grown between its halves", round(grown, 1), "MB", raw, bar=8.0),
    ]


def of(
    work: str,
    value: float,
    unit: str,
    raw: dict[str, Any],
    *,
    bar: float | None = None,
    aim: float | None = None,
    higher: bool = False,
) -> Result:
    better: Literal["lower", "higher"] = "higher" if higher else "lower"
    return Result(work=f"storm: {work}", value=value, unit=unit, better=better, bar=bar, aim=aim, raw=raw)


def main() -> None:
    results = measure()
    for result in results:
        print(f"{result.work}: {result.value:g} {result.unit}")
    save("storm", results)


if __name__ == "__main__":
    main()
