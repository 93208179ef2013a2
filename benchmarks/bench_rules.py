"""Taking new rules while the gateway runs: 10,000 rules, 1.1 million channels, 500 open streams.

Both doors, the memory link, the index of what is below and the one of what is shown; the audits keep nothing
here (bench_lock has what a record costs). Measured by the clock, in one process: from the call of a reload
until the new rules count, until every row has been told anew, the longest that the loop stood still
meanwhile, and what one decision costs under so many rules.
"""

import asyncio
import tempfile
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

from benchmarks.results import Result, save
from cascade.as_upper.herald import Herald
from cascade.crossing import CatalogBatch, Crossing, StreamOpen
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Index, Rows
from cascade.ports import Verdict
from gateway.chamber.gate import Gate, Side
from gateway.chamber.link import LinkEnd
from gateway.chamber.link.memory import memory_link
from gateway.chamber.policy import NOWHERE, CompiledRules, Place, judge
from gateway.chamber.record import Post
from gateway.config import Config, load
from gateway.credentials.holders import load_secrets
from gateway.keeper import Keeper, Kept
from interop.demo.sealing import seal

LOWERS: Final = tuple(PlatformId(f"440106000020000000{number:02d}") for number in range(1, 12))
"""Each with as many rows as the default lets one have."""
UPPER: Final = PlatformId("44000000002000000001")
OURS: Final = PlatformId("44010000002000000001")
CHANNELS: Final = 1_100_000
BRANCHES: Final = 10_000
RULES: Final = 10_000
STREAMS: Final = 500
DECISIONS: Final = 50_000
TICK_SECONDS: Final = 0.001
EACH: Final = CHANNELS // len(LOWERS)

HEAD: Final = """\
[gateway]
state = "state"

[outer]
id = "44010000002000000001"
address = "127.0.1.1"
media_ports = [30000, 30998]
networks = ["127.0.1.0/24"]

[inner]
id = "44010000002000000002"
address = "127.0.2.1"
media_ports = [31000, 31998]
networks = ["127.0.2.0/24"]

[[inner.upper]]
id = "44000000002000000001"
host = "127.0.2.2"
"""


def document(first: int) -> str:
    """A rule for each of many branches, cameras, prefixes and owners; `first` decides which are refused."""
    kinds = (
        "branch:44010600002160{:06d}",
        "id:4401060000132{:07d}",
        "prefix:44010600009{:06d}",
        "owner:中队{:06d}",
    )
    rules = [
        _rule(
            f"r{number}",
            "inward" if number % 2 else "outward",
            "catalog.rows" if number % 2 else "media.live",
            kinds[number % 4].format(number),
            "deny" if (number + first) % 10 == 0 else "allow",
        )
        for number in range(RULES - 2)
    ]
    lowers = [f'\n[[outer.lower]]\nid = "{lower}"\n' for lower in LOWERS]
    rules += [_rule(way, way, "*", "*", "allow") for way in ("inward", "outward")]
    return HEAD + "".join([*lowers, *rules])


def _rule(id: str, direction: str, action: str, channel: str, verdict: str) -> str:
    return (
        f'\n[[rule]]\nid = "{id}"\nreason = "rule {id} of the benchmark"\ndirection = "{direction}"\n'
        f'action = "{action}"\nchannels = ["{channel}"]\nverdict = "{verdict}"\n'
    )


