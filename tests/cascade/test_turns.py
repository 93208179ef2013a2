"""No turn of the loop does more because there are more peers: counted in calls, with few and with many.

What has to be done for each of them at once (after our own start, a power cut, a link that is back) is done
a part a turn, so that whoever plays a picture meanwhile waits for a part.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest

from cascade.crossing import CatalogBatch, Notice
from cascade.model.commands.presence import Presence
from cascade.model.ids import PlatformId
from cascade.model.index import Rows
from cascade.peers import LowerPeer, Topic
from cascade.ports import Binding
from tests.cascade.ground import AT_OUTER, WALL, OneSide, Shelf
from tests.cascade.lowers import lower
from tests.sip.network import Network
from tests.turns import CountingLoop, counted

FEW: Final = 2_100  # more than any part is
MANY: Final = 2 * FEW
PART: Final = 40_000
"""Calls of one turn at most, of any of these: some 10 ms on a usual processor."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What pytest does with a log line is not counted."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def peers(count: int, subscribe: tuple[Topic, ...]) -> list[LowerPeer]:
    ids = [PlatformId(f"44010600001180{number:06d}") for number in range(count)]
    return [lower(each, networks=("203.0.113.0/24",), subscribe=subscribe) for each in ids]


def kept(lowers: list[LowerPeer]) -> Shelf:
    """What an earlier process left: all of them registered for an hour, each with a row."""
    shelf = Shelf()
    for number, peer in enumerate(lowers):
        at = ("203.0.113.50", 10_000 + number)
        shelf.kept[peer.id] = Binding(peer.id, *at, f"sip:{peer.id}@{at[0]}", WALL + 3600.0, WALL)
        shelf.save_rows(peer.id, Rows.build([{"id": str(peer.id), "name": "Camera", "status": "ON"}]), [])
    return shelf


@dataclass
class Restarted:
    """A side that has just taken up what it knew, and does not serve yet."""

    side: OneSide
    there: dict[PlatformId, bool] = field(default_factory=dict)
    whole: set[PlatformId] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.side.door.deliver = self._told

    def _told(self, crossing: object) -> None:
        match crossing:
            case Notice(payload=Presence(states=states)):
                self.there.update((state.peer, state.online) for state in states)
            case CatalogBatch(change="whole", origin=peer):
                self.whole.add(peer)


async def told_of_all(restarted: Restarted) -> None:
    """The other side hears of every peer and every row; nobody answers our own questions."""
    await asyncio.sleep(5.0)
    everybody = restarted.side.upper.peers
    assert restarted.whole == {*everybody}
    assert restarted.there == dict.fromkeys(everybody, True)
    assert restarted.side.upper.bound == len(everybody)


async def told_anew(restarted: Restarted) -> None:
    """The link was away and is back."""
    restarted.whole.clear()
    restarted.there.clear()
    restarted.side.upper.offer_all()
    await told_of_all(restarted)


async def silent(restarted: Restarted) -> None:
    """None of them ever speaks: all leases lapse at the same moment."""
    await asyncio.sleep(200.0)
    assert restarted.side.upper.bound == 0
    assert set(restarted.there.values()) == {False}


STORIES: Final = (told_of_all, told_anew, silent)


def longest_turns(count: int, subscribe: tuple[Topic, ...] = ()) -> dict[str, int]:
    """Calls in the longest turn of each story, one after the other."""

    async def scenario() -> dict[str, int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        lowers = peers(count, subscribe)
        side = OneSide(Network(loop), AT_OUTER, lowers=lowers, store=kept(lowers))
        restarted = Restarted(side)
        await side.upper.restore()
        task = asyncio.create_task(side.upper.run())
        longest = {}
        for story in STORIES:
            loop.begin()
            await story(restarted)
            longest[story.__name__] = loop.longest
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return longest

    return counted(scenario())


def test_no_turn_does_more_because_there_are_more_peers() -> None:
    few, many = longest_turns(FEW), longest_turns(MANY)
    assert {story: many[story] <= 1.2 * few[story] for story in many} == dict.fromkeys(few, True)
    assert max(many.values()) <= PART


def test_all_subscriptions_are_asked_for_a_part_a_turn() -> None:
    assert max(longest_turns(FEW, ("catalog",)).values()) <= PART
