"""What a row of a catalog costs on its way, with 100,000 rows: read, indexed, judged, ordered, written.

CPU time of this process, the best of three runs; pages are those of the wire: 4 items, GB2312.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeVar

from benchmarks.results import Result, save
from cascade.manscdp import catalog
from cascade.model.index import Index, Mapping, Rows, RowSet, Selector, Snapshot

G = TypeVar("G")
M = TypeVar("M")

PEER: Final = "44010600002000000001"
OURS: Final = "44010000002000000001"
ROWS: Final = 100_000
BRANCHES: Final = 1000
RULES: Final = (1000, 10_000)
RUNS: Final = 3


def tree() -> Rows:
    """A province's catalog in small: one system, a thousand organisations, cameras dealt out to them."""
    organisations = [f"44010600002160{number:06d}" for number in range(BRANCHES)]
    rows = [{"id": PEER, "name": "省平台", "parental": "1", "status": "ON"}]
    rows += [{"id": each, "name": f"派出所{each[-4:]}", "parent_id": PEER} for each in organisations]
    rows += [
        {
            "id": f"44010600001320{number:06d}",
            "name": f"路口{number:06d}东侧球机",
            "manufacturer": "Camera",
            "model": "DS-2DE",
            "owner": "0",
            "civil_code": "440106",
            "address": "天河区体育西路",
            "parental": "0",
            "parent_id": organisations[number % BRANCHES],
            "safety_way": "0",
            "register_way": "1",
            "secrecy": "0",
            "status": "ON" if number % 10 else "OFF",
            "longitude": f"113.{number % 1_000_000:06d}",
            "latitude": "23.135618",
        }
        for number in range(ROWS - len(rows))
    ]
    return Rows.build(rows)


def pages(rows: Rows) -> Iterator[bytes]:
    """What the peer would send: the whole catalog in pages of four."""
    start = 0
    while start < len(rows):
        page, start = catalog.write_page(rows, start, sn=1, device_id=PEER)
        yield page


def gather(bodies: list[bytes]) -> Rows:
    """Read all pages of an answer and put them together, as the catalog query does."""
    gathered = RowSet()
    for body in bodies:
        gathered.add(catalog.read(body).rows)
    return gathered.rows()


def rules(count: int) -> Selector:
    """A rule for each organisation, every tenth of them a refusal; the last one shares the rest.

    What is more of them than organisations is about cameras by their names and by how they begin.
    """
    about = [(f"r{number}", number % 10 != 0, [selector(number)]) for number in range(count)]
    return Selector([*about, ("rest", True, ["*"])])


def selector(number: int) -> str:
    if number < BRANCHES:
        return f"branch:44010600002160{number:06d}"
    return f"id:44010600001320{number:06d}" if number % 2 else f"prefix:4401060000132{number:06d}"


def judged_alone(selector: Selector) -> int:
    """Judge as many crossings as there are rows, each from Python; how many may pass."""
    judge = selector.judge
    branch = f"44010600002160000011/{PEER}/440106/4401/44"
    return sum(judge("44010600001320000011", branch)[0] for _ in range(ROWS))


def judge(rows: Rows, selector: Selector) -> int:
    """Judge in batches of 1,000, as they cross; the number of rows that pass."""
    parts = (rows.slice(start, start + 1000) for start in range(0, len(rows), 1000))
    return sum(len(part.select(selector)[0]) for part in parts)


def applied(rows: Rows) -> Index:
    index = Index()
    index.apply(PEER, rows, complete=True)
    return index


def ordered(index: Index) -> Snapshot:
    snapshot = index.snapshot()
    snapshot.key(len(snapshot) - 1)
    return snapshot


def assigned(snapshot: Snapshot) -> Mapping:
    mapping = Mapping(OURS, [])
    mapping.assign(snapshot)
    return mapping


def answer(snapshot: Snapshot, mapping: Mapping) -> int:
    """Write the whole answer to an upper platform; the number of pages."""
    own = {"name": "Lockgate", "parental": "1"}
    item = count = 0
    while item <= len(snapshot):
        _, item = catalog.write_catalog(snapshot, mapping, item, sn=1, device_id=OURS, own=own)
        count += 1
    return count


class Bench:
    """Runs each work a few times on what `given` makes anew, and keeps the CPU time of the best."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def measure(self, work: str, run: Callable[[G], M], given: Callable[[], G]) -> M:
        """Note the cost of a row; return what the last run made."""
        seconds: list[float] = []
        for _ in range(RUNS):
            what = given()
            before = time.process_time()
            made = run(what)
            seconds.append(time.process_time() - before)
        value = round(min(seconds) / ROWS * 1e6, 3)
        raw = {"rows": ROWS, "seconds": [round(each, 4) for each in seconds]}
        name = f"catalog: {work}"
        self.results.append(Result(work=name, value=value, unit="µs per row", better="lower", raw=raw))
        print(f"{name}: {value:g} µs per row")
        return made


def main() -> None:
    sent = tree()
    bodies = list(pages(sent))
    bench = Bench()
    rows = bench.measure("read pages of 4", gather, lambda: bodies)
    assert len(rows) == ROWS
    index = bench.measure("apply to an empty index", applied, lambda: rows)
    bench.measure("apply again, nothing new", lambda to: to.apply(PEER, rows, complete=True), lambda: index)
    named = index.rows(PEER)
    for count in RULES:
        given = partial(rules, count)
        shared = bench.measure(f"judge by {count:,} rules", partial(judge, named), given)
        assert bench.measure(f"judge one name by {count:,} rules", judged_alone, given) == ROWS
    assert 0 < shared < ROWS
    snapshot = bench.measure("put in the order of sending", ordered, lambda: applied(rows))
    mapping = bench.measure("give ids for an upper platform", assigned, lambda: snapshot)
    count = bench.measure("write pages of 4", lambda to: answer(snapshot, to), lambda: mapping)
    assert count >= ROWS / 4
    save("catalog", bench.results)


if __name__ == "__main__":
    main()
