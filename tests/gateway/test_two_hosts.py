"""Two hosts and one link, in virtual time: what each side does while the link is away, and after it."""

import asyncio
from dataclasses import replace

import pytest

from cascade.crossing import CatalogBatch, Crossing
from cascade.model.ids import PlatformId
from gateway.chamber.link.hosts import SURVIVES_SECONDS
from interop.demo.cast import KEPT_BRANCH
from interop.sim.queries import QueryFailed
from interop.sim.sending import Behaviour
from interop.sim.upper import PTZ_LEFT, PlayRefused
from tests.clock import run
from tests.gateway.hosts import Hosts, hosts
from tests.gateway.world import INNER, INNER_ID, LOWER, LOWER_ID, OUTER, UPPER, Wire, header

AT_ONCE = 0.2
"""Seconds; nothing is waited for."""


def shared(here: Hosts) -> list[str]:
    return sorted(camera.id for camera in here.tree.cameras if camera.parent != KEPT_BRANCH)


async def up(here: Hosts) -> str:
    await here.playable_are(shared(here))
    await here.upper.wait_registered(INNER_ID)
    return shared(here)[0]


def cut(here: Hosts) -> None:
    """The wire between the hosts is gone, and both notice at once."""
    here.cable.cut = True
    here.cable.reset()


async def refused(here: Hosts, channel: str) -> int:
    begun = here.network.loop.time()
    with pytest.raises(PlayRefused) as error:
        async with here.upper.play(channel):
            pass
    assert here.network.loop.time() - begun < AT_ONCE
    return error.value.status


@pytest.mark.parametrize("dials", ["inner", "outer", "both"])
def test_two_hosts_do_what_one_does(dials: str) -> None:
    async def scenario() -> None:
        async with hosts(dials=dials) as here:
            assert OUTER not in (here.folder / "inner.toml").read_text(), "no address of the other network"
            assert UPPER not in (here.folder / "outer.toml").read_text()
            channel = await up(here)
            assert set(shared(here)) <= set((await here.upper.catalog()).ids())
            info = await here.upper.device_info(target=channel)
            assert (info["DeviceID"], info["Result"]) == (channel, "OK")
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 0
            kept = next(camera.id for camera in here.tree.cameras if camera.parent == KEPT_BRANCH)
            assert await refused(here, kept) == 404
            await asyncio.sleep(20.0)
            assert here.orphans() == here.lower_calls.active == here.upper_calls.active == 0
            assert here.trails_whole()

    run(scenario())


def test_a_cut_of_two_seconds_is_noticed_by_nobody_who_watches() -> None:
    async def scenario() -> None:
        async with hosts() as here:
            channel = await up(here)
            wire = Wire(here.network)
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(2.0)
                cut(here)
                assert await refused(here, shared(here)[1]) == 503
                await asyncio.sleep(2.0)
                here.cable.cut = False
                await asyncio.sleep(10.0)
                assert here.link("inner").up
                assert wire.between(INNER, UPPER, "BYE") == wire.between(OUTER, LOWER, "BYE") == []
                assert playing.report().frames_decoded > 250
            await asyncio.sleep(20.0)
            assert len(wire.between(OUTER, LOWER, "BYE")) == 1, "its end went over the link"
            assert here.orphans() == here.lower_calls.active == 0
            assert here.link("inner").counts["begun"] == 1

    run(scenario())


def test_who_leaves_during_a_short_cut_leaves_no_camera_sending() -> None:
    async def scenario() -> None:
        async with hosts() as here:
            channel = await up(here)
            wire = Wire(here.network)
            async with here.upper.play(channel):
                await asyncio.sleep(2.0)
                cut(here)
            await asyncio.sleep(1.0)
            assert wire.between(OUTER, LOWER, "BYE") == []
            here.cable.cut = False
            await asyncio.sleep(20.0)
            assert len(wire.between(OUTER, LOWER, "BYE")) == 1
            assert here.orphans() == here.lower_calls.active == 0

    run(scenario())


def test_while_the_link_is_down_each_side_keeps_its_own_and_says_so() -> None:
    async def scenario() -> None:
        async with hosts() as here:
            channel = await up(here)
            wire = Wire(here.network)
            async with here.upper.play(channel):
                await asyncio.sleep(2.0)
                cut(here)
                await asyncio.sleep(SURVIVES_SECONDS + AT_ONCE)
                (bye,) = wire.between(INNER, UPPER, "BYE")
                assert header(bye, "Reason") == 'SIP;cause=503;text="the other side is gone"'
            await asyncio.sleep(20.0)
            assert len(wire.between(OUTER, LOWER, "BYE")) == 1
            assert here.orphans() == here.lower_calls.active == here.upper_calls.active == 0
            assert await refused(here, channel) == 503
            (refusal,) = wire.between(INNER, UPPER, "SIP/2.0 503")
            assert header(refusal, "Retry-After")
            assert "recorded" not in header(refusal, "Warning")
            assert await here.upper.control(channel, PTZ_LEFT) == 503
            begun = here.network.loop.time()
            with pytest.raises(QueryFailed):
                await here.upper.device_info(target=channel)
            assert here.network.loop.time() - begun < 1.0
            await asyncio.sleep(3000.0)
            assert wire.between(INNER, UPPER, "REGISTER") == [], "that registration holds"
            assert len(wire.between(OUTER, LOWER, "SIP/2.0 200")) >= 50, "its keepalives below"
            assert len(wire.between(INNER, UPPER, "MESSAGE")) >= 50, "our keepalives above"
            assert here.side("outer").side.as_upper.online(PlatformId(LOWER_ID))
            assert (await here.upper.catalog()).complete
            here.cable.cut = False
            await asyncio.sleep(40.0)
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 0
            assert here.trails_whole()

    run(scenario())


