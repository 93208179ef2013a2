"""What it costs to cross the lock: both doors judge, both write a record, then it is delivered.

And what one door of the two costs, its part of the codec and the trace of what crossed among it.

CPU time of this process, the threads that sync the two audit files among it. The files lie where the
system keeps temporary files; the records are checked afterwards, and that is measured too. The rate is by the
clock: sender, both doors and receiver share one processor.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from benchmarks.results import Result, save
from cascade.crossing import Ask, CatalogBatch, Crossing, Notice
from cascade.model.commands.device_info import AskDeviceInfo
from cascade.model.commands.presence import PeerState, Presence
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Rows
from gateway.chamber import chain
from gateway.chamber.audit import Audit
from gateway.chamber.codec import decode, encode
from gateway.chamber.gate import Gate, Recorder, Side
from gateway.chamber.link import LinkEnd, Signal
from gateway.chamber.link.memory import memory_link
from gateway.chamber.policy import NOWHERE, CompiledRules
from gateway.chamber.rules import Rule
from gateway.trace.book import Book, Recording

LOWER: Final = PlatformId("44010600002000000001")
UPPER: Final = PlatformId("44000000002000000001")
KEPT, SHARED = "44010600002160000001", "44010600002160000002"
RATE: Final = 20_000
RUNS: Final = 3
"""The best counts: what else the machine does can only cost."""
TURN: Final = 64  # crossings handed over before the other door has its turn

RULES: Final = (
    Rule(
        id="no-schools",
        direction="inward",
        action="catalog.rows",
        verdict="deny",
        channels=(f"branch:{KEPT}",),
    ),
    Rule(id="rows", direction="inward", action="catalog.rows", verdict="allow", channels=("*",)),
    Rule(id="presence", direction="inward", action="notice.presence", verdict="allow", channels=("*",)),
    Rule(id="ask", direction="outward", action="query.*", verdict="allow", channels=("*",)),
)


class Case(Struct, frozen=True):
    work: str
    unit: str
    outer: bool  # which door sends
    make: Callable[[int], Crossing]
    count: int
    rows: int = 0


def presence(number: int) -> Crossing:
    states = (PeerState(LOWER, number % 2 == 0),)
    return Notice(correlation=number, origin=LOWER, payload=Presence(states=states))


def question(number: int) -> Crossing:
    target = ChannelId(LOWER, PeerName(f"44010600001320{number % 1000:06d}"))
    return Ask(correlation=number, origin=UPPER, payload=AskDeviceInfo(target=target))


BATCH: Final = Rows.build(
    [
        {
            "id": f"44010600001320{number:06d}",
            "name": f"路口{number:06d}",
            "status": "ON",
            "branch": SHARED if number % 5 else KEPT,
        }
        for number in range(1000)
    ]
)


def rows(number: int) -> Crossing:
    return CatalogBatch(correlation=number, origin=LOWER, change="present", rows=BATCH)


CASES: Final = (
    Case("a notice of presence", "crossing", True, presence, 10_000),
    Case("a question to a device", "crossing", False, question, 10_000),
    Case("a batch of 1,000 rows, 200 refused", "crossing", True, rows, 1000, rows=1000),
)


def door(side: Side, audit: Recorder, end: LinkEnd, loop: asyncio.AbstractEventLoop) -> Gate:
    rules = CompiledRules(RULES)
    return Gate(side=side, rules=rules, audit=audit, link=end, places=lambda _: NOWHERE, clock=loop.time)


class Wire:
    """The end of a link as far as its door pays for it: what is handed over is encoded, and goes nowhere."""

    on_arrival: Callable[[Crossing], None]
    on_signal: Callable[[Signal], None]
    up = linked = True

    def deliver(self, crossing: Crossing) -> None:
        encode(crossing)

    def signal(self, signal: Signal) -> None:
        pass


async def one_door(case: Case, folder: Path, *, sends: bool) -> float:
    """Microseconds of CPU for each crossing, at the door that sends or at the one that receives."""
    loop = asyncio.get_running_loop()
    side: Side = "outer" if case.outer == sends else "inner"
    audit, wire = Audit(folder / "audit.jsonl"), Wire()
    recording = Recording(audit, Book(side, clock=loop.time, wall=time.time))
    gate = door(side, recording, wire, loop)
    gate.on_delivery = lambda crossing: None
    crossings = [case.make(number) for number in range(case.count)]
    frames = [encode(crossing) for crossing in crossings]
    used = time.process_time()
    if sends:
        for crossing in crossings:
            gate.send(crossing)
    else:
        for frame in frames:
            wire.on_arrival(decode(frame))
    used = time.process_time() - used
    assert gate.counters.passed.total() == case.count
    audit.close()
    return used / case.count * 1e6


def doors(case: Case) -> list[Result]:
    results = []
    for sends in (True, False):
        runs = []
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(asyncio.run(one_door(case, Path(folder), sends=sends)))
        raw = {"crossings": case.count, "runs": [round(run, 2) for run in runs]}
        work = f"one door {'sends' if sends else 'receives'} {case.work}"
        unit, value = "µs CPU per crossing", round(min(runs), 1)
        results.append(Result(work=work, value=value, unit=unit, better="lower", bar=8.0, aim=5.0, raw=raw))
    return results


async def measure(case: Case, folder: Path) -> list[Result]:
    loop = asyncio.get_running_loop()
    audits = [Audit(folder / f"{side}.jsonl") for side in ("outer", "inner")]
    ends = memory_link(loop)
    outer, inner = door("outer", audits[0], ends[0], loop), door("inner", audits[1], ends[1], loop)
    arrived = asyncio.Event()
    crossings = [case.make(number) for number in range(case.count)]

    def deliver(crossing: Crossing) -> None:
        if crossing.correlation == crossings[-1].correlation:
            arrived.set()

    outer.on_delivery = inner.on_delivery = deliver
    sender = outer if case.outer else inner
    used, begun = time.process_time(), time.monotonic()
    for number, crossing in enumerate(crossings, 1):
        assert sender.send(crossing).passes is not None
        if number % TURN == 0:
            await asyncio.sleep(0)
    await arrived.wait()
    used, taken = time.process_time() - used, time.monotonic() - begun
    for audit in audits:
        audit.close()
    checking = time.process_time()
    for audit in audits:
        report = chain.verify(audit.path)
        assert report.whole
    checking = time.process_time() - checking
    raw = {
        "crossings": case.count,
        "rows": case.rows * case.count,
        "records": 2 * case.count,
        "records_per_second": round(2 * case.count / taken),
        "cpu_seconds": round(used, 4),
        "seconds": round(taken, 4),
        "verify_seconds": round(checking, 4),
    }
    cost, check = round(used / case.count * 1e6, 1), round(checking / (2 * case.count) * 1e6, 2)
    work = f"lock: {case.work}"
    results = [Result(work=work, value=cost, unit="µs per crossing", better="lower", raw=raw)]
    if not case.rows:
        rate, unit = round(case.count / taken), "crossings per second"
        results += [
            Result(work=work, value=rate, unit=unit, better="higher", bar=RATE, raw=raw),
            Result(work=f"{work}, verified", value=check, unit="µs per record", better="lower", raw=raw),
        ]
    return results


def main() -> None:
    results = []
    for case in CASES:
        runs = []
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(asyncio.run(measure(case, Path(folder))))
        for same in zip(*runs, strict=True):
            best = min if same[0].better == "lower" else max
            result = best(same, key=lambda run: run.value)
            results.append(result)
            print(f"{result.work}: {result.value:g} {result.unit}")
        for result in [] if case.rows else doors(case):
            results.append(result)
            print(f"{result.work}: {result.value:g} {result.unit}")
    save("lock", results)


if __name__ == "__main__":
    main()
