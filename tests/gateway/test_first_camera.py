"""The whole main job in virtual time, over the plain link and over one that encodes and compares."""

import asyncio
from dataclasses import replace

import pytest

from cascade.crossing import CatalogBatch, Crossing
from gateway.app import SideName
from gateway.store.memory import MemoryStore
from interop.demo.cast import KEPT_BRANCH
from interop.sim.catalog import Tree
from interop.sim.playing import PlayReport
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LOWER,
    LOWER_ID,
    OUTER,
    UPPER,
    Link,
    Wire,
    World,
    header,
    text,
    world,
)


async def watch(here: World, channel: str, seconds: float) -> PlayReport:
    """Play for some seconds, stop the camera, wait for its last packet, hang up."""
    camera = here.tree.camera(channel)
    assert camera is not None
    async with here.upper.play(channel, camera=camera.number) as playing:
        await asyncio.sleep(seconds)
        sent = {record.camera: record.packets_sent for record in await here.lower.pause_streams()}
        assert await here.upper.drained(sent)
        report = await playing.finish()
    here.lower.senders.resume_streams()
    return report


async def quiet(here: World) -> None:
    """Return once nobody plays and every linger is over."""
    await asyncio.sleep(5.0)
    assert here.gateway.orphans == 0
    assert here.plane.sockets() == 0


