"""One side dies and starts again while the other lives, each a process of its own."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from cascade.crossing import CatalogBatch, Crossing
from cascade.model.ids import PlatformId
from cascade.model.index import Rows
from gateway.chamber.link import LinkEnd, LinkFull, Signal
from gateway.chamber.link.encoded import encoded_link
from gateway.chamber.link.hosts import SURVIVES_SECONDS
from interop.demo.cast import KEPT_BRANCH
from interop.sim.sending import Behaviour
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.hosts import Hosts, hosts
from tests.gateway.world import INNER, INNER_ID, LOWER, LOWER_ID, OUTER, UPPER, Wire, header, world

GOODBYE_SECONDS = 3.0


def shared(here: Hosts) -> list[str]:
    return sorted(camera.id for camera in here.tree.cameras if camera.parent != KEPT_BRANCH)


async def up(here: Hosts) -> str:
    await here.playable_are(shared(here))
    await here.upper.wait_registered(INNER_ID)
    return shared(here)[0]


def statuses(here: Hosts) -> set[str]:
    """What the inner side would say of the cameras."""
    index = here.side("inner").side.shared
    return {(index.find(LOWER_ID, name) or {}).get("status", "") for name in here.playable()}


def test_the_outer_side_dies_in_mid_play_and_the_inner_side_ends_what_it_held() -> None:
    async def scenario() -> None:
        async with hosts() as here:
            channel = await up(here)
            wire = Wire(here.network)
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 0
                here.kill("outer")
                await asyncio.sleep(SURVIVES_SECONDS + 0.5)
                (bye,) = wire.between(INNER, UPPER, "BYE")
                assert header(bye, "Reason") == 'SIP;cause=503;text="the other side is gone"'
                assert here.orphans() == 0
                assert statuses(here) == {"OFF"}
                assert (await here.upper.catalog()).complete  # answered from what it holds
                with pytest.raises(PlayRefused) as refused:
                    async with here.upper.play(channel):
                        pass
                assert refused.value.status == 503
                await here.start("outer")
                await asyncio.sleep(GOODBYE_SECONDS)
                (bye,) = wire.between(OUTER, LOWER, "BYE")
                assert header(bye, "Reason") == 'SIP;cause=503;text="the gateway was restarted"'
            assert statuses(here) == {"ON"}
            assert wire.between(INNER, UPPER, "REGISTER") == []  # that registration never ended
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 0
            await asyncio.sleep(10.0)
            assert here.orphans() == here.lower_calls.active == here.upper_calls.active == 0
            assert here.trails_whole()

    run(scenario())


def test_the_inner_side_dies_in_mid_play_and_the_outer_side_ends_what_it_held() -> None:
    async def scenario() -> None:
        async with hosts() as here:
            channel = await up(here)
            wire = Wire(here.network)
            async with here.upper.play(channel):
                await asyncio.sleep(2.0)
                here.upper.registrar.forget(INNER_ID)
                here.kill("inner")
                await asyncio.sleep(10.0)  # a source lingers after its last viewer
                assert len(wire.between(OUTER, LOWER, "BYE")) == 1
                assert here.orphans() == here.lower_calls.active == 0
                assert wire.between(INNER, UPPER, "BYE") == []
                await here.start("inner")
                assert here.playable() == shared(here)  # from its own store, before anybody told it
                await asyncio.sleep(GOODBYE_SECONDS)
                (bye,) = wire.between(INNER, UPPER, "BYE")
                assert header(bye, "Reason") == 'SIP;cause=503;text="the gateway was restarted"'
                await here.upper.wait_registered(INNER_ID)
            assert statuses(here) == {"ON"}
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 0
            await asyncio.sleep(10.0)
            assert here.orphans() == here.lower_calls.active == here.upper_calls.active == 0
            assert here.trails_whole()

    run(scenario())


@pytest.mark.parametrize("dead", ["outer", "inner"])
def test_a_setup_on_its_way_over_the_lock_ends_at_both_ends(dead: str) -> None:
    async def scenario() -> None:
        async with hosts() as here:
            channel = await up(here)
            here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=3.0)

            async def watch() -> None:
                async with here.upper.play(channel):
                    pass

            watching = asyncio.create_task(watch())
            await asyncio.sleep(1.0)
            started = here.network.loop.time()
            here.kill("outer" if dead == "outer" else "inner")
            if dead == "inner":
                await here.start("inner")
            with pytest.raises(PlayRefused) as refused:
                await watching
            assert refused.value.status == (503 if dead == "outer" else 500)
            assert here.network.loop.time() - started < SURVIVES_SECONDS + 0.5
            if dead == "outer":
                await here.start("outer")
            await asyncio.sleep(80.0)
            assert here.orphans() == here.lower_calls.active == here.upper_calls.active == 0
            assert [await store.dialogs() for store in here.stores.values()] == [[], []]

    run(scenario())


def without(here: Hosts, camera: str) -> None:
    """The lower has that camera no more."""
    left = tuple(each for each in here.tree.cameras if each.id != camera)
    here.lower.answers.tell({LOWER_ID: replace(here.tree, cameras=left)})


def test_what_went_while_the_inner_side_was_dead_is_not_shown_after_its_start() -> None:
    """Its own store still has the row, and the outer side's word that it went found nobody."""

    async def scenario() -> None:
        async with hosts() as here:
            gone, *left = [await up(here), *shared(here)[1:]]
            here.kill("inner")
            without(here, gone)
            await asyncio.sleep(3700.0)  # the catalog below is asked for every hour
            assert here.side("outer").side.below.find(LOWER_ID, gone) is None
            await here.start("inner")
            assert gone in here.playable()
            await here.playable_are(left)
            await here.upper.wait_registered(INNER_ID)
            assert gone not in (await here.upper.catalog()).ids()
            held = {name for _, rows in await here.stores["inner"].catalog() for name in rows.ids()}
            assert gone not in held
            assert {*left} <= held

    run(scenario())