def filled() -> Index:
    index = Index()
    for place, lower in enumerate(LOWERS):
        own = range(place * EACH, (place + 1) * EACH)
        rows = [{"id": _branch(number)} for number in own[: BRANCHES // len(LOWERS)]]
        rows += [
            {
                "id": _camera(number),
                "name": f"路口{number:07d}",
                "status": "ON",
                "parent_id": _branch(number),
                "owner": _owner(number),
            }
            for number in own[len(rows) :]
        ]
        index.apply(lower, Rows.build(rows), complete=False)
    return index


def _branch(number: int) -> str:
    return f"44010600002160{number % BRANCHES:06d}"


def _owner(number: int) -> str:
    return f"中队{number % BRANCHES:06d}"


def _camera(number: int) -> str:
    return f"4401060000132{number:07d}"


def _channel(number: int) -> ChannelId:
    return ChannelId(LOWERS[number // EACH], PeerName(_camera(number)))


class Nowhere:
    """An audit that takes everything and keeps nothing."""

    def cross(self, crossing: Crossing, verdict: Verdict, post: Post) -> bytes:
        return b""

    def record(self, entry: Mapping[str, Any]) -> bytes:
        return b""


class Stage:
    """Two doors with an index each, and who tells."""

    def __init__(self, config: Config, below: Index) -> None:
        loop = asyncio.get_running_loop()
        ends = memory_link(loop)
        self.below, self.shared = below, Index(told=True)
        self.whole = asyncio.Event()
        rules = config.rules()
        self.outer = self._gate("outer", rules, ends[0], self.below)
        self.inner = self._gate("inner", rules, ends[1], self.shared)
        self.inner.on_delivery = self._taken
        self.outer.on_delivery = lambda crossing: None
        self.herald = Herald(
            self.outer,
            loop,
            origin=OURS,
            correlation=count(1).__next__,
            online=lambda peer: True,
            rows=below.rows,
        )

    def _gate(self, side: Side, rules: CompiledRules, end: LinkEnd, index: Index) -> Gate:
        def places(channel: ChannelId) -> Place:
            return index.place(channel.peer, channel.name) or NOWHERE

        clock = asyncio.get_running_loop().time
        return Gate(side=side, rules=rules, audit=Nowhere(), link=end, places=places, clock=clock)

    def _taken(self, crossing: Crossing) -> None:
        match crossing:
            case CatalogBatch(change="anew"):
                self.shared.begin(crossing.origin)
            case CatalogBatch(change="present"):
                self.shared.apply(crossing.origin, crossing.rows, complete=False)
            case CatalogBatch(change="whole"):
                self.shared.finish(crossing.origin)
                if crossing.origin == LOWERS[-1]:
                    self.whole.set()
            case _:
                pass

    def offer(self) -> None:
        for lower in LOWERS:
            self.herald.offer(lower)

    async def told(self) -> None:
        self.whole.clear()
        self.offer()
        await self.whole.wait()


async def measure(folder: Path) -> list[Result]:
    file = folder / "gateway.toml"
    file.write_text(document(0))
    seal(file, dict.fromkeys((*LOWERS, UPPER), "x"))
    config = load(file)
    stage = Stage(config, filled())
    await stage.told()
    before = len(stage.shared)
    sides = [Kept("outer", OURS, stage.outer, stage.offer), Kept("inner", OURS, stage.inner, lambda: None)]
    keeper = Keeper(file, config, load_secrets(config), sides, wall=time.time)
    for number in range(STREAMS):  # of cameras that both lists let see
        channel = _channel(20_001 + 2 * number)
        assert stage.inner.send(StreamOpen(correlation=number, origin=UPPER, channel=channel)).passes
    await asyncio.sleep(0)

    stills: list[float] = []
    ticking = asyncio.create_task(_tick(stills))
    file.write_text(document(5))
    stage.whole.clear()
    begun = time.perf_counter()
    outcome = await keeper.reload()
    counting = time.perf_counter() - begun
    still_until_then = max(stills)
    await stage.whole.wait()
    telling = time.perf_counter() - begun
    ticking.cancel()
    assert outcome.taken
    assert outcome.ended == 0
    assert len(stage.shared) != before
    decision = _decision(keeper.rules, stage.inner)
    raw = {
        "rules": RULES,
        "channels": CHANNELS,
        "streams": STREAMS,
        "streams_ended": outcome.ended,
        "rows_shown_before": before,
        "rows_shown_after": len(stage.shared),
        "seconds_until_told": round(telling, 3),
        "longest_still_until_counting_ms": round(still_until_then * 1e3, 1),
        "longest_still_ms": round(max(stills) * 1e3, 1),
    }
    still = round(max(stills) * 1e3, 1)
    work = f"rules: {RULES:,} taken with {CHANNELS:,} channels"
    return [
        Result(work=work, value=round(counting, 3), unit="s", better="lower", bar=1.0, raw=raw),
        Result(work=f"{work}, all told anew", value=round(telling, 2), unit="s", better="lower", raw=raw),
        Result(work=f"{work}, the loop stood still", value=still, unit="ms", better="lower", raw=raw),
        Result(
            work=f"rules: a decision among {RULES:,}",
            value=round(decision * 1e6, 2),
            unit="µs",
            better="lower",
            bar=5.0,
            raw={"decisions": DECISIONS},
        ),
    ]  # fmt: skip


async def _tick(stills: list[float]) -> None:
    """How much later than asked the loop comes back: as long as that nobody else is served either."""
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(TICK_SECONDS)
        stills.append(time.perf_counter() - asked - TICK_SECONDS)


def _decision(rules: CompiledRules, door: Gate) -> float:
    """CPU seconds of judging one StreamOpen, the look for its place among all channels included."""
    crossings = [
        StreamOpen(correlation=number, origin=UPPER, channel=_channel(number * 7))
        for number in range(DECISIONS)
    ]
    places = door._places
    used = time.process_time()
    for crossing in crossings:
        judge(rules.at(1e9), crossing, "outward", places)
    return (time.process_time() - used) / DECISIONS


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(measure(Path(folder)))
    for result in results:
        print(f"{result.work}: {result.value:g} {result.unit}")
    save("rules", results)


if __name__ == "__main__":
    main()
