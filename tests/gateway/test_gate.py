"""The two doors together: judged twice, recorded before anything is delivered, and nobody is left waiting."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cascade.crossing import CatalogBatch, Crossing, Direction, NoAnswer, StreamEnded
from cascade.limits import USUAL
from gateway.chamber.gate import Gate, Side
from gateway.chamber.link import LinkUnavailable
from gateway.chamber.link.encoded import encoded_link
from gateway.chamber.link.memory import MemoryEnd, memory_link
from gateway.chamber.policy import CompiledRules
from gateway.chamber.rules import Rule
from gateway.chamber.under_way import GRACE_SECONDS
from tests.clock import run
from tests.gateway.chamber_ground import (
    LOWER,
    ROAD_CAMERA,
    SCHOOL_CAMERA,
    SCHOOLS,
    UPPER,
    Recorded,
    answer,
    ask,
    batch,
    offered,
    places,
    presence,
    rows,
    rule,
    stream_open,
)

OUT, IN = rule("out"), rule("in", direction="inward")
NO_SCHOOLS_OUT = rule("no-schools", channels=(f"branch:{SCHOOLS}",), verdict="deny")
NO_SCHOOLS_IN = rule("no-schools", direction="inward", channels=(f"branch:{SCHOOLS}",), verdict="deny")


class Lock:
    """Both doors on one loop, and what was delivered behind each."""

    def __init__(
        self,
        inner: Sequence[Rule],
        outer: Sequence[Rule] | None = None,
        link: Callable[[Any], Any] = memory_link,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.ends: tuple[MemoryEnd, MemoryEnd] = link(self.loop)
        self.audits = (Recorded(), Recorded())
        self.delivered: tuple[list[Crossing], list[Crossing]] = ([], [])
        self.inner = self._gate("inner", inner, 0)
        self.outer = self._gate("outer", inner if outer is None else outer, 1)
        self.inner.on_delivery = self.delivered[0].append
        self.outer.on_delivery = self.delivered[1].append

    def _gate(self, side: Side, rules: Sequence[Rule], at: int) -> Gate:
        return Gate(
            side=side,
            rules=CompiledRules(rules),
            audit=self.audits[at],
            link=self.ends[at],
            places=places,
            clock=self.loop.time,
        )


async def settled() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


LINKS = pytest.mark.parametrize("link", [memory_link, encoded_link])


@LINKS
def test_a_question_and_its_answer_cross_both_doors(link: Callable[[Any], Any]) -> None:
    async def scenario() -> None:
        lock = Lock([OUT], link=link)
        assert lock.inner.send(ask()).passes == ask()
        assert lock.delivered[1] == []  # one turn later, never inside send
        await settled()
        assert lock.delivered[1] == [ask()]
        assert lock.outer.send(answer()).rule == "out"
        await settled()
        assert lock.delivered[0] == [answer()]
        doors = [(entry["side"], entry["door"]) for audit in lock.audits for entry in audit.entries]
        assert doors == [("inner", "send"), ("inner", "receive"), ("outer", "receive"), ("outer", "send")]

    run(scenario())


@LINKS
def test_order_is_kept(link: Callable[[Any], Any]) -> None:
    async def scenario() -> None:
        lock = Lock([OUT], link=link)
        sent = [ask(correlation=number) for number in range(50)]
        for crossing in sent:
            lock.inner.send(crossing)
        await settled()
        assert lock.delivered[1] == sent

    run(scenario())


def test_what_the_near_door_refuses_never_leaves() -> None:
    async def scenario() -> None:
        lock = Lock([NO_SCHOOLS_OUT, OUT])
        verdict = lock.inner.send(ask(SCHOOL_CAMERA))
        await settled()
        assert (verdict.passes, verdict.rule) == (None, "no-schools")
        assert lock.delivered == ([], [])
        assert [entry["verdict"] for entry in lock.audits[0].entries] == ["refused"]
        assert lock.audits[1].entries == []
        assert lock.inner.counters.refused == {"no-schools": 1}

    run(scenario())


def test_what_the_far_door_refuses_is_answered_at_once() -> None:
    async def scenario() -> None:
        lock = Lock([OUT], [NO_SCHOOLS_OUT, OUT])
        assert lock.inner.send(ask(SCHOOL_CAMERA)).passes is not None
        assert lock.inner.send(stream_open(SCHOOL_CAMERA)).passes is not None
        await settled()
        assert lock.delivered[1] == []
        assert lock.delivered[0] == [
            NoAnswer(
                correlation=7, origin=UPPER, action="query.device-info", failure="refused", rule="no-schools"
            ),
            StreamEnded(
                correlation=8, origin=UPPER, channel=SCHOOL_CAMERA, failure="refused", rule="no-schools"
            ),
        ]
        assert lock.outer.counters.refused == {"no-schools": 2}

    run(scenario())


@pytest.mark.parametrize("door", [0, 1])
def test_without_an_audit_nothing_crosses(door: int) -> None:
    async def scenario() -> None:
        lock = Lock([OUT, IN])
        lock.audits[door].broken = True
        verdict = lock.inner.send(ask())
        await settled()
        assert lock.delivered == ([], [])
        if door == 0:
            assert (verdict.passes, verdict.rule) == (None, "audit")
            assert "Free space on its disk" in str(verdict.reason)
            assert lock.inner.counters.refused == {"audit": 1}
            assert lock.audits[1].entries == []
        else:
            assert lock.outer.counters.refused["audit"] >= 1
        lock.audits[door].broken = False
        lock.inner.send(ask())
        await settled()
        assert lock.delivered[1] == [ask()]

    run(scenario())


def test_the_record_is_written_before_the_link_sees_anything() -> None:
    async def scenario() -> None:
        lock = Lock([OUT])
        seen: list[int] = []

        class Watching(MemoryEnd):
            def deliver(self, crossing: Crossing) -> None:
                seen.append(len(lock.audits[0].entries))

        lock.inner._link = Watching(lock.loop)
        lock.inner.send(ask())
        assert seen == [1]

    run(scenario())


def test_a_link_that_takes_nothing_is_a_refusal_on_record() -> None:
    async def scenario() -> None:
        lock = Lock([OUT])

        class Down(MemoryEnd):
            def deliver(self, crossing: Crossing) -> None:
                raise LinkUnavailable("the cable is out")

        lock.inner._link = Down(lock.loop)
        verdict = lock.inner.send(ask())
        assert (verdict.passes, verdict.rule) == (None, "link")
        assert "the cable is out" in str(verdict.reason)
        assert [entry["rule"] for entry in lock.audits[0].entries] == ["out", "link"]
        assert lock.inner.counters.passed == {}

    run(scenario())


def test_an_answer_nobody_asked_for_does_not_cross() -> None:
    async def scenario() -> None:
        lock = Lock([OUT, IN])
        assert lock.outer.send(answer()).rule == "unasked"
        assert lock.outer.send(offered()).rule == "unasked"
        lock.inner.send(ask())
        lock.inner.send(stream_open())
        await settled()
        assert lock.outer.send(answer(correlation=9)).rule == "unasked"
        assert lock.outer.send(offered(SCHOOL_CAMERA)).rule == "unasked"
        assert lock.outer.send(answer(last=False)).rule == "out"
        assert lock.outer.send(answer()).rule == "out"
        assert lock.outer.send(answer()).rule == "unasked"
        assert lock.outer.send(offered()).rule == "out"
        assert lock.outer.send(offered()).rule == "unasked"
        await settled()
        assert lock.delivered[0] == [answer(last=False), answer(), offered()]

    run(scenario())


def test_an_answer_is_judged_for_the_peer_that_asked() -> None:
    async def scenario() -> None:
        lock = Lock([rule("for-upper", peer=UPPER)])
        lock.inner.send(ask())
        await settled()
        assert lock.outer.send(answer()).rule == "for-upper"

    run(scenario())


def test_an_answer_after_its_deadline_does_not_cross() -> None:
    async def scenario() -> None:
        lock = Lock([OUT])
        lock.inner.send(ask())
        lock.inner.send(stream_open())
        await asyncio.sleep(30.0 + GRACE_SECONDS + 0.1)
        assert lock.outer.send(answer()).rule == "unasked"
        assert lock.outer.send(offered()).rule == "unasked"

    run(scenario())


def test_a_viewer_that_gave_up_is_offered_nothing() -> None:
    async def scenario() -> None:
        lock = Lock([OUT])
        lock.inner.send(stream_open())
        await settled()
        gone = StreamEnded(correlation=8, origin=UPPER, channel=ROAD_CAMERA)
        other = StreamEnded(correlation=8, origin=LOWER, channel=SCHOOL_CAMERA)
        lock.outer.send(other)
        lock.inner.send(gone)
        await settled()
        assert lock.delivered[1] == [stream_open(), gone]
        assert lock.outer.send(offered()).rule == "unasked"

    run(scenario())


def test_the_same_number_of_both_sides_are_two_questions() -> None:
    async def scenario() -> None:
        lock = Lock([OUT, IN])
        lock.inner.send(ask())
        lock.outer.send(ask())
        await settled()
        assert lock.outer.send(answer()).rule == "out"
        assert lock.inner.send(answer()).rule == "in"

    run(scenario())


def test_open_questions_are_bounded() -> None:
    async def scenario() -> None:
        lock = Lock([OUT])
        for number in range(USUAL.crossings_open + 10):
            lock.inner._questions.remember(ask(correlation=number), "outward")
        assert len(lock.inner._questions) == USUAL.crossings_open

    run(scenario())


def test_rows_are_filtered_once_and_counted_by_rule() -> None:
    async def scenario() -> None:
        lock = Lock([NO_SCHOOLS_IN, IN])
        lock.outer.send(batch(rows(ROAD_CAMERA, SCHOOL_CAMERA)))
        await settled()
        assert lock.delivered[0] == [batch(rows(ROAD_CAMERA))]
        assert (lock.outer.counters.rows_passed, lock.outer.counters.rows_refused) == (1, {"no-schools": 1})
        assert (lock.inner.counters.rows_passed, lock.inner.counters.rows_refused) == (1, {})
        (near,), (far,) = lock.audits[1].entries, lock.audits[0].entries
        assert (near["rows"], near["rows_passed"], near["rows_refused"]) == (2, 1, {"no-schools": 1})
        assert (far["rows"], far["rows_passed"]) == (1, 1)

    run(scenario())


def test_observers_see_what_is_delivered_and_cannot_stop_it() -> None:
    async def scenario() -> None:
        lock = Lock([IN])
        seen: list[tuple[Direction, Crossing]] = []

        def broken(direction: Direction, crossing: Crossing) -> None:
            raise ZeroDivisionError

        lock.inner.observe(broken)
        lock.inner.observe(lambda direction, crossing: seen.append((direction, crossing)))
        lock.outer.send(presence((LOWER, True)))
        lock.outer.send(batch(rows()))
        await settled()
        assert seen == [("inward", presence((LOWER, True)))]

    run(scenario())


def test_a_bug_behind_the_door_is_told_to_who_asked() -> None:
    async def scenario() -> None:
        lock = Lock([OUT])

        def broken(crossing: Crossing) -> None:
            raise ZeroDivisionError

        lock.outer.on_delivery = broken
        lock.inner.send(ask())
        await settled()
        (told,) = lock.delivered[0]
        assert isinstance(told, NoAnswer)
        assert told.failure == "failed"

    run(scenario())


@LINKS
def test_rules_of_the_far_side_hold_against_a_near_side_that_lets_all_through(
    link: Callable[[Any], Any],
) -> None:
    async def scenario() -> None:
        lock = Lock([], [IN, OUT], link=link)  # the inner side has no rules at all
        lock.outer.send(batch(rows(ROAD_CAMERA)))
        lock.outer.send(presence((LOWER, True)))
        await settled()
        assert lock.delivered[0] == []
        gone = CatalogBatch(correlation=1, origin=LOWER, change="gone", rows=rows(ROAD_CAMERA))
        lock.outer.send(gone)
        await settled()
        assert lock.delivered[0] == []

    run(scenario())
