"""What may not cross is not named as the place of what may, and both doors decide alike all the same."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.crossing import CatalogBatch, Direction
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Index, Rows
from gateway.chamber.policy import CATALOG_ROWS, NOWHERE, CompiledRules, Place, judge, veiled
from gateway.chamber.rules import Rule
from gateway.chamber.veil import FOREIGN, SIGN
from interop.demo.cast import KEPT_BRANCH
from tests.clock import run
from tests.gateway.chamber_ground import LOWER, batch, rule
from tests.gateway.world import INNER_ID, LOWER_ID, Link, World, text, world

PLACES = ("branch", "parent_id", "business_group_id")


def of(index: Index) -> Callable[[ChannelId], Place]:
    return lambda channel: index.place(channel.peer, channel.name) or NOWHERE


def crossed(rules: list[Rule], near: Index) -> Rows:
    """The rows that the sending door lets out of all that `near` holds."""
    compiled = CompiledRules(rules)
    verdict = judge(compiled, batch(near.rows(LOWER)), "inward", of(near))
    if verdict.passes is None:
        return Rows.build([])
    assert isinstance(verdict.passes, CatalogBatch)
    return veiled(compiled, verdict.passes, "inward", of(near)).rows


def told(rows: Rows, id: str) -> dict[str, str]:
    (found,) = (row for row in map(rows.get, range(len(rows))) if row["id"] == id)
    return found


TREE = [
    {"id": "top"},
    {"id": "kept", "parent_id": "top"},
    {"id": "room", "parent_id": "kept"},
    {"id": "camera", "parent_id": f"room/{LOWER}", "business_group_id": "kept"},
    {"id": "other", "parent_id": "top"},
]
ONLY_CAMERA = rule("camera", direction="inward", action=CATALOG_ROWS, channels=("id:camera", "id:top"))
KEPT = rule("kept", action="media.live", channels=("branch:kept",), verdict="deny")


def tree() -> Index:
    near = Index()
    near.apply(LOWER, Rows.build(TREE), True)
    return near


def test_what_is_kept_is_named_in_no_place_of_what_is_shared() -> None:
    rows = crossed([ONLY_CAMERA, KEPT], tree())
    assert rows.ids() == ["top", "camera"]
    camera = told(rows, "camera")
    assert camera.get("parent_id") == LOWER  # which every crossing of that peer names
    assert "business_group_id" not in camera
    room, kept, *others = camera["branch"].split("/")
    assert room.startswith(SIGN)
    assert kept == f"{room}.0"  # the first branch that the rules name
    assert others == ["top", LOWER]


def test_where_everything_is_shared_rows_cross_as_they_are() -> None:
    near = tree()
    share = rule("share", direction="inward", action=CATALOG_ROWS)
    assert crossed([share], near) == near.rows(LOWER)


def test_rows_that_go_do_not_say_more_than_rows_that_come() -> None:
    near = tree()
    rules = CompiledRules([ONLY_CAMERA, KEPT])
    verdict = judge(rules, batch(near.rows(LOWER), change="gone"), "inward", of(near))
    assert isinstance(verdict.passes, CatalogBatch)
    rows = veiled(rules, verdict.passes, "inward", of(near)).rows
    assert told(rows, "camera") == {
        "id": "camera",
        "branch": told(crossed([ONLY_CAMERA, KEPT], near), "camera")["branch"],
    }


def test_what_a_peer_writes_is_no_veil_and_no_name_that_breaks_a_door() -> None:
    near = Index()
    nonsense = ["~", "~0.0", "\u200b", "x" * 65, " ", "/"]
    near.apply(
        LOWER, Rows.build([{"id": f"c{n}", "parent_id": text} for n, text in enumerate(nonsense)]), True
    )
    share = rule("share", direction="inward", action=CATALOG_ROWS, channels=("prefix:1", "id:c0", "id:c1"))
    rows = crossed([share], near)
    assert [told(rows, id).get("branch", "") for id in ("c0", "c1")] == ["", ""]
    assert len(crossed([rule("share", direction="inward", action=CATALOG_ROWS)], near)) == len(nonsense)


def test_rows_veiled_under_another_list_are_refused_and_the_others_pass() -> None:
    before, after = [ONLY_CAMERA, KEPT], [ONLY_CAMERA]
    rows = crossed(before, tree())
    verdict = judge(CompiledRules(after), batch(rows), "inward", lambda _: NOWHERE)
    assert isinstance(verdict.passes, CatalogBatch)
    assert verdict.passes.rows.ids() == ["top"]
    assert verdict.refused == {FOREIGN: 1}
    same = judge(CompiledRules(before), batch(rows), "inward", lambda _: NOWHERE)
    assert isinstance(same.passes, CatalogBatch)
    assert same.passes.rows == rows


NAMES = [str(number) for number in range(8)]
ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from(NAMES)},
        optional={
            "parent_id": st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join),
            "business_group_id": st.sampled_from(NAMES),
            "civil_code": st.sampled_from(["4401", "440106", "44010600"]),
            "owner": st.sampled_from(["police", "council"]),
        },
    ),
    max_size=10,
)
SELECTORS = st.one_of(
    st.just("*"),
    st.sampled_from(NAMES).map("id:{}".format),
    st.sampled_from([*NAMES, "44", "4401"]).map("branch:{}".format),
    st.sampled_from(["owner:police", "owner:council"]),
)
WAYS: list[tuple[Direction, str]] = [("inward", CATALOG_ROWS), ("outward", "media.live")]
RULES = st.lists(
    st.tuples(st.sampled_from(WAYS), st.booleans(), st.lists(SELECTORS, min_size=1, max_size=2)), max_size=6
).map(
    lambda drawn: [
        rule(
            f"r{number}",
            direction=way[0],
            action=way[1],
            channels=tuple(channels),
            verdict="allow" if allow else "deny",
        )
        for number, (way, allow, channels) in enumerate(drawn)
    ]
)


@settings(deadline=None)
@given(ROWS, RULES)
def test_both_doors_decide_alike_and_the_far_side_hears_of_nothing_that_is_kept(
    given_rows: list[dict[str, str]], rules: list[Rule]
) -> None:
    near, far = Index(), Index(told=True)
    near.apply(LOWER, Rows.build(given_rows), True)
    compiled, elsewhere = CompiledRules(rules), CompiledRules(rules)
    shared = crossed(rules, near)
    arrived = judge(elsewhere, batch(shared), "inward", of(far))
    passed = arrived.passes.rows if isinstance(arrived.passes, CatalogBatch) else Rows.build([])
    assert passed == shared  # the second judgement takes nothing back, and lets nothing more through
    far.apply(LOWER, passed, False)
    may = compiled.selector("inward", CATALOG_ROWS, LOWER)
    for id in shared.ids():
        channel = ChannelId(LOWER, PeerName(id))
        row = far.find(LOWER, id)
        assert row is not None
        for direction, action in WAYS:
            here = compiled.selector(direction, action, LOWER).judge(id, *of(near)(channel))
            there = elsewhere.selector(direction, action, LOWER).judge(id, *of(far)(channel))
            assert here == there
        named = {name for place in PLACES for name in row.get(place, "").split("/") if name}
        for name in named - {LOWER}:
            own_area = row.get("civil_code", "").startswith(name) and len(name) > 1
            above = of(near)(ChannelId(LOWER, PeerName(name)))
            assert name.startswith(SIGN) or own_area or may.judge(name, *above)[0]


# The whole way


def shared_alone(camera: str, *, more: str = "") -> str:
    """The demo's rules, but one camera of the kept branch is shared by its own id."""
    single = (
        f'[[rule]]\nid = "single"\ndirection = "inward"\naction = "catalog.rows"\n'
        f'channels = ["id:{camera}"]\nverdict = "allow"\n\n'
    )
    written = text()
    at = written.index("[[rule]]")
    return written[:at] + more + single + written[at:]


