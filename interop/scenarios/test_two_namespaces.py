"""The wire between two real hosts fails at the worst moments; what both platforms see of it.

A cut that the link outlives costs time and nothing else; a longer one, and packets that are lost one way
only, end what crossed with a clear answer, and everything is there again afterwards.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from gateway.chamber import chain
from interop.demo.cast import CAMERA, INNER_ID
from interop.demo.faults import WELL, Fault
from interop.demo.hosts import LINK, LINK_WIRE, Hosts, open_two_hosts
from interop.demo.scene import Scene
from interop.demo.watched import Look
from interop.scenarios.programs import PATIENCE
from interop.sim.upper import PlayRefused

NOBODY: Final = "02:00:00:00:00:99"
"""A hardware address that is on no wire: what is sent to it is gone, and nobody is told."""


CAMERAS: Final = 4000
SLOW: Final = ("root", "tbf", "rate", "1mbit", "burst", "16kb", "latency", "60s")
"""A catalog of so many rows takes seconds at that rate; the rest waits in the wire."""


class SlowWire(Fault):
    """What the outer host sends to the inner one takes its time, from the start on."""

    def hosts(self, hosts: Hosts) -> None:
        with hosts.networks.outer.entered():
            subprocess.run(["tc", "qdisc", "add", "dev", LINK_WIRE, *SLOW], check=True)


@asynccontextmanager
async def stage(folder: Path, cameras: int = 20, fault: Fault = WELL) -> AsyncIterator[tuple[Scene, Hosts]]:
    """Everybody has started; afterwards nothing is open and both trails are whole."""
    with ThreadPoolExecutor(2) as workers:
        async with open_two_hosts(folder, cameras, workers, "en", fault) as scene:
            assert scene.hosts is not None
            yield scene, scene.hosts
            await seen(scene, lambda look: look.orphans == 0)
    assert all(chain.verify(audit).whole for audit in scene.audits)


async def seen(scene: Scene, wanted: Callable[[Look], bool]) -> Look:
    """How it stands, once that holds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if wanted(look := await scene.gateway.look()):
                return look
            await asyncio.sleep(0.02)


async def met(scene: Scene) -> None:
    """Return once both registrations and all rows are there."""
    async with asyncio.timeout(PATIENCE):
        await scene.lower.registered.wait()
        await scene.upper.wait_registered(INNER_ID)
    await seen(scene, lambda look: look.whole)


def linked(*states: bool) -> Callable[[Look], bool]:
    """Both ends of the link say so; one state is that of both."""

    def holds(look: Look) -> bool:
        ends = (look.outer.link, look.inner.link)
        return all(end is not None and end.up in states for end in ends)

    return holds


async def plays(scene: Scene, channel: str) -> None:
    async with scene.upper.play(channel) as playing:
        async with asyncio.timeout(PATIENCE):
            await playing.reached(20)
        assert playing.report().packets_foreign == 0


async def refused(hosts: Hosts, channel: str) -> int:
    """What the gateway answers, however long that takes."""
    with pytest.raises(PlayRefused) as told:
        async with hosts.platforms.upper.play(channel, answer_seconds=PATIENCE):
            pass
    return told.value.status


async def test_an_invite_waits_for_a_wire_that_comes_back_soon(tmp_path: Path) -> None:
    async with stage(tmp_path) as (scene, hosts):
        await met(scene)
        await hosts.cut()
        playing = asyncio.create_task(plays(scene, scene.cameras()[0]))
        look = await seen(scene, lambda look: look.inner.viewings + look.inner.calls > 0)
        assert look.outer.calls == 0
        await hosts.mend()
        await playing
        assert linked(True)(await scene.gateway.look())


async def test_an_invite_under_way_is_refused_when_the_link_is_given_up_and_plays_later(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as (scene, hosts):
        await met(scene)
        await hosts.cut()
        assert await refused(hosts, scene.cameras()[0]) == 503
        await seen(scene, linked(False))
        assert await refused(hosts, scene.cameras()[0]) == 503
        await hosts.mend()
        await seen(scene, linked(True))
        await seen(scene, lambda look: look.whole)
        await plays(scene, scene.cameras()[0])


@pytest.mark.parametrize("heard", ["nothing", "a part"])
async def test_a_catalog_that_is_cut_off_is_whole_afterwards_and_nothing_is_twice(
    tmp_path: Path, heard: str
) -> None:
    """The outer host has told all of it by then, and the inner one has heard so much of it."""
    async with stage(tmp_path, CAMERAS, SlowWire()) as (scene, hosts):
        wanted = len(scene.cameras())

        def underway(look: Look) -> bool:
            return look.outer.rows_passed >= wanted and (look.inner.rows_passed > 0) == (heard == "a part")

        await seen(scene, underway)
        await hosts.cut()
        look = await seen(scene, linked(False))
        assert look.inner.rows_passed < wanted
        assert (look.inner.rows_passed > 0) == (heard == "a part")
        await hosts.mend()
        await met(scene)
        async with asyncio.timeout(PATIENCE):
            shown: list[str] = []
            while len(shown) < wanted:
                catalog = await scene.upper.catalog(quiet_seconds=PATIENCE, on_page=lambda _, __: None)
                shown = [name for name in catalog.ids() if name[10:13] == CAMERA]
        assert sorted(shown) == sorted(scene.cameras())


async def test_a_picture_ends_with_a_link_that_is_given_up_and_another_begins(tmp_path: Path) -> None:
    async with stage(tmp_path) as (scene, hosts):
        await met(scene)
        async with scene.upper.play(scene.cameras()[0]) as playing:
            await asyncio.wait_for(playing.reached(20), PATIENCE)
            await hosts.cut()
            look = await seen(scene, lambda look: linked(False)(look) and look.orphans == 0)
            assert not look.outer.streams
            assert playing.report().ended == "bye"
        await hosts.mend()
        await seen(scene, linked(True))
        await plays(scene, scene.cameras()[-1])


@pytest.mark.parametrize("mute", ["outer", "inner"])
async def test_packets_that_are_lost_one_way_are_missed_at_both_ends(tmp_path: Path, mute: str) -> None:
    """Half open: what `mute` sends is gone, what it hears is well."""
    async with stage(tmp_path) as (scene, hosts):
        await met(scene)
        network = hosts.networks.outer if mute == "outer" else hosts.networks.inner
        entry = (LINK["inner"] if mute == "outer" else LINK["outer"], "dev", LINK_WIRE)
        network.ip("neigh", "replace", *entry, "lladdr", NOBODY, "nud", "permanent")
        await seen(scene, linked(False))
        assert await refused(hosts, scene.cameras()[0]) == 503
        network.ip("neigh", "del", *entry)
        await seen(scene, linked(True))
        await seen(scene, lambda look: look.whole)
        await plays(scene, scene.cameras()[0])
