"""What registrations and keepalives cost the gateway: CPU time of its process, kernel included.

The gateway runs as `lockgate run` does (sockets, SQLite, both sides) in a process of its own. The devices
are in this process, on one socket: 1,000 of them, 64 requests under way at once. The rate is what the pair
reached on this machine; the CPU time of one transaction says what a core of the gateway could carry.
"""

import asyncio
import contextlib
import multiprocessing
import os
import resource
import select
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from benchmarks.results import Result, save
from cascade.manscdp import CONTENT_TYPE, keepalive
from gateway import config
from gateway.app import open_gateway, real_surroundings
from interop.demo.cast import free_port
from sip._native import Engine, authorize
from sip.events import Address, Event, Kind, Reply, Request

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

OUTER: Final = "127.0.1.1"
INNER: Final = "127.0.2.1"
DEVICES_AT: Final = "127.0.1.2"
GATEWAY_ID: Final = "44010000002000000001"
DOMAIN: Final = GATEWAY_ID[:10]
PASSWORD: Final = "benchmark"
DEVICES: Final = 1000
WINDOW: Final = 64
SECONDS: Final = 5.0
PATIENCE: Final = 5.0

TOML: Final = """\
[gateway]
state = "state"
[outer]
id = "{gateway}"
address = "{outer}"
port = {outer_port}
media_ports = [30000, 30398]
networks = ["127.0.1.0/24"]
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


class Used(Struct, frozen=True):
    """CPU seconds of a process so far."""

    user: float
    system: float

    @classmethod
    def now(cls) -> "Used":
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return cls(usage.ru_utime, usage.ru_stime)

    def since(self, before: "Used") -> "Used":
        return Used(self.user - before.user, self.system - before.system)

    @property
    def seconds(self) -> float:
        return self.user + self.system


def ids() -> list[str]:
    return [f"44010700001180{number:06d}" for number in range(DEVICES)]


def serve(folder: str, port: int, ask: "Connection[Any, Any]") -> None:
    """The gateway's process: answers each word on `ask` with its CPU time, until the pipe closes."""
    asyncio.run(_serve(Path(folder), port, ask))


async def _serve(folder: Path, port: int, ask: "Connection[Any, Any]") -> None:
    os.chdir(folder)
    peers = "".join(f'[[outer.lower]]\nid = "{device}"\n' for device in ids())
    inner_port = free_port(INNER)
    written = TOML.format(
        gateway=GATEWAY_ID, outer=OUTER, outer_port=port, inner=INNER, inner_port=inner_port, peers=peers
    )
    (folder / "gateway.toml").write_text(written)
    secrets = folder / "secrets.toml"
    secrets.touch(mode=0o600)
    passwords = "".join(f'"{device}" = "{PASSWORD}"\n' for device in ids())
    secrets.write_text(f"[outer.passwords]\n{passwords}\n[inner.passwords]\n")
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def answer() -> None:
        try:
            ask.recv()
        except EOFError:
            loop.remove_reader(ask.fileno())
            done.set()
            return
        used = Used.now()
        ask.send((used.user, used.system))

    loaded, known = config.load(folder / "gateway.toml"), config.load_secrets(secrets)
    async with real_surroundings(loaded) as around, open_gateway(loaded, known, around):
        loop.add_reader(ask.fileno(), answer)
        await done.wait()