def test_what_the_outer_side_has_lost_with_its_death_the_inner_side_forgets() -> None:
    """It had stored that the row is gone, and died before it could say so."""

    async def scenario() -> None:
        async with hosts() as here:
            gone, *left = [await up(here), *shared(here)[1:]]
            here.kill("outer")
            without(here, gone)
            here.stores["outer"].save_rows(PlatformId(LOWER_ID), Rows.build([]), [gone])
            await here.start("outer")
            await here.playable_are(left)
            await asyncio.sleep(10.0)
            assert here.playable() == left
            assert here.trails_whole()

    run(scenario())


def test_whichever_starts_first_both_know_each_other_soon() -> None:
    async def scenario() -> None:
        async with hosts() as here:
            channel = await up(here)
            for first, second in (("outer", "inner"), ("inner", "outer")):
                here.upper.registrar.forget(INNER_ID)
                here.kill("outer")
                here.kill("inner")
                await asyncio.sleep(1.0)
                await here.start("outer" if first == "outer" else "inner")
                await asyncio.sleep(5.0)
                await here.start("outer" if second == "outer" else "inner")
                await here.upper.wait_registered(INNER_ID)
                await asyncio.sleep(5.0)  # who waited dials again after four seconds at most
                assert here.playable() == shared(here)
                assert statuses(here) == {"ON"}
                async with here.upper.play(channel) as playing:
                    await asyncio.sleep(2.0)
                    assert playing.report().frames_decoded > 0
                await asyncio.sleep(10.0)
            assert here.trails_whole()

    run(scenario())


class FullFor:
    """A link that is full for a while: it takes a batch of rows only when `seconds` are over."""

    def __init__(self, end: LinkEnd, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._end = end
        self._loop = loop
        self._until = loop.time() + seconds
        self.refused = 0

    @property
    def on_arrival(self) -> Callable[[Crossing], None]:
        return self._end.on_arrival

    @on_arrival.setter
    def on_arrival(self, gate: Callable[[Crossing], None]) -> None:
        self._end.on_arrival = gate

    @property
    def up(self) -> bool:
        return self._end.up

    @property
    def linked(self) -> bool:
        return self._end.linked

    @property
    def on_signal(self) -> Callable[[Signal], None]:
        return self._end.on_signal

    @on_signal.setter
    def on_signal(self, gate: Callable[[Signal], None]) -> None:
        self._end.on_signal = gate

    def deliver(self, crossing: Crossing) -> None:
        if isinstance(crossing, CatalogBatch) and self._loop.time() < self._until:
            self.refused += 1
            raise LinkFull("the other side takes nothing: too much is waiting for it")
        self._end.deliver(crossing)

    def signal(self, signal: Signal) -> None:
        self._end.signal(signal)


def test_rows_that_find_the_link_full_wait_and_none_is_lost() -> None:
    async def scenario() -> None:
        made: list[FullFor] = []

        def full(loop: asyncio.AbstractEventLoop) -> tuple[LinkEnd, LinkEnd]:
            one, two = encoded_link(loop)
            made.append(FullFor(one, loop, 3.0))
            return made[0], two

        async with world(full) as here:
            await here.shown()
            assert made[0].refused > 10
            assert 3.0 <= here.network.loop.time() < 4.0

    run(scenario())
