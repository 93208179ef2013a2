"""A door that cannot record: nothing crosses it, and whoever asked hears so at once, on either side."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cascade.crossing import Crossing, NoAnswer, StreamEnded
from gateway.app import SideName
from gateway.chamber.gate import BEYOND, RETRY_SECONDS, Gate, Side
from gateway.chamber.link import LinkEnd
from gateway.chamber.link.encoded import encoded_link
from gateway.chamber.link.memory import memory_link
from gateway.chamber.policy import CompiledRules
from interop.sim.queries import QueryFailed
from interop.sim.upper import PTZ_LEFT, PlayRefused
from tests.clock import run
from tests.gateway.bodies import CAMERAS, answer
from tests.gateway.by_hand import below, disk_full, settled
from tests.gateway.chamber_ground import (
    ROAD_CAMERA,
    SCHOOL_CAMERA,
    SCHOOLS,
    UPPER,
    Recorded,
    ask,
    batch,
    offered,
    places,
    ptz,
    rows,
    rule,
    stream_open,
)
from tests.gateway.chamber_ground import answer as answered
from tests.gateway.packets import stream
from tests.gateway.test_refusals import ALLOWED
from tests.gateway.world import Link, world

RULES = (
    rule("no-schools", channels=(f"branch:{SCHOOLS}",), verdict="deny"),
    rule("out"),
    rule("in", direction="inward"),
)
LINKS = pytest.mark.parametrize("link", [memory_link, encoded_link])
SIDES = pytest.mark.parametrize("side", ["outer", "inner"])


class Lock:
    """Two doors with clocks, and what was handed to the side behind each."""

    def __init__(self, link: Callable[[Any], Any] = memory_link) -> None:
        loop = asyncio.get_running_loop()
        self.audits = {"inner": Recorded(), "outer": Recorded()}
        self.taken: dict[str, list[Crossing]] = {"inner": [], "outer": []}
        ends = link(loop)
        self.inner, self.outer = self._door("inner", ends[0]), self._door("outer", ends[1])
        self.inner.on_delivery = self.taken["inner"].append
        self.outer.on_delivery = self.taken["outer"].append

    def _door(self, side: Side, end: LinkEnd) -> Gate:
        loop = asyncio.get_running_loop()
        return Gate(
            side=side,
            rules=CompiledRules(RULES),
            audit=self.audits[side],
            link=end,
            places=places,
            clock=loop.time,
            later=loop.call_later,
        )


async def soon() -> None:
    await asyncio.sleep(0.01)


@LINKS
def test_who_asked_hears_at_once_that_the_other_door_cannot_record(link: Callable[[Any], Any]) -> None:
    async def scenario() -> None:
        lock = Lock(link)
        lock.audits["outer"].broken = True
        assert lock.inner.send(ask()).passes is not None
        assert lock.inner.send(stream_open()).passes is not None
        await soon()
        assert lock.taken["outer"] == []
        no_answer, ended = lock.taken["inner"]
        assert isinstance(no_answer, NoAnswer)
        assert (no_answer.correlation, no_answer.failure, no_answer.rule) == (7, "unavailable", BEYOND)
        assert isinstance(ended, StreamEnded)
        assert (ended.correlation, ended.channel, ended.failure) == (8, ROAD_CAMERA, "unavailable")
        for question in (ask(correlation=9), stream_open(correlation=10), ptz()):
            verdict = lock.inner.send(question)
            assert (verdict.passes, verdict.rule, verdict.failure) == (None, BEYOND, "unavailable")
            assert "other side" in str(verdict.reason)
        assert lock.inner.shut
        assert not lock.inner.admits("control.ptz", ROAD_CAMERA, UPPER)
        assert lock.inner.send(ask(SCHOOL_CAMERA, correlation=11)).rule == "no-schools"  # as always
        assert [entry["verdict"] for entry in lock.audits["inner"].entries[-5:]] == ["refused"] * 5

    run(scenario())


@LINKS
def test_the_other_door_opens_by_itself_and_says_so(link: Callable[[Any], Any]) -> None:
    async def scenario() -> None:
        lock = Lock(link)
        lock.audits["outer"].broken = True
        lock.inner.send(stream_open())
        await asyncio.sleep(10.0)
        assert lock.inner.shut
        lock.audits["outer"].broken = False
        await asyncio.sleep(RETRY_SECONDS + 0.1)
        assert not lock.inner.shut
        (end,) = lock.audits["outer"].entries  # of what was asked for in vain
        assert (end["kind"], end["door"], end["correlation"]) == ("StreamEnded", "receive", 8)
        assert lock.inner.send(ask()).passes is not None
        await soon()
        assert lock.taken["outer"][-1] == ask()

    run(scenario())


def test_a_door_that_nobody_needs_opens_with_a_note() -> None:
    async def scenario() -> None:
        lock = Lock()
        lock.audits["outer"].broken = True
        lock.inner.send(ask())
        await soon()
        lock.audits["outer"].broken = False
        await asyncio.sleep(RETRY_SECONDS + 0.1)
        (note,) = lock.audits["outer"].entries
        assert (note["kind"], note["event"]) == ("Note", "recording-resumed")
        assert not lock.inner.shut

    run(scenario())


@LINKS
def test_an_answer_that_its_asker_s_door_cannot_record_is_none(link: Callable[[Any], Any]) -> None:
    async def scenario() -> None:
        lock = Lock(link)
        lock.inner.send(ask())
        lock.inner.send(stream_open())
        await soon()
        assert lock.taken["outer"] == [ask(), stream_open()]
        lock.audits["inner"].broken = True
        lock.outer.send(answered())
        lock.outer.send(offered())
        await soon()
        no_answer, ended = lock.taken["inner"]
        assert isinstance(no_answer, NoAnswer)
        assert isinstance(ended, StreamEnded)
        assert (no_answer.failure, ended.failure) == ("unavailable", "unavailable")
        assert (no_answer.rule, ended.rule) == ("audit", "audit")
        lock.audits["inner"].broken = False
        await asyncio.sleep(RETRY_SECONDS + 0.1)
        assert lock.taken["outer"][-1] == ended  # so the source hears that nobody watches
        assert len(lock.taken["inner"]) == 2

    run(scenario())


def test_rows_still_cross_as_soon_as_they_can_be_recorded() -> None:
    async def scenario() -> None:
        lock = Lock()
        lock.audits["inner"].broken = True
        lock.outer.send(batch(rows(ROAD_CAMERA)))
        await soon()
        assert lock.outer.send(batch(rows(ROAD_CAMERA), "gone")).passes is not None  # it is held there
        await soon()
        assert lock.taken["inner"] == []
        lock.audits["inner"].broken = False
        await asyncio.sleep(RETRY_SECONDS + 0.1)
        assert [getattr(crossing, "change", "") for crossing in lock.taken["inner"]] == ["present", "gone"]

    run(scenario())


@LINKS
def test_whatever_is_delivered_was_recorded_by_both_doors(link: Callable[[Any], Any]) -> None:
    """The promise itself, while both audits come and go; what a door says to its own side is no crossing."""

    async def scenario() -> None:
        lock = Lock(link)
        for number in range(200):
            lock.audits["inner"].broken = number % 7 in {2, 3}
            lock.audits["outer"].broken = number % 11 in {4, 5, 6}
            lock.inner.send(ask(correlation=2 * number))
            lock.inner.send(stream_open(correlation=2 * number + 1))
            await asyncio.sleep(0.37)
            lock.outer.send(answered(correlation=2 * number))
            lock.outer.send(offered(correlation=2 * number + 1))
            await asyncio.sleep(0.37)
        for side in ("inner", "outer"):
            passed = {
                (entry["kind"], entry["correlation"], entry["side"], entry["door"])
                for audit in lock.audits.values()
                for entry in audit.entries
                if entry.get("verdict") == "passed"
            }
            other = "outer" if side == "inner" else "inner"
            for crossing in lock.taken[side]:
                if getattr(crossing, "failure", None) == "unavailable" and side == "inner":
                    continue
                kind, number = type(crossing).__name__, crossing.correlation
                assert (kind, number, other, "send") in passed
                assert (kind, number, side, "receive") in passed
        ends = [
            crossing.correlation
            for crossing in lock.taken["inner"]
            if isinstance(crossing, NoAnswer | StreamEnded)
        ]
        assert len(ends) == len(set(ends)) > 20  # nobody is told twice

    run(scenario())


# In the whole product


@SIDES
def test_a_question_and_a_control_are_503_while_a_disk_is_full(link: Link, side: SideName) -> None:
    async def scenario() -> None:
        async with world(link, written=ALLOWED) as here:
            await here.shown()
            channel = here.shared()[0]
            with disk_full(here, side):
                loop = here.network.loop
                began = loop.time()
                if side == "inner":
                    with pytest.raises(QueryFailed) as refused:
                        await here.upper.device_info(target=channel)
                    assert refused.value.status == 503
                else:  # the first one finds it out
                    assert (await here.upper.device_info(target=channel))["Result"] == "ERROR"
                assert loop.time() - began < 1.0
                with pytest.raises(QueryFailed) as refused:
                    await here.upper.device_status(target=channel)
                assert refused.value.status == 503
                assert await here.upper.control(channel, PTZ_LEFT) == 503
                assert here.lower.controls == ()
            await asyncio.sleep(2.5)
            assert await here.upper.control(channel, PTZ_LEFT) == 200
            assert (await here.upper.device_info(target=channel))["Result"] == "OK"
            await settled(here)

    run(scenario())


@SIDES
def test_a_disk_that_fills_up_while_a_camera_is_called_ends_the_call(link: Link, side: SideName) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def serve() -> float:
                invite = await lower.invited()
                await asyncio.sleep(2.0)
                lower.reply(invite, "200 OK", body=answer())
                await lower.wait("ACK")
                return here.network.loop.time()

            serving = asyncio.ensure_future(serve())
            full = asyncio.get_running_loop().create_future()

            async def fill() -> None:
                await asyncio.sleep(1.0)
                with disk_full(here, side):
                    await full

            filling = asyncio.ensure_future(fill())
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(CAMERAS[0], answer_seconds=40.0):
                    pass
            assert refused.value.status == 503
            assert here.network.loop.time() - await serving < 1.0
            full.set_result(None)
            await filling
            await lower.wait("BYE", seconds=60.0)  # nobody watches

    run(scenario())


@SIDES
def test_who_watches_already_goes_on_watching_while_a_disk_is_full(link: Link, side: SideName) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", body=answer())
                await lower.wait("ACK")
                with stream(here, invite) as media:
                    await media.run(500)

            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]) as playing:
                with disk_full(here, side):
                    for _ in range(3):
                        with pytest.raises(PlayRefused) as refused:
                            async with here.upper.play(CAMERAS[1]):
                                pass
                        assert refused.value.status == 503
                        await asyncio.sleep(1.0)
                    before = playing.report().packets_received
                    await asyncio.sleep(2.0)
                    assert playing.ended is None
                    assert playing.report().packets_received > before + 40
            await serving

    run(scenario())
