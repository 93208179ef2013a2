"""110,000 devices: all at once after our sudden death, then evenly, then behind a flood of strangers.

One gateway carries all of it, as `lockgate run` does (sockets, journal, both sides, rules), on one
processor; the devices and the strangers are on another (where there are two). Kamailio has the same devices
before it, after a start of its own. Meanwhile an upper on the other network sends INVITEs for a channel that
is not there: what they wait for is the loop that the devices keep busy.
"""

import contextlib
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any, Final, Literal

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
from interop.demo.cast import free_port
from interop.sim._native import Fleet
from sip.events import Address

COUNT: Final = 110_000
SOCKETS: Final = 64
WINDOW: Final = 512
KEEPALIVE_SECONDS: Final = 60.0
STEADY_SECONDS: Final = 20.0
SETTLE_SECONDS: Final = 400.0
PATIENCE: Final = 60.0

FORGED_PER_SECOND: Final = 50_000
FLOOD_SECONDS: Final = 10.0
FLOOD_REGISTERS: Final = 200

UPPER: Final = "127.0.2.9"
PROBE_SECONDS: Final = 0.02
PROBE_PATIENCE: Final = 2.0

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


class Probe:
    """An upper that asks for what is not there, and how long its final answers take. Use `with`."""

    def __init__(self, inner_port: int) -> None:
        self._socket = socket(AF_INET, SOCK_DGRAM)
        self._socket.bind((UPPER, 0))
        self.port: Final[int] = self._socket.getsockname()[1]
        self._gateway = (INNER, inner_port)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
        self.seconds: list[float] = []
        self.statuses: dict[str, int] = {}
        self.unanswered = 0

    def __enter__(self) -> "Probe":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._socket.close()

    def forget(self) -> None:
        self.seconds, self.unanswered = [], 0

    def within(self, part: float) -> float:
        """Milliseconds within which that part of them had an answer; who had none waited to the end."""
        taken = sorted([*self.seconds, *[PROBE_PATIENCE] * max(self.unanswered, not self.seconds)])
        return taken[min(len(taken) - 1, int(part * len(taken)))] * 1e3

    def _run(self) -> None:
        number = 0
        while not self._stopped.wait(PROBE_SECONDS):
            number += 1
            begun = time.monotonic()
            invite = INVITE.format(
                nobody="34020000001320009999",
                upper=UPPER_ID,
                host=UPPER,
                port=self.port,
                inner=self._gateway[0],
                inner_port=self._gateway[1],
                number=number,
            )
            self._socket.sendto(invite.encode(), self._gateway)
            if self._answered(number, begun + PROBE_PATIENCE):
                self.seconds.append(time.monotonic() - begun)
            else:
                self.unanswered += 1

    def _answered(self, number: int, until: float) -> bool:
        """Wait for a final answer; the gateway's own REGISTERs have none."""
        while (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                answer = self._socket.recv(65_535)
            except TimeoutError:
                return False
            status = answer[8:11].decode("ascii", "replace")
            if (
                not answer.startswith(b"SIP/2.0 ")
                or f"probe{number}@".encode() not in answer
                or status < "200"
            ):
                continue
            self.statuses[status] = self.statuses.get(status, 0) + 1
            return True
        return False


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
        running = running_gateway(Setup(ports, count, more), folder)
        gateway = running.__enter__()
    try:
        yield gateway
    finally:
        running.__exit__(None, None, None)


def measure(
    count: int = COUNT, *, steady: float = STEADY_SECONDS, flood: float = FLOOD_SECONDS
) -> list[Result]:
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
        gateway = stack.enter_context(gateway_of(ports, probe.port, folder / "gateway", measured, count))
        stack.enter_context(peers.on(load))
        results = storm(devices, gateway, probe, folder, measured, count)
        settle(devices, count)
        results += steady_state(devices, gateway, steady, count)
        results += flooded(devices, (OUTER, ports.outer), gateway, flood, count)
    return results


def storm(
    devices: Fleet, gateway: Gateway, probe: Probe, folder: Path, measured: set[int], count: int
) -> list[Result]:
    """All register at once: after our start, and after Kamailio's."""
    devices.forget_latency()
    probe.forget()
    before, used = failed(devices), gateway.used()
    seconds = registered_all(devices, count)
    spent = gateway.used().since(used).seconds
    raw: dict[str, Any] = {
        "devices": count,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(spent, 2),
        "lost_or_refused": failed(devices) - before,
        "retransmitted": devices.counters()["retransmitted"],
        "put_off": devices.counters()["put_off"],
        "invites": len(probe.seconds),
        "invites_unanswered": probe.unanswered,
        "statuses": probe.statuses,
        "invite_p50_ms": round(probe.within(0.5), 1),
    }
    waited = round(probe.within(0.99), 1)
    results = [
        of("storm, lost or refused", raw["lost_or_refused"], f"of {count:,}", raw, bar=0),
        of("storm, p99 of an INVITE on the other side meanwhile", waited, "ms", raw, bar=100.0),
    ]
    if peers.program("kamailio") is None:
        print("not compared: kamailio is not installed")
        return results
    at = (KAMAILIO, free_port(KAMAILIO))
    with contextlib.ExitStack() as stack:
        with peers.on(measured):
            process = stack.enter_context(registrar(at, DOMAIN, PASSWORD, folder / "kamailio"))
        theirs = fleet_of(at, count)
        started = peers.run_seconds(process)
        raw["kamailio_seconds"] = round(registered_all(theirs, count), 2)
        raw["kamailio_cpu_seconds"] = round(peers.run_seconds(process) - started, 2)
        raw["kamailio_lost_or_refused"] = failed(theirs)
    times = round(seconds / raw["kamailio_seconds"], 2)
    cpu = round(spent / raw["kamailio_cpu_seconds"], 2)
    return [
        *results,
        of("storm, against Kamailio", times, "times its seconds", raw, bar=1.0, aim=0.5),
        of("storm, CPU time against Kamailio", cpu, "times its seconds", raw),
    ]


def settle(devices: Fleet, count: int) -> None:
    """Until everybody was asked for its catalog. Keepalives go on: who is silent for so long is offline."""
    devices.aim("keepalive", rate=count / KEEPALIVE_SECONDS)
    before, waited = -1, 0.0
    while (told := devices.counters()["catalogs"]) > before and waited < SETTLE_SECONDS:
        before = told
        devices.run(5.0)
        waited += 5.0
    devices.rest("keepalive")


def steady_state(devices: Fleet, gateway: Gateway, seconds: float, count: int) -> list[Result]:
    """Everybody sends a keepalive a minute, evenly."""
    rate = count / KEEPALIVE_SECONDS
    devices.aim("keepalive", rate=rate)
    devices.run(2.0)
    used, begun, done = gateway.used(), time.monotonic(), devices.counters()["keepalive_finished"]
    devices.run(seconds)
    taken, spent = time.monotonic() - begun, gateway.used().since(used)
    finished = devices.counters()["keepalive_finished"] - done
    devices.rest("keepalive")
    devices.run(1.0)
    raw = {
        "keepalives": finished,
        "wanted": round(rate * taken),
        "seconds": round(taken, 2),
        "gateway_user_seconds": round(spent.user, 3),
        "gateway_system_seconds": round(spent.system, 3),
        "p99_ms": round(devices.latency("keepalive")[2] * 1e3, 2),
    }
    load = round(spent.seconds / taken * 100, 1)
    memory = round(gateway.resident_megabytes)
    return [
        of(f"steady, {rate:,.0f} keepalives a second", load, "% of a core", raw, bar=12.0, aim=8.0),
        of("steady, resident", memory, "MB", raw, bar=350.0, aim=250.0),
    ]


def flooded(devices: Fleet, server: Address, gateway: Gateway, seconds: float, count: int) -> list[Result]:
    """Strangers forge REGISTERs, as many as they can; the devices go on as they have to."""
    strangers = fleet_of(server, 50_000, first=count, seed=2)
    flooding = threading.Event()
    strangers.aim("forged", rate=FORGED_PER_SECOND)

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
