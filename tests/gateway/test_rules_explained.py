"""Why a rule decides, and what other rules would have done with what was recorded."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.crossing import BACK, Ask, Crossing, Direction, Notice, StreamControl, StreamOpen
from cascade.model.ids import PlatformId
from cascade.ports import Verdict
from gateway.chamber.explain import explain
from gateway.chamber.gate import SENDS, Gate, Side
from gateway.chamber.link.memory import memory_link
from gateway.chamber.policy import Asked, CompiledRules, Place, Question, judge
from gateway.chamber.record import Post, describe
from gateway.chamber.replay import Change, Replay, replay
from gateway.chamber.rules import Rule, When
from tests.clock import run
from tests.gateway.chamber_ground import (
    COUNCIL,
    CROSSINGS,
    LOWER,
    OTHER_UPPER,
    POLICE,
    ROAD_CAMERA,
    ROADS,
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
    ptz,
    rows,
    rule,
    stream_open,
)

NAMES = st.sampled_from([ROAD_CAMERA.name, SCHOOL_CAMERA.name, ROADS, LOWER, "4401", "", "a"])
PLACES = st.tuples(
    st.sampled_from(["", ROADS, SCHOOLS, f"{SCHOOLS}/4401", f"4401/{ROADS}"]),
    st.sampled_from(["", POLICE, COUNCIL, "4401"]),
)
SELECTORS = st.sampled_from(
    [
        *("*", "prefix:4401", "prefix:440", f"id:{ROAD_CAMERA.name}"),
        *(f"branch:{ROADS}", f"branch:{SCHOOLS}", "class:132", "class:215"),
        *(f"owner:{POLICE}", f"owner:{COUNCIL}", "owner:4401"),
    ]
) | st.text("014", min_size=1, max_size=4).map("prefix:".__add__)
ACTIONS = st.sampled_from(["query.device-info", "media.live", "catalog.rows", "notice.presence", "x"])
DIRECTIONS: Any = st.sampled_from(["inward", "outward"])
RULES = st.lists(
    st.builds(
        Rule,
        id=st.uuids().map(str),
        direction=DIRECTIONS,
        action=st.sampled_from(["*", "query.*", "media.live", "catalog.rows", "notice.*"]),
        verdict=st.sampled_from(["allow", "deny"]),
        channels=st.lists(SELECTORS, min_size=1, max_size=3).map(tuple),
        peer=st.sampled_from(["*", UPPER, OTHER_UPPER, LOWER]),
        when=st.sampled_from([When(), When(), When(hours=("08:00-18:00",)), When(days=("sat", "sun"))]),
    ),
    max_size=8,
)
WALLS = st.floats(0, 4e9)
QUESTION = Question("outward", "media.live", UPPER)
PEERS = st.sampled_from([UPPER, OTHER_UPPER, LOWER])


@settings(deadline=None)
@given(RULES, st.builds(Question, DIRECTIONS, ACTIONS, PEERS), NAMES, PLACES, WALLS)
def test_the_explanation_names_the_rule_that_decides(
    rules: list[Rule], question: Question, name: str, place: Place, wall: float
) -> None:
    found = explain(rules, question, name, place, wall=wall)
    assert (found.allowed, found.by) == CompiledRules(rules).at(wall).judge(question, name, place)
    assert [step.rule for step in found.above] == rules[: found.number - 1 if found.rule else len(rules)]


@pytest.mark.parametrize(
    ("changed", "miss"),
    [
        ({"direction": "inward", "peer": "nobody"}, "direction"),
        ({"peer": OTHER_UPPER, "action": "query.*"}, "peer"),
        ({"action": "query.*", "channels": (f"branch:{SCHOOLS}",)}, "action"),
        ({"channels": (f"branch:{SCHOOLS}", "prefix:9"), "when": When(days=("mon",))}, "channels"),
        ({"when": When(days=("mon",))}, "when"),
    ],
)
def test_a_rule_above_says_what_it_is_about_instead(changed: dict[str, Any], miss: str) -> None:
    above, below = rule("above", **changed), rule("below")
    found = explain([above, below], QUESTION, ROAD_CAMERA.name, (ROADS, ""), wall=0)
    assert (found.by, found.number, [step.miss for step in found.above]) == ("below", 2, [miss])


def recorded(
    rules: CompiledRules, crossing: Crossing, direction: Direction, asked: Asked | None = None
) -> tuple[dict[str, Any], Verdict]:
    verdict = judge(rules, crossing, direction, places, asked)
    return describe(crossing, verdict, Post("outer", "send", direction)), verdict


def judged_again(entries: list[Any], rules: CompiledRules) -> Replay:
    peers = {LOWER, UPPER, OTHER_UPPER} | {
        PlatformId(each["origin"]) for each in entries if each and "origin" in each
    }
    return replay(entries, rules, places, peers)


@settings(deadline=None)
@given(RULES, st.lists(st.tuples(CROSSINGS, DIRECTIONS)))
def test_the_same_rules_change_nothing(
    rules: list[Rule], crossings: list[tuple[Crossing, Direction]]
) -> None:
    compiled = CompiledRules(rules)
    entries = [
        recorded(compiled, crossing, direction, Asked(UPPER, BACK[direction]))[0]
        for crossing, direction in crossings
    ]
    found = judged_again(entries, compiled)
    assert not found.changes
    assert found.judged + found.untold.total() == len(crossings)


@settings(deadline=None)
@given(RULES, RULES, CROSSINGS, DIRECTIONS)
def test_other_rules_would_have_done_what_they_do(
    before: list[Rule], after: list[Rule], crossing: Crossing, direction: Direction
) -> None:
    entry, was = recorded(CompiledRules(before), crossing, direction)
    found = judged_again([entry], CompiledRules(after))
    now = judge(CompiledRules(after), crossing, direction, places)
    if not found.judged:
        assert not isinstance(crossing, Ask | Notice | StreamControl) or entry["rule"] == "unasked"
        return
    assert bool(found.changes) == ((was.passes is None) != (now.passes is None))
    for change in found.changes:
        assert (change.was, change.now, change.passes) == (was.rule, now.rule, now.passes is not None)


def test_what_a_record_cannot_tell_is_counted_and_not_guessed() -> None:
    everything = CompiledRules([rule("out"), rule("in", direction="inward")])
    asked = Asked(UPPER, "outward")
    entries = [
        recorded(everything, crossing, "inward", asked)[0]
        for crossing in (batch(rows(ROAD_CAMERA, SCHOOL_CAMERA)), answer(), offered())
    ]
    voice = StreamOpen(correlation=2, origin=UPPER, channel=ROAD_CAMERA, invitation=1)
    entries += [
        recorded(everything, voice, "inward", asked)[0],
        recorded(everything, answer(), "inward")[0] | {"rule": "audit", "kind": "Notice"},
        {"door": "send", "kind": "Note", "event": "command-unknown"},
        recorded(everything, ptz(), "outward")[0] | {"subjects_not_listed": 3},
        recorded(everything, ptz(), "outward")[0] | {"subjects": "many"},
    ]
    found = judged_again([*entries, None], CompiledRules([]))
    assert (found.judged, found.rows, not found.changes) == (0, 2, True)
    assert found.untold == {
        "rows": 1, "answers": 3, "trouble": 1, "notes": 1, "incomplete": 1, "unreadable": 2
    }  # fmt: skip


def test_a_change_is_told_with_both_rules_and_a_channel() -> None:
    before = CompiledRules([rule("live", action="media.live"), rule("seen", direction="inward")])
    after = CompiledRules([rule("no-schools", channels=(f"branch:{SCHOOLS}",), verdict="deny"), rule("rest")])
    crossings: list[tuple[Crossing, Direction]] = [
        (stream_open(), "outward"),
        (stream_open(SCHOOL_CAMERA), "outward"),
        (stream_open(SCHOOL_CAMERA), "outward"),
        (ask(), "outward"),
        (presence((LOWER, True)), "inward"),
    ]
    entries = [recorded(before, crossing, direction)[0] for crossing, direction in crossings]
    found = judged_again(entries, after)
    school = Change("outward", "media.live", UPPER, "live", "no-schools", passes=False)
    assert found.changes == {
        school: 2,
        Change("outward", "query.device-info", UPPER, "default", "rest", passes=True): 1,
        Change("inward", "notice.presence", LOWER, "seen", "default", passes=False): 1,
    }
    assert found.examples[school] == str(SCHOOL_CAMERA)


def test_what_a_gate_wrote_is_judged_as_it_was() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        rules = CompiledRules([rule("info", action="query.*"), rule("seen", direction="inward")])
        ends = memory_link(loop)
        audits = {"outer": Recorded(), "inner": Recorded()}
        sides: tuple[Side, Side] = ("outer", "inner")
        outer, inner = (
            Gate(side=side, rules=rules, audit=audits[side], link=end, places=places, clock=loop.time)
            for side, end in zip(sides, ends, strict=True)
        )
        assert (SENDS["inner"], SENDS["outer"]) == ("outward", "inward")
        outer.on_delivery = inner.on_delivery = lambda crossing: None
        assert inner.send(ask()).passes is not None
        assert inner.send(stream_open()).passes is None
        assert not inner.admits("control.ptz", ROAD_CAMERA, UPPER)
        await asyncio.sleep(1)
        assert outer.send(answer()).passes is not None
        await asyncio.sleep(1)
        for audit, judged in ((audits["inner"], 3), (audits["outer"], 0)):
            entries = [dict(entry) for entry in audit.entries]
            assert judged_again(entries, rules).judged == judged
            assert not judged_again(entries, rules).changes
        stricter = judged_again([dict(entry) for entry in audits["inner"].entries], CompiledRules([]))
        assert {change.action for change in stricter.changes} == {"query.device-info"}

    run(scenario())
