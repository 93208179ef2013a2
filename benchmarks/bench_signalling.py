"""What registrations and keepalives cost the gateway: CPU time of its process, kernel included.

The gateway runs as `lockgate run` does (sockets, SQLite, both sides) in a process of its own. The devices
are in this process, native, on one socket: 1,000 of them, 64 requests under way at once. The rate is what
the pair reached on this machine; the CPU time of one says what a core of the gateway could carry.
"""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

from benchmarks.results import Result, save
from benchmarks.served import Memory, Used
from benchmarks.turns import Longest
from interop.demo.cast import free_port
from interop.demo.sealing import seal
from interop.sim._native import Fleet
from interop.sim.fleet import statuses
from sip.events import Address

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

OUTER: Final = "127.0.1.1"
INNER: Final = "127.0.2.1"
DEVICES_AT: Final = "127.0.1.2"
GATEWAY_ID: Final = "44010000002000000001"
UPPER_ID: Final = "34020000002000000001"
DOMAIN: Final = GATEWAY_ID[:10]
PASSWORD: Final = "benchmark"
DEVICES: Final = 1000
WINDOW: Final = 64
SECONDS: Final = 5.0
PATIENCE: Final = 5.0

T = TypeVar("T")
Work = Literal["register", "keepalive"]

TOML: Final = """\
[gateway]
state = "state"
[outer]
id = "{gateway}"
address = "{outer}"
port = {outer_port}
media_ports = [30000, 30398]
networks = {networks}
[[outer.listen]]
transport = "tcp"
port = {outer_port}
{peers}
[inner]
id = "44010000002000000002"
address = "{inner}"
port = {inner_port}
media_ports = [31000, 31398]
networks = ["127.0.2.0/24"]
[[rule]]
id = "presence"
reason = "The other side must know who is online."
direction = "inward"
action = "notice.presence"
channels = ["*"]
verdict = "allow"
"""


def ids(count: int = DEVICES) -> list[str]:
    return [f"44010700001180{number:06d}" for number in range(count)]


ADMIT: Final = """\
[[outer.admit]]
name = "fleet"
region = "44010700"
kinds = ["118"]
most = 200_000
"""


class Ports(NamedTuple):
    outer: int
    inner: int

    @classmethod
    def free(cls) -> "Ports":
        return cls(free_port(OUTER), free_port(INNER))


class Setup(NamedTuple):
    """What a gateway is to serve: `more` is an upper UPPER_ID in its configuration, or nothing. `admitted`:
    its devices have no table each, as nobody writes a hundred thousand."""

    ports: Ports
    devices: int = DEVICES
    more: str = ""
    networks: str = "127.0.1.0/24"
    admitted: bool = False


def prepare(folder: Path, setup: Setup) -> None:
    """Its configuration, and the secret of each peer."""
    if (folder / "gateway.toml").exists():
        return
    known = ids(setup.devices)
    written = TOML.format(
        gateway=GATEWAY_ID,
        outer=OUTER,
        outer_port=setup.ports.outer,
        inner=INNER,
        inner_port=setup.ports.inner,
        networks=f'["{setup.networks}"]',
        peers=ADMIT if setup.admitted else "".join(f'[[outer.lower]]\nid = "{device}"\n' for device in known),
    )
    (folder / "gateway.toml").write_text(written + setup.more)
    seal(folder / "gateway.toml", dict.fromkeys(known + ([UPPER_ID] if setup.more else []), PASSWORD))


def devices(gateway: Address) -> Fleet:
    """A thousand devices on one socket."""
    return Fleet(
        gateway,
        (DEVICES_AT, 0),
        server_id=GATEWAY_ID,
        domain=DOMAIN,
        first_id=ids()[0],
        count=DEVICES,
        password=PASSWORD,
    )