class Devices:
    """A thousand devices on one socket. `run` keeps the window full and counts what was finished."""

    def __init__(self, engine: Engine, gateway: Address) -> None:
        self._engine = engine
        self._gateway = gateway
        self._uri = f"sip:{GATEWAY_ID}@{DOMAIN}"
        self._contact = f"@{engine.local[0]}:{engine.local[1]}>"
        self._open: dict[int, tuple[str, bool]] = {}  # the device, and whether it gave its proof
        self._cseq = 0
        self._turn = cycle(ids())
        self.failed = 0

    def run(self, start: Callable[[str], Request], *, seconds: float = 0.0, count: int = 0) -> int:
        """Start requests for `seconds`, or `count` of them; the number of those that ended in 200."""
        begun = last = time.monotonic()
        started = finished = 0

        def wanted() -> bool:
            return started < count or time.monotonic() - begun < seconds

        while self._open or wanted():
            requests: list[tuple[tuple[str, bool], Request]] = []
            replies: list[Reply] = []
            for event in self._events():
                last = time.monotonic()
                if event.kind == Kind.MESSAGE:  # a catalog is asked for
                    replies.append((event.transaction, 200))
                    continue
                device, proven = self._open.pop(event.transaction, ("", False))
                if not device:
                    continue
                if event.status == 401 and not proven:
                    proof = self.register(device, event.header("WWW-Authenticate") or "")
                    requests.append(((device, True), proof))
                elif event.status == 200:
                    finished += 1
                else:
                    self.failed += 1
            while len(self._open) + len(requests) < WINDOW and wanted():
                device = next(self._turn)
                requests.append(((device, False), start(device)))
                started += 1
            self._engine.reply(replies)
            sent = self._engine.send([request for _, request in requests])
            self._open.update(zip(sent, (who for who, _ in requests), strict=True))
            if time.monotonic() - last > PATIENCE:
                raise SystemExit(f"the gateway is silent; {len(self._open)} requests wait")
        return finished

    def _events(self) -> Iterator[Event]:
        select.select([self._engine.fileno()], [], [], 0.01 if self._open else 0.0)
        yield from self._engine.poll(WINDOW * 4)

    def register(self, device: str, challenge: str = "") -> Request:
        headers = [*self._usual(device, f"<sip:{device}@{device[:10]}>", "REGISTER"), ("Expires", "3600")]
        if challenge:
            proof = authorize(challenge, device, PASSWORD, "REGISTER", self._uri, "0a4f113b")
            headers.append(("Authorization", proof))
        return ("REGISTER", self._uri, self._gateway, headers, b"", 0)

    def keepalive(self, device: str) -> Request:
        headers = [*self._usual(device, f"<{self._uri}>", "MESSAGE"), ("Content-Type", CONTENT_TYPE)]
        body = keepalive.write(sn=self._cseq, device_id=device)
        return ("MESSAGE", self._uri, self._gateway, headers, body, 0)

    def _usual(self, device: str, to: str, method: str) -> list[tuple[str, str]]:
        self._cseq += 1
        return [
            ("From", f"<sip:{device}@{device[:10]}>;tag=1"),
            ("To", to),
            ("Call-ID", f"{self._cseq}@{DEVICES_AT}"),
            ("CSeq", f"{self._cseq} {method}"),
            ("Contact", f"<sip:{device}{self._contact}"),
        ]


def measure(devices: Devices, gateway: "Gateway", what: str, start: Callable[[str], Request]) -> list[Result]:
    """Two results of one run: CPU time of the gateway for one, and how many a second there were."""
    before, own, begun = gateway.used(), Used.now(), time.monotonic()
    finished = devices.run(start, seconds=SECONDS)
    taken = time.monotonic() - begun
    spent, own = gateway.used().since(before), Used.now().since(own)
    raw = {
        "finished": finished,
        "failed": devices.failed,
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
        Result(work=f"signalling: {what}, CPU time", value=cost, unit="µs each", better="lower", raw=raw),
        Result(
            work=f"signalling: {what}, rate reached", value=rate, unit="per second", better="higher", raw=raw
        ),
    ]


class Gateway:
    """The gateway's process as the devices' side sees it."""

    def __init__(self, process: "SpawnProcess", ask: "Connection[Any, Any]") -> None:
        assert process.pid is not None
        self.pid: Final = process.pid
        self._ask = ask

    def used(self) -> Used:
        self._ask.send("used")
        return Used(*self._ask.recv())


@contextlib.contextmanager
def running_gateway(port: int) -> Iterator[Gateway]:
    """The gateway in a process of its own, listening on `port` of OUTER for all devices."""
    spawning = multiprocessing.get_context("spawn")
    ask, answers = spawning.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = spawning.Process(target=serve, args=(folder, port, answers), daemon=True)
        process.start()
        answers.close()
        try:
            ask.send("ready")
            if not ask.poll(20.0):
                raise SystemExit("the gateway did not start")
            ask.recv()
            yield Gateway(process, ask)
        finally:
            ask.close()
            process.join(10.0)


def main() -> None:
    port = free_port(OUTER)
    with running_gateway(port) as gateway:
        engine = Engine((DEVICES_AT, 0), DOMAIN, ["127.0.1.0/24"], os.urandom(32))
        devices = Devices(engine, (OUTER, port))
        try:
            devices.run(devices.register, count=DEVICES)  # everybody is known, catalogs are asked for
            results = measure(devices, gateway, "REGISTER with digest (401, 200)", devices.register)
            results += measure(devices, gateway, "keepalive", devices.keepalive)
        finally:
            engine.close()
    for result in results:
        print(f"{result.work}: {result.value:g} {result.unit}")
    save("signalling", results)


if __name__ == "__main__":
    main()