async def shown(here: World, camera: str) -> dict[str, str]:
    await here.shown(len(here.shared()) + 1)
    row = here.gateway.inner.side.shared.find(LOWER_ID, camera)
    assert row is not None
    return row


def kept_camera() -> str:
    async def scenario() -> str:
        async with world() as here:
            return here.kept()[0]

    return run(scenario())


def test_a_start_under_stricter_rules_takes_back_what_stood_behind_a_veil(link: Link) -> None:
    """The far side can't tell whether a new rule is about what it never heard the name of."""
    camera = kept_camera()
    stricter = (
        f'[[rule]]\nid = "no-more"\ndirection = "inward"\naction = "catalog.rows"\n'
        f'channels = ["branch:{KEPT_BRANCH}"]\nverdict = "deny"\n\n'
    )

    async def scenario() -> None:
        async with world(link, written=shared_alone(camera)) as here:
            row = await shown(here, camera)
            assert KEPT_BRANCH not in str(row)
            await here.upper.wait_registered(INNER_ID)
            (here.folder / "gateway.toml").write_text(shared_alone(camera, more=stricter))
            await here.kill()
            assert here.playable() == here.shared()
            await here.upper.wait_registered(INNER_ID)
            assert camera not in (await here.upper.catalog()).ids()

    run(scenario())


@pytest.mark.parametrize("changed", [False, True])
def test_a_start_shows_what_is_veiled_again(link: Link, changed: bool) -> None:
    """At once under the same rules; under others as soon as the near side has told it anew."""
    camera = kept_camera()
    another = (
        '[[rule]]\nid = "another"\ndirection = "inward"\naction = "catalog.rows"\n'
        'channels = ["branch:44010600002160000099"]\nverdict = "deny"\n\n'
    )

    async def scenario() -> None:
        async with world(link, written=shared_alone(camera)) as here:
            before = await shown(here, camera)
            if changed:
                (here.folder / "gateway.toml").write_text(shared_alone(camera, more=another))
            await here.kill()
            after = await shown(here, camera)
            assert (before["branch"] == after["branch"]) is not changed
            assert KEPT_BRANCH not in str(after)

    run(scenario())


def test_the_peer_that_a_row_is_of_is_no_secret_to_its_readers() -> None:
    near = Index()
    near.apply(PlatformId(LOWER), Rows.build([{"id": "camera", "parent_id": LOWER}]), True)
    only = rule("camera", direction="inward", action=CATALOG_ROWS, channels=("id:camera",))
    assert told(crossed([only], near), "camera")["parent_id"] == LOWER
