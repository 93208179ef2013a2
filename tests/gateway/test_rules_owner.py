"""Rules that go by whose a camera is: the field Owner of its catalog item (GB/T 28181 annex A)."""

import asyncio
from dataclasses import replace

import pytest

from gateway.chamber.policy import CompiledRules, judge
from interop.demo.cast import KEPT_BRANCH
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.chamber_ground import (
    COUNCIL,
    POLICE,
    places,
    rule,
    stream_open,
)
from tests.gateway.test_first_camera import retold
from tests.gateway.test_rules_reload import keeper_of, write
from tests.gateway.world import Link, World, text, world

NOT_THEIRS = text().replace(f"branch:{KEPT_BRANCH}", f"owner:{COUNCIL}")
AN_HOUR = 3700.0
"""A catalog is asked for each hour."""


def owned(here: World, council: set[str]) -> None:
    """From the next query on the lower platform says that these cameras are the council's."""
    cameras = [
        replace(camera, owner=COUNCIL if camera.id in council else POLICE) for camera in here.tree.cameras
    ]
    retold(here, replace(here.tree, cameras=tuple(cameras)))


def test_cameras_go_and_come_with_their_owner(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=NOT_THEIRS) as here:
            everything = [camera.id for camera in here.tree.cameras]
            await here.shown(len(everything))
            council = {*everything[:3]}
            owned(here, council)
            await asyncio.sleep(AN_HOUR)
            assert here.playable() == sorted({*everything} - council)
            assert sorted((await here.upper.catalog()).channels()) == sorted({*everything} - council)
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(everything[0]):
                    pass
            assert refused.value.status == 404  # what is not shown is not there
            async with here.upper.play(everything[3]) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 20
            owned(here, set())
            await asyncio.sleep(AN_HOUR)
            assert here.playable() == sorted(everything)

    run(scenario(), seconds=9000)


def test_what_may_be_seen_and_not_watched_is_refused_by_both_doors(link: Link) -> None:
    """The far door knows the owner too: it is in the row that crossed."""
    seen = text().replace(
        f'action = "media.live"\nchannels = ["branch:{KEPT_BRANCH}"]',
        f'action = "media.live"\nchannels = ["owner:{COUNCIL}"]',
    )
    assert seen != text()

    async def scenario() -> None:
        async with world(link, written=seen) as here:
            await here.shown()
            first = here.shared()[0]
            async with here.upper.play(first):
                pass
            owned(here, {first})
            await asyncio.sleep(AN_HOUR)
            assert first in here.playable()
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(first):
                    pass
            assert refused.value.status == 403
            assert here.gateway.inner.counters.refused["no-live-schools"] == 1
            keeper = keeper_of(here)
            write(here, seen.replace(COUNCIL, POLICE))
            assert (await keeper.reload()).taken
            async with here.upper.play(first):
                pass

    run(scenario())


def test_no_part_of_an_owner_is_that_owner() -> None:
    rules = CompiledRules([rule("police", channels=(f"owner:{POLICE[:2]}",))])
    assert judge(rules, stream_open(), "outward", places).rule == "default"
