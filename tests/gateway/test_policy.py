"""What may cross: the first rule that matches decides, and no match refuses."""

from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.crossing import BACK, Ask, CatalogBatch, Crossing, Direction, NoAnswer, Notice, StreamEnded
from cascade.model.commands import Command
from cascade.model.ids import ChannelId, PlatformId
from cascade.ports import Verdict
from gateway.chamber.policy import MAX_SELECTORS, Asked, CompiledRules, judge
from gateway.chamber.rules import Rule, matches
from tests.gateway.chamber_ground import (
    CROSSINGS,
    LOWER,
    NEITHER,
    OTHER_UPPER,
    ROAD_CAMERA,
    ROADS,
    SCHOOL_CAMERA,
    SCHOOLS,
    UPPER,
    answer,
    batch,
    channel,
    offered,
    places,
    presence,
    rows,
    rule,
    stream_open,
)

LIVE = rule("live", action="media.live")
NO_SCHOOLS = rule(
    "no-schools", channels=(f"branch:{SCHOOLS}",), verdict="deny", reason="schools stay private"
)
NO_SCHOOLS_ROWS = rule(
    "no-schools-rows",
    direction="inward",
    action="catalog.rows",
    channels=(f"branch:{SCHOOLS}",),
    verdict="deny",
)
ABOVE = Asked(UPPER, "outward")
SHARE = rule("share", direction="inward", action="catalog.rows")


def decide(rules: list[Rule], crossing: Crossing, direction: Direction = "outward", **given: Any) -> Verdict:
    return judge(CompiledRules(rules), crossing, direction, places, **given)


@settings(deadline=None)
@given(CROSSINGS)
def test_without_a_rule_nothing_passes_but_ends(crossing: Crossing) -> None:
    for direction in BACK:
        verdict = decide([], crossing, direction)
        assert (verdict.passes is not None) == isinstance(crossing, NoAnswer | StreamEnded)


def test_no_match_is_refused_by_default_and_says_what_to_do() -> None:
    verdict = decide([rule("queries", action="query.*")], stream_open())
    assert verdict.passes is None
    assert verdict.rule == "default"
    assert str(ROAD_CAMERA) in str(verdict.reason)
    assert 'action "media.live"' in str(verdict.reason)


def test_the_first_rule_that_matches_decides() -> None:
    assert decide([NO_SCHOOLS, LIVE], stream_open(SCHOOL_CAMERA)).rule == "no-schools"
    assert decide([LIVE, NO_SCHOOLS], stream_open(SCHOOL_CAMERA)).rule == "live"
    assert decide([NO_SCHOOLS, LIVE], stream_open(ROAD_CAMERA)).passes == stream_open(ROAD_CAMERA)


def test_a_refusal_ends_the_sentence_of_its_rule_once() -> None:
    closed = rule("closed", verdict="deny", reason="Closed for good.")
    said = str(decide([closed], stream_open(SCHOOL_CAMERA)).reason)
    assert "Closed for good. To allow it" in said


def test_a_refusal_names_rule_channel_and_why() -> None:
    reason = decide([NO_SCHOOLS, LIVE], stream_open(SCHOOL_CAMERA)).reason
    assert str(reason) == (
        f'Rule "no-schools" refused {SCHOOL_CAMERA}: schools stay private. '
        "To allow it, add a rule above it or narrow its channels."
    )


@pytest.mark.parametrize(
    ("changed", "passes"),
    [
        ({}, True),
        ({"direction": "inward"}, False),
        ({"action": "query.*"}, False),
        ({"action": "media.*"}, True),
        ({"action": "*"}, True),
        ({"peer": UPPER}, True),
        ({"peer": OTHER_UPPER}, False),
        ({"peer": LOWER}, False),
        ({"channels": (f"id:{ROAD_CAMERA.name}",)}, True),
        ({"channels": (f"id:{SCHOOL_CAMERA.name}",)}, False),
        ({"channels": ("prefix:4401",)}, True),
        ({"channels": ("prefix:4403",)}, False),
        ({"channels": ("class:132",)}, True),
        ({"channels": ("class:131",)}, False),
        ({"channels": (f"branch:{ROADS}",)}, True),
        ({"channels": (f"branch:{SCHOOLS}", f"branch:{ROADS}")}, True),
        ({"channels": (f"branch:{SCHOOLS}",)}, False),
        ({"verdict": "deny"}, False),
    ],
)
def test_each_part_of_a_rule_narrows_it(changed: dict[str, Any], passes: bool) -> None:
    given = rule("only", **{"action": "media.live", **changed})
    assert (decide([given], stream_open()).passes is not None) is passes