def run(fleet: Fleet, what: Work, *, seconds: float = 0.0, count: int | None = None) -> int:
    """Keep the window full for `seconds`, or until `count` were done; how many ended in 200."""
    before = fleet.counters()[f"{what}_finished"]
    fleet.aim(what, window=WINDOW, count=count)
    last, waited = fleet.counters(), 0.0
    if count is None:
        fleet.run(seconds)
        fleet.rest(what)
    while not fleet.run(0.5):
        now = fleet.counters()
        waited = waited + 0.5 if now == last else 0.0
        last = now
        if waited > PATIENCE:
            raise SystemExit(f"the registrar is silent; {now['under_way']} requests wait")
    return fleet.counters()[f"{what}_finished"] - before


def failed(fleet: Fleet) -> int:
    """What ended in no 200, or was lost."""
    counters = fleet.counters()
    refused = sum(statuses(counters, "register", "keepalive").values())
    return refused + counters["register_lost"] + counters["keepalive_lost"]


def measure(fleet: Fleet, gateway: "Gateway", name: str, what: Work) -> list[Result]:
    """Two results of one run: CPU time of the gateway for one, and how many a second there were."""
    before, own, begun = gateway.used(), Used.now(), time.monotonic()
    finished = run(fleet, what, seconds=SECONDS)
    taken = time.monotonic() - begun
    spent, own = gateway.used().since(before), Used.now().since(own)
    raw = {
        "finished": finished,
        "failed": failed(fleet),
        "seconds": round(taken, 3),
        "gateway_user_seconds": round(spent.user, 3),
        "gateway_system_seconds": round(spent.system, 3),
        "devices_cpu_seconds": round(own.seconds, 3),
        "devices": DEVICES,
        "window": WINDOW,
    }
    cost = round(spent.seconds / finished * 1e6, 1)
    rate = round(finished / taken)
    return [
        Result(work=f"signalling: {name}, CPU time", value=cost, unit="µs each", better="lower", raw=raw),
        Result(
            work=f"signalling: {name}, rate reached", value=rate, unit="per second", better="higher", raw=raw
        ),
    ]


class Gateway:
    """The gateway's process as the devices' side sees it."""

    def __init__(self, pid: int, ask: "Connection[Any, Any]") -> None:
        self.pid: Final = pid
        self._ask = ask

    def used(self) -> Used:
        return self._answer("used", Used)

    def longest_turn(self) -> Longest:
        """Of its loop, since that was asked last."""
        return self._answer("turns", Longest)

    def memory(self) -> Memory:
        return self._answer("memory", Memory)

    def _answer(self, question: str, kind: type[T]) -> T:
        self._ask.send(question)
        answer = self._ask.recv()
        assert isinstance(answer, kind)
        return answer

    @property
    def resident_megabytes(self) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise SystemExit("the gateway has died")

    def kill(self) -> None:
        """As the kernel kills it: nothing is written, nobody is told."""
        os.kill(self.pid, signal.SIGKILL)


@contextlib.contextmanager
def running_gateway(setup: Setup, folder: Path | None = None) -> Iterator[Gateway]:
    """The gateway in a process of its own; what it keeps is in `folder`, if given."""
    ask, answers = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as passing, ask:
        place = folder or Path(passing)
        prepare(place, setup)
        command = [sys.executable, "-m", "benchmarks.served", str(place), str(answers.fileno())]
        process = subprocess.Popen(command, pass_fds=[answers.fileno()])
        answers.close()
        try:
            ask.send("ready")
            if not ask.poll(20.0 + setup.devices / 500):
                raise SystemExit("the gateway did not start")
            ask.recv()
            yield Gateway(process.pid, ask)
        finally:
            ask.close()
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> None:
    ports = Ports.free()
    with running_gateway(Setup(ports)) as gateway:
        fleet = devices((OUTER, ports.outer))
        run(fleet, "register", count=DEVICES)  # everybody is known, catalogs are asked for
        results = measure(fleet, gateway, "REGISTER with digest (401, 200)", "register")
        results += measure(fleet, gateway, "keepalive", "keepalive")
    for result in results:
        print(f"{result.work}: {result.value:g} {result.unit}")
    save("signalling", results)


if __name__ == "__main__":
    main()
