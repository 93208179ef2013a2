"""Rules that can never decide are found, however long the list, and no other rule is suspected."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.chamber.coverage import covered
from gateway.chamber.explain import fits
from gateway.chamber.policy import CompiledRules, Question
from gateway.chamber.rules import ANY, Rule, When, matches
from tests.gateway.chamber_ground import ROAD_CAMERA, ROADS, SCHOOLS, UPPER, rule

SELECTORS = st.sampled_from(
    [
        "*",
        "prefix:4",
        "prefix:44",
        f"branch:{ROADS}",
        f"branch:{SCHOOLS}",
        f"id:{ROADS}",
        "id:44",
        "class:215",
    ]
)
NAMES = [(name, branch) for name in ("44", "45", "4", "1", ROADS) for branch in ("", ROADS, SCHOOLS)]
ACTIONS = ("query.a", "query.b", "media.live")
PEERS = ("one", "two")
RULES = st.lists(
    st.builds(
        lambda **fields: rule("", **fields),
        direction=st.sampled_from(["inward", "outward"]),
        action=st.sampled_from(["*", "query.*", *ACTIONS]),
        channels=st.lists(SELECTORS, min_size=1, max_size=3).map(tuple),
        peer=st.sampled_from([ANY, *PEERS]),
        when=st.sampled_from([When(), When(days=("mon",))]),
    ),
    max_size=8,
)


def about(rule: Rule) -> set[tuple[str, str, str, str, str]]:
    """All of this little world that the rule is about, whenever it counts."""
    return {
        (rule.direction, peer, action, name, branch)
        for peer in PEERS
        for action in ACTIONS
        for name, branch in NAMES
        if rule.peer in {ANY, peer}
        and matches(rule.action, action)
        and fits(rule.channels, name, (branch, ""))
    }


@settings(deadline=None)
@given(RULES)
def test_what_is_found_never_decides(rules: list[Rule]) -> None:
    named = [replace(each, id=str(number)) for number, each in enumerate(rules, start=1)]
    for found in covered(named):
        assert found.above < found.number
        assert about(found.rule) <= about(found.by)
        assert found.by.when.always or found.by.when == found.rule.when
        for wall in (0.0, 4 * 86_400.0):  # a Thursday and a Monday
            compiled = CompiledRules(named).at(wall)
            for direction, peer, action, name, branch in about(found.rule):
                question = Question(direction, action, peer)  # type: ignore[arg-type]
                assert compiled.judge(question, name, (branch, ""))[1] != found.rule.id


@settings(deadline=None)
@given(RULES)
def test_as_many_are_found_as_by_comparing_all_with_all(rules: list[Rule]) -> None:
    found = {each.number for each in covered(rules)}
    expected = {
        below
        for (_, one), (below, other) in combinations(enumerate(rules, start=1), 2)
        if [each.number for each in covered([one, other])] == [2]
    }
    assert found == expected


def test_a_long_list_is_gone_through_by_looking_up() -> None:
    """Ten thousand rules, every second one covered: compared with each other they would take minutes."""
    rules = [
        rule(
            str(number),
            peer=UPPER,
            channels=(f"prefix:{number // 2:05}" if number % 2 else f"id:{number // 2:05}0",),
        )
        for number in range(10_000)
    ]
    assert [each.number for each in covered([rule("all"), *rules[:10]])] == list(range(2, 12))
    assert not list(covered(rules))
    assert len(list(covered([*rules[1::2], *rules[::2]]))) == 5000
    assert list(covered([rule("one", channels=(f"id:{ROAD_CAMERA.name}",)), rule("all")])) == []
