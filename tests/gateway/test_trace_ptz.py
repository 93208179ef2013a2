"""A control that was answered 486: the ladder says who has the camera, and until when."""

import asyncio
from datetime import datetime

from gateway.words import LANGUAGES, Words
from interop.sim.upper import PTZ_LEFT, PTZ_STOP
from tests.clock import run
from tests.gateway.test_ptz import EQUAL_ID, HIGH_ID, RIGHT, UP, desks
from tests.gateway.traced import traced
from tests.gateway.world import UPPER_ID, WALL, Link


def clock(seconds: float) -> str:
    return datetime.fromtimestamp(WALL + seconds).astimezone().strftime("%H:%M:%S")


def test_who_has_the_camera_and_until_when(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            channel = on.here.shared()[0]
            assert await on.low(PTZ_LEFT) == 200
            moved = on.here.network.loop.time()
            await asyncio.sleep(1.0)
            assert await on.equal.status(RIGHT) == 486
            told = traced(on.here, channel)
            assert told.sentence.key == "trace.ptz_held"
            for text in (EQUAL_ID, UPPER_ID, channel, "level 5 against 5", f"until {clock(moved + 60)}"):
                assert text in told.said
            told.shows("MESSAGE DeviceControl", f"held by {UPPER_ID}", "486 Busy Here (MESSAGE)")
            assert await on.low(PTZ_STOP) == 200
            stopped = on.here.network.loop.time()
            await asyncio.sleep(1.0)
            assert await on.equal.status(RIGHT) == 486
            assert f"until {clock(stopped + 10)}" in traced(on.here, channel).said
            assert len([one for one in traced(on.here, channel).stories if one.held is not None]) == 2

    run(scenario())


def test_the_loser_of_a_camera_is_told_of_by_its_own_id(link: Link) -> None:
    async def scenario() -> None:
        async with desks(link) as on:
            assert await on.low(PTZ_LEFT) == 200
            await asyncio.sleep(1.0)
            assert await on.high.status(UP) == 200
            await asyncio.sleep(1.0)
            assert await on.low(PTZ_STOP) == 486
            told = traced(on.here, on.here.shared()[0], "inner")
            assert told.sentence.key == "trace.ptz_held"
            for language in LANGUAGES:
                said = Words(language).render(told.sentence)
                assert HIGH_ID in said
                assert UPPER_ID in said
            held = [one for one in traced(on.here, UPPER_ID).stories if one.held is not None]
            assert [one.origin for one in held] == [UPPER_ID]

    run(scenario())
