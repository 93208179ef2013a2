"""A long answer is taken a step a turn of the loop, and nobody sees half of it."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest

from cascade.as_upper.renewals import AT_ONCE, Renewals
from cascade.crossing import CatalogBatch
from cascade.model.ids import PlatformId
from cascade.model.index import Delta, Index, Renewal, Rows
from tests.cascade.ground import NVR, cameras, page
from tests.cascade.stage import Stage, play

LONG: Final = 3 * AT_ONCE + 1
OTHER: Final = PlatformId("44010600001180000002")


class Turns(list[Callable[[], None]]):
    """What was asked to be called soon; each call of it is a turn."""

    def all(self) -> int:
        """Turn until nobody asks any more; how often."""
        turned = 0
        while self:
            self.pop(0)()
            turned += 1
        return turned


class Spied:
    """An index that writes down how many rows each call of a turn may go through."""

    def __init__(self) -> None:
        self.index = Index()
        self.most: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.index, name)

    def apply(self, peer: str, rows: Rows, complete: bool) -> Delta:
        self.most.append(len(rows))
        return self.index.apply(peer, rows, complete)

    def step(self, renewal: Renewal, most: int) -> bool:
        self.most.append(most)
        return self.index.step(renewal, most)


class Told:
    """Of one answer."""

    def __init__(self, spied: Spied) -> None:
        self.spied = spied
        self.rows = 0
        self.largest = 0
        self.done: list[int] = []

    def changed(self, delta: Delta) -> None:
        assert not self.done
        self.rows += len(delta.present()) - len(delta.gone())
        self.largest = max(self.largest, len(delta.present()), len(delta.gone()))

    def finished(self, taken: int, deltas: list[Delta]) -> None:
        assert sum(delta.added + delta.changed for delta in deltas) <= taken
        self.done.append(taken)


def rows(count: int, name: str = "Camera") -> Rows:
    return Rows.build([{"id": each, "name": name, "parent_id": NVR} for each in cameras(count)])


def take(to: Renewals, told: Told, answer: Rows, *, complete: bool = True, peer: PlatformId = NVR) -> None:
    to.take(peer, len(answer), lambda: answer, complete=complete, changed=told.changed, done=told.finished)


def test_a_short_answer_is_there_at_once() -> None:
    turns, spied = Turns(), Spied()
    told = Told(spied)
    take(Renewals(spied, turns.append), told, rows(AT_ONCE))  # type: ignore[arg-type]
    assert (spied.count(NVR), told.rows, told.done, turns) == (AT_ONCE, AT_ONCE, [AT_ONCE], [])


@pytest.mark.parametrize("before", [0, 5, LONG, 2 * LONG])
@pytest.mark.parametrize("complete", [True, False])
def test_of_a_long_answer_nobody_sees_a_part_and_no_turn_takes_more(before: int, *, complete: bool) -> None:
    turns, spied = Turns(), Spied()
    spied.index.apply(NVR, rows(before, "Before"), True)
    told, renewals = Told(spied), Renewals(spied, turns.append)  # type: ignore[arg-type]
    take(renewals, told, rows(LONG), complete=complete)
    while not told.rows and turns:
        assert renewals.under_way(NVR)
        turns.pop(0)()
        names = {row["name"] for number in (0, -1) if (row := _row(spied.index, number))}
        assert len(names) <= 1 or not complete
        assert spied.count(NVR) in {before, max(LONG, before) if not complete else LONG}
    turns.all()
    after = LONG if complete else max(LONG, before)
    assert (spied.count(NVR), told.done) == (after, [LONG])
    assert not renewals.under_way(NVR)
    assert max(spied.most) <= AT_ONCE
    assert told.largest <= AT_ONCE


def _row(index: Index, number: int) -> dict[str, str] | None:
    all_rows = index.rows(NVR)
    return all_rows.get(number % len(all_rows)) if len(all_rows) else None


def test_a_short_answer_of_who_had_many_rows_takes_them_away_in_steps() -> None:
    turns, spied = Turns(), Spied()
    spied.index.apply(NVR, rows(LONG), True)
    told = Told(spied)
    take(Renewals(spied, turns.append), told, rows(3))  # type: ignore[arg-type]
    assert turns.all() > LONG // AT_ONCE
    assert (spied.count(NVR), told.rows) == (3, 3 - LONG)
    assert told.largest <= AT_ONCE


def test_answers_of_one_peer_keep_their_order_and_those_of_others_are_not_kept_waiting() -> None:
    turns, spied = Turns(), Spied()
    renewals = Renewals(spied, turns.append)  # type: ignore[arg-type]
    one, two, other = Told(spied), Told(spied), Told(spied)
    take(renewals, one, rows(LONG))
    take(renewals, two, rows(2))
    take(renewals, other, rows(2), peer=OTHER)
    assert (other.done, one.done, two.done) == ([2], [], [])
    turns.all()
    assert (one.done, two.done, spied.count(NVR)) == ([LONG], [2], 2)


def test_nothing_is_applied_of_who_is_no_peer_any_more() -> None:
    turns, spied = Turns(), Spied()
    renewals, told = Renewals(spied, turns.append), Told(spied)  # type: ignore[arg-type]
    take(renewals, told, rows(LONG))
    turns.pop(0)()
    renewals.forget(NVR)
    turns.all()
    assert (spied.count(NVR), told.done) == (0, [])


def notice(*items: tuple[str, str]) -> str:
    listed = "".join(
        f"<Item><DeviceID>{id}</DeviceID><Event>{event}</Event><Name>New</Name></Item>" for id, event in items
    )
    return (
        f"<Notify><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>{NVR}</DeviceID>"
        f'<SumNum>{len(items)}</SumNum><DeviceList Num="{len(items)}">{listed}</DeviceList></Notify>'
    )


def test_notices_that_come_while_an_answer_is_taken_are_followed_after_it_in_their_order() -> None:
    ids = cameras(LONG)

    async def scenario(on: Stage) -> None:
        upper = on.outer.upper
        await on.nvr.register("down")
        await asyncio.sleep(0.1)
        _, head = on.nvr.of("Catalog")[0]
        peer = upper.peers[NVR]
        pages = [page(head.sn, LONG, ids[start : start + 500]) for start in range(0, LONG, 500)]
        for body in pages:
            upper._catalogs.take(NVR, head, body.encode())
        assert upper.index.count(NVR) == 0  # it is on its way
        gone, back = notice((ids[0], "DEL")).encode(), notice((ids[0], "ADD")).encode()
        for said in (gone, back) * 40:
            upper._catalogs.notified(peer, said)
        upper._catalogs.notified(peer, gone)
        seen: set[int] = set()
        for _ in range(200):
            await asyncio.sleep(0)
            seen.add(upper.index.count(NVR))
        assert seen <= {0, LONG, LONG - 1}
        await asyncio.sleep(1.0)
        assert upper.index.count(NVR) == LONG - 1
        assert on.outer.store.rows[NVR].keys() == {*ids[1:]}
        assert {*on.inner.lower.index.rows(NVR).ids()} == {*ids[1:]}
        upper._catalogs.notified(peer, back)
        assert upper.index.count(NVR) == LONG  # nothing waits any more

    play(scenario)


def test_it_is_known_that_rows_are_on_their_way_while_they_are_taken() -> None:
    ids = cameras(LONG)

    async def scenario(on: Stage) -> None:
        catalogs = on.outer.upper._catalogs
        await on.nvr.register("down")
        await asyncio.sleep(0.1)
        _, head = on.nvr.of("Catalog")[0]
        assert not catalogs.telling(NVR)
        deliver = partial(catalogs.take, NVR, head)
        for start in range(0, LONG, 500):
            deliver(page(head.sn, LONG, ids[start : start + 500]).encode())
        for _ in range(100):
            batches = [each for each in on.outer.door.sent if isinstance(each, CatalogBatch)]
            assert catalogs.telling(NVR) == (sum(len(batch.rows) for batch in batches) < LONG)
            await asyncio.sleep(0)
        assert len(on.inner.lower.index) == LONG

    play(scenario)
