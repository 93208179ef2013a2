"""Catalogs are state: whatever changed while the link was away is so above afterwards, gone rows included."""

import asyncio
from dataclasses import replace
from typing import Literal

import pytest

from interop.demo.cast import KEPT_BRANCH
from tests.clock import run
from tests.gateway.hosts import hosts
from tests.gateway.test_two_hosts import cut, up
from tests.gateway.world import LOWER_ID, text

OFTEN = 20.0
"""Seconds from one catalog query below to the next."""
BACK = 60.0
"""Longer than the longest pause between two attempts to connect, and than a catalog takes."""


@pytest.mark.parametrize("seconds", [2.0, 4.0, 30.0, 1000.0])
@pytest.mark.parametrize("dies", ["nobody", "outer", "inner", "both"])
def test_what_changed_during_a_cut_of_any_length_is_so_afterwards(
    seconds: float, dies: Literal["nobody", "outer", "inner", "both"]
) -> None:
    async def scenario() -> None:
        written = text().replace(f'id = "{LOWER_ID}"', f'id = "{LOWER_ID}"\ncatalog_seconds = {OFTEN}', 1)
        async with hosts(written=written) as here:
            await up(here)
            first, second, *_ = (camera for camera in here.tree.cameras if camera.parent != KEPT_BRANCH)
            rest = [camera for camera in here.tree.cameras if camera not in (first, second)]
            cut(here)
            named = replace(second, name="Another name")
            added = replace(second, id="44010600001320000099", name="Added")
            tree = replace(here.tree, cameras=(named, *rest, added))
            here.lower.answers.tell({LOWER_ID: tree})
            await asyncio.sleep(seconds / 2)
            if dies in ("outer", "both"):
                here.kill("outer")
                await here.start("outer")
            if dies in ("inner", "both"):
                here.kill("inner")
                await here.start("inner")
            await asyncio.sleep(seconds / 2)
            assert first.id in here.playable()
            here.cable.cut = False
            await asyncio.sleep(BACK)
            expected = {camera.id for camera in tree.cameras if camera.parent != KEPT_BRANCH}
            assert set(here.playable()) == expected
            row = here.side("inner").side.shared.find(LOWER_ID, second.id)
            assert row is not None
            assert (row["name"], row["status"]) == ("Another name", "ON")
            stored = dict(await here.stores["inner"].catalog())
            assert first.id not in stored[here.side("outer").side.as_upper.state()[0].peer].ids()
            assert first.id not in (await here.upper.catalog()).ids()
            assert here.trails_whole()

    run(scenario())