def test_a_half_open_link_ends_what_crossed_it_on_both_sides() -> None:
    async def scenario() -> None:
        async with hosts() as here:
            channel = await up(here)
            wire = Wire(here.network)
            async with here.upper.play(channel):
                await asyncio.sleep(2.0)
                here.cable.cut = True  # nobody is told
                await asyncio.sleep(15.0 + SURVIVES_SECONDS + AT_ONCE)
                assert len(wire.between(INNER, UPPER, "BYE")) == 1
            await asyncio.sleep(20.0)
            assert len(wire.between(OUTER, LOWER, "BYE")) == 1
            assert here.orphans() == here.lower_calls.active == here.upper_calls.active == 0
            assert here.link("inner").counts["silent"] == 1

    run(scenario())


@pytest.mark.parametrize("seconds", [1.0, 60.0])
def test_a_cut_in_the_middle_of_an_invite(seconds: float) -> None:
    """A short one only delays it; a long one is a 503 above and no dialog below."""

    async def scenario() -> None:
        async with hosts() as here:
            channel = await up(here)
            wire = Wire(here.network)
            here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=3.0)
            status: list[int] = []

            async def watch() -> None:
                try:
                    async with here.upper.play(channel) as playing:
                        await asyncio.sleep(2.0)
                        assert playing.report().frames_decoded > 0
                        status.append(200)
                except PlayRefused as error:
                    status.append(error.status)

            watching = asyncio.create_task(watch())
            await asyncio.sleep(1.0)
            assert len(wire.between(OUTER, LOWER, "INVITE")) == 1
            cut(here)
            await asyncio.sleep(seconds)
            here.cable.cut = False
            await watching
            assert status == [200 if seconds < SURVIVES_SECONDS else 503]
            await asyncio.sleep(80.0)
            assert here.orphans() == here.lower_calls.active == here.upper_calls.active == 0
            assert [await store.dialogs() for store in here.stores.values()] == [[], []]

    run(scenario())


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_cut_in_the_middle_of_a_catalog_loses_no_row_and_adds_none(seconds: float) -> None:
    async def scenario() -> None:
        async with hosts(cameras=4000) as here:
            held: list[int] = []
            arrived = asyncio.Event()

            def seen(_direction: str, crossing: Crossing) -> None:
                if isinstance(crossing, CatalogBatch) and crossing.change == "present" and len(held) < 2:
                    held.append(len(here.playable()))
                    cut(here)
                    arrived.set()

            here.side("inner").gate.observe(seen)
            for _ in range(2):
                await arrived.wait()
                arrived.clear()
                await asyncio.sleep(seconds)
                here.cable.cut = False
            assert 0 < held[0] < 2000
            await here.playable_are(shared(here))
            assert len(here.playable()) == 2000
            await asyncio.sleep(10.0)
            assert here.playable() == shared(here)
            assert here.side("inner").gate.counters.rows_refused.total() == 0
            assert here.trails_whole()

    run(scenario())


def test_what_went_while_the_link_was_down_is_not_shown_afterwards() -> None:
    async def scenario() -> None:
        async with hosts() as here:
            gone, *left = [await up(here), *shared(here)[1:]]
            cut(here)
            cameras = tuple(each for each in here.tree.cameras if each.id != gone)
            here.lower.answers.tell({LOWER_ID: replace(here.tree, cameras=cameras)})
            await asyncio.sleep(3700.0)  # the catalog below is asked for every hour
            assert gone in here.playable()
            here.cable.cut = False
            await here.playable_are(left)
            assert gone not in (await here.upper.catalog()).ids()

    run(scenario())


@pytest.mark.parametrize("seconds", [0.0, 30.0])
@pytest.mark.parametrize("side", ["outer", "inner"])
def test_a_host_that_restarts_finds_the_other_again(side: str, seconds: float) -> None:
    async def scenario() -> None:
        async with hosts() as here:
            channel = await up(here)
            async with here.upper.play(channel):
                await asyncio.sleep(2.0)
                await here.stop("outer" if side == "outer" else "inner")
                await asyncio.sleep(seconds)
            assert here.orphans() == 0 or not seconds
            await here.start("outer" if side == "outer" else "inner")
            await asyncio.sleep(70.0)
            assert here.orphans() == here.lower_calls.active == here.upper_calls.active == 0
            assert here.playable() == shared(here)
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 0
            assert here.trails_whole()

    run(scenario())