@pytest.mark.parametrize(
    ("pattern", "action", "fits"),
    [
        ("*", "media.live", True),
        ("query.*", "query.device-info", True),
        ("query.*", "query", False),
        ("query", "query.device-info", False),
        ("media.live", "media.live", True),
    ],
)
def test_action_patterns(pattern: str, action: str, fits: bool) -> None:
    assert matches(pattern, action) is fits


def test_every_second_row_is_shared_and_the_others_are_counted() -> None:
    keys = [channel(number) for number in range(1000, 2000)]
    allowed = tuple(f"id:{key.name}" for key in keys[::2])
    deny = rule("no-more", direction="inward", channels=("*",), verdict="deny")
    some = rule("some", direction="inward", action="catalog.rows", channels=allowed)
    verdict = decide([some, deny], batch(rows(*keys)), "inward")
    assert isinstance(verdict.passes, CatalogBatch)
    assert verdict.passes.rows == rows(*keys[::2])
    assert verdict.refused == {"no-more": 500}
    assert verdict.rule == "row-by-row"


def test_rows_of_a_branch_stay_and_their_neighbours_pass() -> None:
    no_schools = rule(
        "no-schools",
        direction="inward",
        action="catalog.rows",
        channels=(f"branch:{SCHOOLS}",),
        verdict="deny",
    )
    verdict = decide([no_schools, SHARE], batch(rows(ROAD_CAMERA, SCHOOL_CAMERA, NEITHER)), "inward")
    assert isinstance(verdict.passes, CatalogBatch)
    assert verdict.passes.rows.ids() == [ROAD_CAMERA.name, NEITHER.name]
    assert verdict.refused == {"no-schools": 1}


def test_a_list_without_an_allowed_row_does_not_pass() -> None:
    verdict = decide([], batch(rows(ROAD_CAMERA, NEITHER)), "inward")
    assert verdict.passes is None
    assert verdict.refused == {"default": 2}


def test_a_withdrawal_is_judged_like_a_row_and_says_only_what_rules_know_it_by() -> None:
    verdict = decide([NO_SCHOOLS_ROWS, SHARE], batch(rows(ROAD_CAMERA, SCHOOL_CAMERA), "gone"), "inward")
    assert isinstance(verdict.passes, CatalogBatch)
    assert verdict.passes.change == "gone"
    assert verdict.passes.rows.ids() == [ROAD_CAMERA.name]
    assert {*verdict.passes.rows.get(0)} == {"id", "branch", "owner"}
    assert verdict.refused == {"no-schools-rows": 1}


def test_one_allowed_name_does_not_lift_the_refusal_of_another() -> None:
    told = presence((LOWER, True), (OTHER_UPPER, False))
    only_lower = rule("lower", direction="inward", channels=(f"id:{LOWER}",))
    assert decide([only_lower], presence((LOWER, True)), "inward").passes is not None
    assert decide([only_lower], told, "inward").passes is None


def test_a_notice_about_peers_is_judged_for_each_of_them() -> None:
    """Ours, gathered over many: the peer of a rule is the one that it is about."""
    one_peer = rule("one", direction="inward", action="notice.presence", peer=LOWER)
    ours = PlatformId("44010000002000000999")
    assert decide([one_peer], presence((LOWER, True), origin=ours), "inward").rule == "one"
    assert (
        decide([one_peer], presence((LOWER, True), (OTHER_UPPER, True), origin=ours), "inward").passes is None
    )
    assert decide([one_peer], presence((OTHER_UPPER, True), origin=LOWER), "inward").passes is None


def test_peers_that_no_rule_names_share_what_was_compiled() -> None:
    rules = CompiledRules([rule("one", peer=UPPER), LIVE])
    first = rules.selector("outward", "media.live", OTHER_UPPER)
    assert rules.selector("outward", "media.live", LOWER) is first
    assert rules.selector("outward", "media.live", UPPER) is not first


