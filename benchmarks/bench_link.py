"""What it costs to cross the lock between two hosts: both doors, codec, frames, TLS 1.3, TCP on loopback.

Both ends run in this process, so the CPU time of one side is half of what is measured. What is handed
over in one turn of the loop leaves as one write. The other figure is the way of a single crossing
while nothing else goes on, from `send` to its delivery beyond.
"""

import asyncio
import random
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.bench_lock import RUNS, TURN, door, presence, question
from benchmarks.results import Result, save
from cascade.crossing import Crossing
from certs import shelf
from certs.ca import at
from certs.identities import Identity, SideName
from certs.trust import read_trust
from gateway.chamber.audit import Audit
from gateway.chamber.link.hosts import HostsEnd
from gateway.chamber.link.plug import TcpPlug

HOSTS: Final[dict[SideName, str]] = {"outer": "127.0.9.1", "inner": "127.0.9.2"}
OTHER: Final[dict[SideName, SideName]] = {"outer": "inner", "inner": "outer"}
IDS: Final[dict[SideName, Identity]] = {
    "outer": Identity("outer", "44010000002000000001"),
    "inner": Identity("inner", "44010000002000000002"),
}
COUNT: Final = 20_000
SINGLE: Final = 1000
BAR_US, AIM_US = 25.0, 15.0


@asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[dict[SideName, HostsEnd]]:
    """Both ends, open and joined with each other."""
    loop = asyncio.get_running_loop()
    now = at(time.time())
    shelf.found(folder, now, days=90)
    for identity in IDS.values():
        shelf.certify(folder, shelf.opened(folder), identity, now, days=60)
    with socket.socket() as trial:
        trial.bind((HOSTS["outer"], 0))
        port = int(trial.getsockname()[1])
    ends: dict[SideName, HostsEnd] = {
        side: HostsEnd(
            side,
            plug=TcpPlug(loop, HOSTS[side], HOSTS[OTHER[side]], port),
            dialler="inner",
            other_host=HOSTS[OTHER[side]],
            other=IDS[OTHER[side]],
            trust=lambda side=side: read_trust(folder, side),  # type: ignore[misc]
            alive_seconds=5.0,
            loop=loop,
            wall=time.time,
            random=random.Random(side),
        )
        for side in HOSTS
    }
    up = [asyncio.Event() for _ in ends]
    for end, event in zip(ends.values(), up, strict=True):
        end.on_joined = event.set
    for end in ends.values():
        await end.open()
    for event in up:
        await event.wait()
    yield ends
    for end in ends.values():
        await end.close()


async def measure(folder: Path, sender: SideName) -> tuple[float, float, float]:
    """CPU of one side in µs per crossing, crossings per second, and the way of a single one in ms, median."""
    loop = asyncio.get_running_loop()
    make = presence if sender == "outer" else question
    async with joined(folder / "certs") as ends:
        audits = {side: Audit(folder / f"{side}.jsonl") for side in HOSTS}
        doors = {side: door(side, audits[side], ends[side], loop) for side in HOSTS}
        arrived = asyncio.Event()
        awaited = COUNT - 1

        def deliver(crossing: Crossing) -> None:
            if crossing.correlation == awaited:
                arrived.set()

        doors[OTHER[sender]].on_delivery = deliver
        crossings = [make(number) for number in range(COUNT + SINGLE)]
        used, begun = time.process_time(), time.monotonic()
        for number, crossing in enumerate(crossings[:COUNT], 1):
            assert doors[sender].send(crossing).passes is not None
            if number % TURN == 0:
                await asyncio.sleep(0)
        await arrived.wait()
        used, taken = time.process_time() - used, time.monotonic() - begun
        ways = []
        for crossing in crossings[COUNT:]:
            awaited = crossing.correlation
            arrived.clear()
            begun = time.monotonic()
            assert doors[sender].send(crossing).passes is not None
            await arrived.wait()
            ways.append(time.monotonic() - begun)
        for audit in audits.values():
            audit.close()
    return used / COUNT / 2 * 1e6, COUNT / taken, median(ways) * 1e3


def main() -> None:
    results = []
    for sender, what in (("outer", "a notice of presence"), ("inner", "a question to a device")):
        runs = []
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(asyncio.run(measure(Path(folder), "outer" if sender == "outer" else "inner")))
        cost, rate, way = (
            min(run[0] for run in runs),
            max(run[1] for run in runs),
            min(run[2] for run in runs),
        )
        work = f"between two hosts: {what}"
        raw = {
            "crossings": COUNT,
            "turn": TURN,
            "runs": [[round(figure, 3) for figure in run] for run in runs],
        }
        results += [
            Result(
                work=work,
                value=round(cost, 1),
                unit="µs CPU per crossing, a side",
                better="lower",
                bar=BAR_US,
                aim=AIM_US,
                raw=raw,
            ),
            Result(
                work=work,
                value=round(rate),
                unit="crossings per second, both ends on one processor",
                better="higher",
                bar=10_000,
                raw=raw,
            ),
            Result(work=f"{work}, alone", value=round(way, 3), unit="ms one way", better="lower", raw=raw),
        ]
    for result in results:
        print(f"{result.work}: {result.value:g} {result.unit}")
    save("link", results)


if __name__ == "__main__":
    main()
