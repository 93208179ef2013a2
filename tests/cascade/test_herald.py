"""What the other side is told when very many come at once: each once, in parts, none compared with all."""

import asyncio
import itertools
from collections.abc import Callable

from cascade.as_upper.herald import NOTHING, Herald
from cascade.crossing import ROWS_PER_CROSSING, CatalogBatch, Crossing, Notice
from cascade.model.commands.presence import Presence
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.index import Rows
from cascade.ports import Verdict
from tests.clock import run

MANY = 3 * ROWS_PER_CROSSING + 1


class Door:
    """Lets everything through and writes down in which turn of the loop."""

    shut = away = False

    def __init__(self) -> None:
        self.passed: list[Crossing] = []

    def send(self, crossing: Crossing) -> Verdict:
        self.passed.append(crossing)
        return Verdict(crossing, "all")

    def admits(self, action: str, target: ChannelId, origin: PlatformId) -> bool:
        raise NotImplementedError

    def note(self, event: str, peer: PlatformId, **details: str) -> None:
        raise NotImplementedError

    def readmit(self, crossing: Crossing) -> Verdict:
        raise NotImplementedError


class Counted(PlatformId):
    """Counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = PlatformId.__hash__


PEERS = [Counted(f"4401060000118{number:07d}") for number in range(MANY)]


def herald(
    door: Door, *, online: bool = True, rows: Callable[[PlatformId], Rows] = lambda peer: NOTHING
) -> Herald:
    origin = PlatformId("44010000002000000001")
    numbers = itertools.count(1)
    return Herald(
        door,
        asyncio.get_running_loop(),
        origin=origin,
        correlation=numbers.__next__,
        online=lambda peer: online,
        rows=rows,
    )


def test_all_rows_of_many_peers_are_offered_once_each_without_comparing_all_with_all() -> None:
    async def scenario() -> None:
        door = Door()
        one = herald(door)
        before = Counted.compared
        for _ in range(2):
            for peer in PEERS:
                one.offer(peer)
        assert Counted.compared - before < 8 * MANY
        await asyncio.sleep(1.0)
        told = [(each.origin, each.change) for each in door.passed if isinstance(each, CatalogBatch)]
        assert told == [(peer, change) for peer in PEERS for change in ("anew", "whole")]
        one.offer(PEERS[0])
        await asyncio.sleep(1.0)
        assert len(door.passed) == 2 * MANY + 2  # it may be told again, once it was told

    run(scenario())


def test_many_that_came_are_told_in_parts_between_which_others_get_their_turn() -> None:
    async def scenario() -> None:
        door = Door()
        one = herald(door)
        for peer in PEERS:
            one.presence(peer)
        turns: list[int] = []

        def turn() -> None:
            turns.append(len(door.passed))
            if len(door.passed) < 4:
                asyncio.get_running_loop().call_later(0.0, turn)

        asyncio.get_running_loop().call_later(0.05, turn)
        await asyncio.sleep(1.0)
        assert {1, 2, 3} <= set(turns)
        parts = [each.payload for each in door.passed if isinstance(each, Notice)]
        states = [[state.peer for state in part.states] for part in parts if isinstance(part, Presence)]
        assert list(itertools.chain.from_iterable(states)) == PEERS
        assert [len(part) for part in states] == [ROWS_PER_CROSSING] * 3 + [1]

    run(scenario())


def test_all_that_waits_is_told_when_it_is_flushed() -> None:
    async def scenario() -> None:
        door = Door()
        one = herald(door, online=False)
        for peer in PEERS:
            one.presence(peer)
        one.offer(PEERS[0])
        one.flush()
        assert len(door.passed) == 4 + 2
        await asyncio.sleep(1.0)
        assert len(door.passed) == 6

    run(scenario())


def test_what_changes_is_told_before_all_that_is_offered_anew_and_does_not_keep_it_waiting() -> None:
    async def scenario() -> None:
        door = Door()
        one = herald(door)
        one.offer_all(PEERS[:10])
        for peer in PEERS[100:104]:
            one.present(peer, Rows.build([{"id": str(peer)}]))
        await asyncio.sleep(0.01)
        told = [(each.origin, each.change) for each in door.passed if isinstance(each, CatalogBatch)]
        assert [peer for peer, change in told if change == "present"] == PEERS[100:104]
        assert told.index((PEERS[103], "present")) < 12 < len(told)
        assert [peer for peer, change in told if change == "whole"] == PEERS[:10]

    run(scenario())


def test_what_changes_while_all_rows_of_its_peer_are_told_is_told_after_them() -> None:
    async def scenario() -> None:
        door = Door()
        one = herald(door, rows=lambda peer: Rows.build([{"id": f"{n}", "name": "old"} for n in range(MANY)]))
        one.offer(PEERS[0])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        one.present(PEERS[0], Rows.build([{"id": "7", "name": "new"}]))
        one.present(PEERS[1], Rows.build([{"id": "8"}]))
        await asyncio.sleep(0.01)
        told = [each for each in door.passed if isinstance(each, CatalogBatch)]
        assert [(each.origin, each.change) for each in told] == [
            (PEERS[0], "anew"),
            *[(PEERS[0], "present")] * 4,
            (PEERS[0], "whole"),
            (PEERS[0], "present"),
            (PEERS[1], "present"),
        ]
        assert told[-2].rows.get(0)["name"] == "new"

    run(scenario())