def test_an_answer_is_judged_by_the_rule_of_its_question() -> None:
    queries = [rule("queries", action="query.*", peer=UPPER)]
    assert decide(queries, answer(), "inward", asked=ABOVE).rule == "queries"
    assert decide(queries, answer(), "inward", asked=Asked(OTHER_UPPER, "outward")).rule == "default"
    assert decide([rule("live", peer=UPPER)], offered(), "inward", asked=ABOVE).passes == offered()
    assert decide([rule("inward", direction="inward")], answer(), "inward", asked=ABOVE).rule == "default"


def test_an_answer_to_nothing_is_refused() -> None:
    everything = [rule("out"), rule("in", direction="inward")]
    assert decide(everything, answer(), "inward").rule == "unasked"
    assert decide(everything, offered(), "inward").rule == "unasked"


class Plate(Command, frozen=True):
    """A made-up command: nothing in the chamber knows it."""

    action: ClassVar[str] = "query.plate"

    seen_by: tuple[ChannelId, ...]
    number: str = ""


def test_a_command_added_tomorrow_is_judged_by_every_channel_it_names() -> None:
    def asked(*keys: ChannelId) -> Ask[Any]:
        return Ask(correlation=1, origin=UPPER, payload=Plate(seen_by=keys, number="A12345"))

    rules = [NO_SCHOOLS, rule("queries", action="query.*")]
    assert decide(rules, asked(ROAD_CAMERA, NEITHER)).passes is not None
    assert decide(rules, asked(ROAD_CAMERA, SCHOOL_CAMERA, NEITHER)).rule == "no-schools"


def test_what_names_nothing_needs_a_rule_for_every_channel() -> None:
    nothing: Notice[Any] = Notice(correlation=1, origin=LOWER, payload=Plate(seen_by=()))
    narrow = rule("narrow", direction="inward", channels=(f"branch:{ROADS}", "prefix:4"))
    assert decide([narrow], nothing, "inward").passes is None
    assert decide([rule("wide", direction="inward")], nothing, "inward").passes == nothing


SELECTORS = st.sampled_from(
    ["*", "prefix:4401", "prefix:4403", f"branch:{ROADS}", f"branch:{SCHOOLS}", f"id:{ROAD_CAMERA.name}"]
)
RULES = st.lists(
    st.builds(
        Rule,
        id=st.uuids().map(str),
        direction=st.sampled_from(["inward", "outward"]),
        action=st.sampled_from(["*", "query.*", "query.plate", "media.live"]),
        verdict=st.sampled_from(["allow", "deny"]),
        channels=st.lists(SELECTORS, min_size=1, max_size=2).map(tuple),
        peer=st.sampled_from(["*", UPPER, OTHER_UPPER]),
    ),
    max_size=6,
)


@settings(deadline=None)
@given(RULES, st.lists(st.sampled_from([ROAD_CAMERA, SCHOOL_CAMERA, NEITHER]), min_size=1, max_size=4))
def test_a_name_never_passes_because_of_another(rules: list[Rule], keys: list[ChannelId]) -> None:
    """Together they pass exactly if each of them would pass alone."""

    def passes(*named: ChannelId) -> bool:
        crossing: Ask[Any] = Ask(correlation=1, origin=UPPER, payload=Plate(seen_by=named))
        return decide(rules, crossing).passes is not None

    assert passes(*keys) == all(passes(key) for key in keys)


@settings(deadline=None)
@given(RULES, CROSSINGS, st.sampled_from(["inward", "outward"]))
def test_a_verdict_is_the_crossing_itself_or_nothing_or_fewer_rows(
    rules: list[Rule], crossing: Crossing, direction: Direction
) -> None:
    passes = decide(rules, crossing, direction, asked=Asked(UPPER, BACK[direction])).passes
    if isinstance(crossing, CatalogBatch) and passes is not None:
        assert isinstance(passes, CatalogBatch)
        assert set(passes.rows.ids()) <= set(crossing.rows.ids())
    else:
        assert passes in (None, crossing)


def test_what_was_compiled_is_kept_and_bounded() -> None:
    rules = CompiledRules([LIVE])
    first = rules.selector("outward", "media.live", UPPER)
    assert rules.selector("outward", "media.live", UPPER) is first
    for number in range(MAX_SELECTORS):
        rules.selector("outward", f"media.{number}", UPPER)
    assert len(rules._selectors) == MAX_SELECTORS
    assert rules.selector("outward", "media.live", UPPER) is not first
