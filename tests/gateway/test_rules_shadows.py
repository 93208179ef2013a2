"""Warnings of rules that a rule above undoes in part; an exception is none, however much they overlap."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.chamber.policy import CompiledRules, Question
from gateway.chamber.rules import ANY, Rule, When
from gateway.chamber.shadows import shadowed
from tests.gateway.chamber_ground import OTHER_UPPER, ROADS, SCHOOLS, UPPER, rule
from tests.gateway.test_config import edited
from tests.gateway.test_rules_covered import RULES, about
from tests.gateway.world import settings_in, text

ROAD, SCHOOL = f"branch:{ROADS}", f"branch:{SCHOOLS}"
SCHOOLS_SHUT = rule("no-schools", verdict="deny", action="media.live", channels=(SCHOOL,))
AT_NIGHT = When(hours=("22:00-06:00",))


def told(*rules: Rule) -> list[tuple[str, str, str, bool]]:
    return [(each.rule.id, each.by.id, each.selector, each.dead) for each in shadowed(rules)]


@pytest.mark.parametrize(
    "above",
    [
        {"peer": UPPER},
        {"peer": UPPER, "action": "media.live"},
        {"peer": UPPER, "channels": (ROAD, SCHOOL)},
        {"peer": UPPER, "action": "*", "channels": (SCHOOL,)},
        {"when": AT_NIGHT},
    ],
)
def test_a_refusal_that_some_permission_above_undoes_is_told(above: dict[str, Any]) -> None:
    wide = rule("wide", **above)
    assert told(wide, SCHOOLS_SHUT) == [("no-schools", "wide", SCHOOL, False)]
    assert told(SCHOOLS_SHUT, wide) == []


@pytest.mark.parametrize(
    "above",
    [
        {"peer": UPPER, "action": "media.live", "channels": (SCHOOL,)},
        {"action": "media.live", "channels": (SCHOOL,), "when": AT_NIGHT},
        {"channels": (ROAD,)},
        {"channels": ("id:44010000001320000001",)},
        {"action": "query.*"},
        {"direction": "inward"},
        {"verdict": "deny", "peer": UPPER},
    ],
)
def test_an_exception_and_what_does_not_meet_is_not_told(above: dict[str, Any]) -> None:
    assert told(rule("above", **above), SCHOOLS_SHUT) == []


def test_who_is_shut_out_above_what_others_may_is_not_told() -> None:
    shut = rule("shut", verdict="deny", peer=UPPER)
    assert told(shut, rule("roads", channels=(ROAD,)), rule("other", peer=OTHER_UPPER)) == []


def test_a_selector_that_never_decides_is_told_whichever_verdict_it_has() -> None:
    wide = rule("wide", channels=("prefix:4401",))
    some = rule("some", verdict="deny", channels=("prefix:4403", "prefix:440106"))
    assert told(wide, some) == [("some", "wide", "prefix:440106", True)]
    turned = [replace(wide, verdict="deny"), replace(some, verdict="allow")]
    assert told(*turned) == [("some", "wide", "prefix:440106", True)]
    assert told(wide, replace(some, verdict="allow")) == []
    assert told(wide, replace(some, channels=("prefix:440106",))) == []  # nothing is left: that is covered


VERDICTS = st.lists(st.sampled_from(["allow", "deny"]), min_size=8, max_size=8)


@settings(deadline=None)
@given(RULES, VERDICTS)
def test_what_is_told_is_true(rules: list[Rule], verdicts: list[Any]) -> None:
    """A rule above takes all that the selector selects of what both are about; a dead one decides nothing."""
    named = [
        replace(each, id=str(number), verdict=verdict)
        for number, (each, verdict) in enumerate(zip(rules, verdicts, strict=False), start=1)
    ]
    for found in shadowed(named):
        assert found.above < found.number
        assert found.by.verdict != found.rule.verdict
        part = replace(found.rule, channels=(found.selector,))
        same = [each for each in about(part) if each in about(replace(found.by, channels=("*",)))]
        assert {*same} <= about(found.by)
        if found.dead:
            assert about(part) <= about(found.by)
            compiled = CompiledRules([*named[: found.number - 1], part, *named[found.number :]]).at(0.0)
            for direction, peer, action, name, branch in about(part):
                question = Question(direction, action, peer)  # type: ignore[arg-type]
                assert compiled.judge(question, name, (branch, ""))[1] != found.rule.id


def test_a_long_list_is_gone_through_in_bounded_steps() -> None:
    """Ten thousand rules of which each meets thousands of those above it; the last ones are told."""
    rules = [
        rule(
            str(number),
            peer=f"{number:020}" if number % 2 else ANY,
            action="media.live",
            channels=(f"id:{number // 4}",),
        )
        for number in range(10_000)
    ]
    assert told(*rules) == []
    undone = [replace(SCHOOLS_SHUT, id=f"d{number}", channels=(f"id:{number}",)) for number in range(5000)]
    wide = [rule(f"w{number}", peer=f"{number:020}", action="query.*") for number in range(5000)]
    assert told(*wide, *undone) == []
    assert len(told(rule("wide", peer=UPPER), *wide, *undone)) == 5000


def test_the_check_names_both_rules_and_what_to_do() -> None:
    with settings_in() as folder:
        live = '[[rule]]\nid = "no-live-schools"'
        wide = (
            '[[rule]]\nid = "all"\ndirection = "outward"\naction = "media.*"\nverdict = "allow"\n'
            f'channels = ["*"]\npeer = "{UPPER}"\n\n'
        )
        assert live in text()
        problems, warnings = edited(folder, (live, wide + live))
        assert problems == []
        (warned,) = [line for line in warnings if "refuses" in line]
        for part in ('"no-live-schools"', '"all" (rule[#5])', "rule[#6]", "move it above"):
            assert part in warned
