"""A camera that moves when the gateway dies is stopped by its next start."""

import asyncio

import pytest

from interop.sim.upper import PTZ_LEFT, PTZ_STOP
from tests.clock import run
from tests.gateway.test_ptz import RIGHT, SHARED_BY_THREE
from tests.gateway.world import LOWER, LOWER_ID, UPPER, Link, World, world


def told(here: World, camera: str) -> list[str]:
    return [ptz for name, ptz in here.lower.controls if name == camera]


async def kept(here: World) -> list[str]:
    return [str(camera) for camera in await here.stores["outer"].moving()]


def test_a_camera_that_moves_at_a_sudden_death_stops_with_the_next_start(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=SHARED_BY_THREE) as here:
            await here.shown()
            left, still = here.shared()[:2]
            assert await here.upper.control(left, PTZ_LEFT) == 200
            assert await here.upper.control(still, RIGHT) == 200
            await asyncio.sleep(1.0)
            assert await here.upper.control(still, PTZ_STOP) == 200
            await asyncio.sleep(1.0)
            assert await kept(here) == [f"{LOWER_ID}/{left}"]
            await here.kill(dead_seconds=2.0)
            await asyncio.sleep(0.5)
            assert told(here, left) == [PTZ_LEFT, PTZ_STOP]
            assert told(here, still) == [RIGHT, PTZ_STOP], "it was told already"
            assert await kept(here) == []
            await here.kill()
            await asyncio.sleep(1.0)
            assert told(here, left) == [PTZ_LEFT, PTZ_STOP], "once"

    run(scenario())


@pytest.mark.parametrize("after", [step * 0.004 for step in range(12)])
def test_whenever_it_dies_no_camera_goes_on(after: float, link: Link) -> None:
    """At every stage of a movement's way from the operator to the camera and back."""

    async def scenario() -> None:
        async with world(link, written=SHARED_BY_THREE) as here:
            await here.shown()
            camera = here.shared()[0]
            asking = asyncio.ensure_future(here.upper.control(camera, PTZ_LEFT))
            await asyncio.sleep(after)
            here.network.cut(UPPER)  # else what it repeats is a new movement after the start
            await here.kill(dead_seconds=2.0)
            await asyncio.sleep(1.0)
            asking.cancel()
            assert told(here, camera)[-1:] in ([], [PTZ_STOP])

    run(scenario())


def test_a_camera_whose_platform_was_away_is_stopped_when_it_is_back(link: Link) -> None:
    """It could not be told, neither by the one process nor at the start of the next."""

    async def scenario() -> None:
        async with world(link, written=SHARED_BY_THREE) as here:
            await here.shown()
            camera = here.shared()[0]
            assert await here.upper.control(camera, PTZ_LEFT) == 200
            await asyncio.sleep(1.0)
            here.network.cut(LOWER)
            await asyncio.sleep(400.0)
            assert told(here, camera) == [PTZ_LEFT]
            assert await kept(here) == [f"{LOWER_ID}/{camera}"]
            await here.kill()
            await asyncio.sleep(60.0)
            here.network.mend(LOWER)
            await asyncio.sleep(120.0)
            assert told(here, camera) == [PTZ_LEFT, PTZ_STOP]
            assert await kept(here) == []

    run(scenario())


def test_an_orderly_stop_stops_it_and_the_next_start_says_so_once_more(link: Link) -> None:
    """Nobody waited for its answer; after the one that is heard nothing is kept."""

    async def scenario() -> None:
        async with world(link, written=SHARED_BY_THREE) as here:
            await here.shown()
            camera = here.shared()[0]
            assert await here.upper.control(camera, PTZ_LEFT) == 200
            await asyncio.sleep(1.0)
            await here.life.stop()
            assert told(here, camera) == [PTZ_LEFT, PTZ_STOP]
            for _ in range(2):
                await here.restart()
                await asyncio.sleep(5.0)
                assert told(here, camera) == [PTZ_LEFT, PTZ_STOP, PTZ_STOP]
                assert await kept(here) == []
                await here.life.stop()

    run(scenario())