def test_a_shared_camera_is_seen_above_and_a_kept_one_is_not(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            catalog = await here.upper.catalog()
            assert catalog.complete
            assert sorted(catalog.channels()) == here.shared()
            assert catalog.announced == len(catalog.items)
            assert not set(catalog.ids()) & set(here.kept())

            seen = await watch(here, here.shared()[0], 4.0)
            (sent,) = here.lower.records()
            assert seen.frames_decoded == sent.frames_sent >= 95
            assert (seen.frames_lost, seen.frames_repeated, seen.wrong_camera) == ((), 0, 0)
            assert seen.packets_received == sent.packets_sent
            assert seen.sha256 == sent.sha256
            assert seen.ssrc != sent.ssrc

            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(here.kept()[0]):
                    pass
            assert refused.value.status == 404
            await quiet(here)
            assert here.trails_whole()

    run(scenario())


def test_rows_kept_back_are_counted_by_their_rule(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            assert here.gateway.outer.counters.rows_refused == {"no-schools": len(here.kept()) + 1}
            batches = [record for record in here.audit("outer") if record["kind"] == "CatalogBatch"]
            assert [(each["details"]["change"], each["verdict"], each["rule"]) for each in batches] == [
                ("anew", "passed", "always"),
                ("whole", "passed", "always"),
                ("present", "passed", "row-by-row"),
            ]

    run(scenario())


def test_a_second_viewer_makes_no_second_invite_below(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            wire = Wire(here.network)
            channel = here.shared()[0]
            async with here.upper.play(channel) as first:
                await asyncio.sleep(1.0)
                async with here.upper.play(channel) as second:
                    await asyncio.sleep(2.0)
                    assert here.plane.sockets() == 3  # one receives, two send
                    assert here.gateway.outer.side.tables().sources == 1
                    assert here.gateway.inner.side.tables().viewings == 2
                    late = second.report()
                assert late.frames_decoded > 20
                await asyncio.sleep(1.0)
                assert first.report().frames_decoded > 90
            assert len(wire.between(OUTER, LOWER, "INVITE")) == 1
            await quiet(here)
            assert len(wire.between(OUTER, LOWER, "BYE")) == 1
            assert len(here.lower.records()) == 1

    run(scenario())


def test_one_stream_takes_one_pass_and_two_sockets(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            async with here.upper.play(here.shared()[0]):
                await asyncio.sleep(2.0)
                assert here.plane.sockets() == 2
                counters = here.plane.counters()
                (stream,) = counters.streams.values()
                (viewer,) = stream.viewers.values()
                assert viewer.sent == stream.admitted == stream.received > 50

    run(scenario())


def test_a_viewer_that_comes_back_within_the_linger_finds_the_source_alive(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            wire = Wire(here.network)
            for pause in (0.5, 3.0, 3.0):  # the linger is 1 s
                async with here.upper.play(here.shared()[0]):
                    await asyncio.sleep(1.0)
                await asyncio.sleep(pause)
            assert len(wire.between(OUTER, LOWER, "INVITE")) == 2
            await quiet(here)

    run(scenario())


def test_nothing_of_one_side_is_written_on_the_other(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            wire = Wire(here.network)
            await here.shown()
            async with here.upper.play(here.shared()[0]):
                await asyncio.sleep(1.0)
            await quiet(here)
            above = [text for _, one, other, text in wire.sent if UPPER in (one, other)]
            below = [text for _, one, other, text in wire.sent if LOWER in (one, other)]
            assert above
            assert below
            assert not any(OUTER in text or LOWER in text for text in above)
            assert not any(INNER in text or UPPER in text or INNER_ID in text for text in below)
            calls = [{header(text, "Call-ID") for text in texts} for texts in (above, below)]
            assert not calls[0] & calls[1]

    run(scenario())


def test_questions_cross_and_are_answered_under_the_askers_number(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            info = await here.upper.device_info(target=here.shared()[0])
            assert info["Result"] == "OK"
            assert info["DeviceID"] == here.shared()[0]
            ours = await here.upper.device_info(target=INNER_ID)
            assert ours["DeviceID"] == INNER_ID
            status = await here.upper.device_status(target=here.shared()[0])
            assert status["Online"] == "ONLINE"
            asks = [record for record in here.audit("inner") if record["kind"] == "Ask"]
            assert [record["action"] for record in asks] == ["query.device-info", "query.device-status"]

    run(scenario())


def test_a_lower_platform_that_falls_silent_is_off_above_and_comes_back(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            here.network.cut(LOWER)
            await asyncio.sleep(60 * 3 + 15)
            assert not here.gateway.outer.side.as_upper.online(
                here.gateway.outer.side.as_upper.state()[0].peer
            )
            items = {item["DeviceID"]: item for item in (await here.upper.catalog()).items}
            assert {items[channel]["Status"] for channel in here.shared()} == {"OFF"}
            here.network.mend(LOWER)
            await asyncio.sleep(150)
            items = {item["DeviceID"]: item for item in (await here.upper.catalog()).items}
            assert {items[channel]["Status"] for channel in here.shared()} == {"ON"}

    run(scenario())


def test_keepalives_and_refreshes_never_cross(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            await asyncio.sleep(1.0)  # the last news of the beginning
            before = [len(here.audit("outer")), len(here.audit("inner"))]
            kept = here.lower.membership.keepalives
            await asyncio.sleep(1000)
            assert here.lower.membership.keepalives > kept + 10
            assert [len(here.audit("outer")), len(here.audit("inner"))] == before

    run(scenario())


def test_with_loss_on_both_networks_the_main_job_is_still_done(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, loss=0.05, seed=5) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            catalog = await here.upper.catalog()
            assert sorted(catalog.channels()) == here.shared()
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(8.0)
                report = playing.report()
            assert report.packets_lost_count > 0
            assert report.frames_decoded > 100
            await asyncio.sleep(100.0)
            assert here.gateway.orphans == 0

    run(scenario())


def test_rules_that_became_stricter_count_for_what_was_stored_before(link: Link) -> None:
    async def scenario() -> None:
        stores = dict[SideName, MemoryStore]()
        async with world(link, stores=stores) as here:
            await here.shown()
            first, *rest = here.shared()
        stricter = text().replace(f"branch:{KEPT_BRANCH}", f'branch:{KEPT_BRANCH}", "id:{first}')
        async with world(link, stores=stores, written=stricter, lower_runs=False) as here:
            assert here.playable() == rest
            await here.upper.wait_registered(INNER_ID)
            items = {item["DeviceID"]: item for item in (await here.upper.catalog()).items}
            assert first not in items
            assert {*rest} <= {*items}
        async with world(link, stores=stores, lower_runs=False) as here:
            assert here.playable() == rest  # forgotten is forgotten, until the lower platform tells it again

    run(scenario())


def retold(here: World, tree: Tree) -> None:
    """From the next catalog query on the lower platform tells of this tree."""
    here.lower.tree = here.tree = tree
    here.lower.answers.tell({LOWER_ID: tree})


def test_a_camera_that_moves_into_a_kept_branch_is_taken_back(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            first, *rest = here.shared()
            cameras = [
                replace(camera, parent=KEPT_BRANCH) if camera.id == first else camera
                for camera in here.tree.cameras
            ]
            retold(here, replace(here.tree, cameras=tuple(cameras)))
            await asyncio.sleep(3700)  # a catalog is asked for each hour
            assert here.playable() == rest
            assert first not in (await here.upper.catalog()).ids()
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(first):
                    pass
            assert refused.value.status == 404

    run(scenario())


def test_a_camera_that_moves_within_what_is_shared_is_never_away(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            first, *_ = here.shared()
            crossed: list[Crossing] = []
            here.gateway.inner.gate.observe(lambda _direction, crossing: crossed.append(crossing))
            cameras = [
                replace(camera, parent="") if camera.id == first else camera for camera in here.tree.cameras
            ]
            retold(here, replace(here.tree, cameras=tuple(cameras)))
            await asyncio.sleep(3700)
            assert first in here.playable()
            batches = [crossing for crossing in crossed if isinstance(crossing, CatalogBatch)]
            assert [(batch.change, batch.rows.ids()) for batch in batches] == [("present", [first])]

    run(scenario())


def test_nothing_is_said_of_the_end_of_what_was_never_shown(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            crossed: list[Crossing] = []
            here.gateway.inner.gate.observe(lambda _direction, crossing: crossed.append(crossing))
            shared, kept = here.shared()[0], here.kept()[0]
            left = tuple(camera for camera in here.tree.cameras if camera.id not in {shared, kept})
            retold(here, replace(here.tree, cameras=left))
            await asyncio.sleep(3700)
            assert shared not in here.playable()
            batches = [crossing for crossing in crossed if isinstance(crossing, CatalogBatch)]
            assert [(batch.change, batch.rows.ids()) for batch in batches] == [("gone", [shared])]
            assert kept not in (here.folder / "inner.jsonl").read_text()

    run(scenario())
