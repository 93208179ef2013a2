"""Whatever viewers, cameras and networks do, and whenever: at the end nothing is left behind."""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from interop.sim.queries import QueryFailed
from interop.sim.sending import Behaviour
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.world import INNER_ID, LINKS, LOWER, OUTER, UPPER, World, world

EXAMPLES = 800 if os.environ.get("HYPOTHESIS_PROFILE") == "explore" else 40


@dataclass(frozen=True)
class Viewer:
    """Comes at `start`, asks for camera `camera`, leaves after `stay` seconds at any stage of its call."""

    start: float
    stay: float
    camera: int
    abrupt: bool  # gives up by cancelling its task, in whatever it is


@dataclass(frozen=True)
class Trouble:
    """A cable out for a while."""

    start: float
    lasts: float
    host: str


SECONDS = st.integers(0, 400).map(lambda tenths: tenths / 20)
VIEWERS = st.builds(Viewer, SECONDS, SECONDS, st.integers(0, 3), st.booleans())
TROUBLES = st.builds(Trouble, SECONDS, SECONDS, st.sampled_from([LOWER, UPPER, OUTER]))
BEHAVIOURS = st.sampled_from(
    [
        Behaviour(),
        Behaviour(media=False),
        Behaviour(answer_seconds=3.0),
        Behaviour(answer_seconds=16.0),
        Behaviour(refuse=486),
        Behaviour(media_seconds=2.0),
        Behaviour(answer_ssrc=77),
    ]
)


async def visit(here: World, viewer: Viewer) -> None:
    await asyncio.sleep(viewer.start)

    async def watch() -> None:
        with contextlib.suppress(PlayRefused):
            async with here.upper.play(here.shared()[viewer.camera]):
                await asyncio.sleep(viewer.stay if not viewer.abrupt else 1000)

    if not viewer.abrupt:
        await watch()
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(viewer.stay):
            await watch()


async def suffer(here: World, trouble: Trouble) -> None:
    await asyncio.sleep(trouble.start)
    here.network.cut(trouble.host)
    await asyncio.sleep(trouble.lasts)
    here.network.mend(trouble.host)


@settings(max_examples=EXAMPLES)
@given(
    viewers=st.lists(VIEWERS, min_size=1, max_size=6),
    troubles=st.lists(TROUBLES, max_size=2),
    behaviours=st.tuples(BEHAVIOURS, BEHAVIOURS, BEHAVIOURS, BEHAVIOURS),
    loss=st.sampled_from([0.0, 0.0, 0.1]),
    seed=st.integers(0, 1000),
)
def test_nothing_is_left_behind(
    viewers: Sequence[Viewer],
    troubles: Sequence[Trouble],
    behaviours: Sequence[Behaviour],
    loss: float,
    seed: int,
) -> None:
    async def scenario() -> None:
        async with world(LINKS["encoded"], seed=seed) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            for channel, behaviour in zip(here.shared(), behaviours, strict=True):
                here.lower.senders.behaviours[channel] = behaviour
            here.network.loss = loss
            async with asyncio.TaskGroup() as group:
                for viewer in viewers:
                    group.create_task(visit(here, viewer))
                for trouble in troubles:
                    group.create_task(suffer(here, trouble))
            here.network.loss = 0.0
            await asyncio.sleep(150.0)  # two transactions that nobody answers, one after the other
            assert here.gateway.orphans == 0
            assert here.plane.sockets() == 0
            assert here.upper_calls.active == 0
            for side in (here.gateway.outer.side, here.gateway.inner.side):
                if side.endpoint.pending:  # a keepalive may be on its way just now
                    await asyncio.sleep(1.0)
                assert side.endpoint.pending == 0
            assert here.trails_whole()
            with contextlib.suppress(QueryFailed):
                await here.upper.catalog()

    run(scenario())
