"""Requests that the near door judges by their head, and controls, which nobody answers."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.model.ids import ChannelId
from gateway.chamber.codec import CodecError, decode, encode
from gateway.chamber.policy import CompiledRules, judge, judge_head
from gateway.chamber.rules import Rule
from tests.clock import run
from tests.gateway.chamber_ground import (
    NEITHER,
    ROAD_CAMERA,
    ROADS,
    SCHOOL_CAMERA,
    SCHOOLS,
    UPPER,
    places,
    ptz,
    rule,
)
from tests.gateway.test_gate import NO_SCHOOLS_OUT, OUT, Lock, settled

RULES = st.lists(
    st.builds(
        lambda id, **fields: rule(str(id), **fields),
        id=st.uuids(),
        action=st.sampled_from(["control.ptz", "control.*", "*", "media.live"]),
        direction=st.sampled_from(["inward", "outward"]),
        verdict=st.sampled_from(["allow", "deny"]),
        peer=st.sampled_from(["*", UPPER, "44000000002000000002"]),
        channels=st.sampled_from(
            [("*",), (f"branch:{SCHOOLS}",), (f"branch:{ROADS}",), (f"id:{NEITHER.name}",), ("prefix:4401",)]
        ),
    ),
    max_size=5,
)


@given(RULES, st.sampled_from([ROAD_CAMERA, SCHOOL_CAMERA, NEITHER]))
def test_the_head_of_a_control_is_judged_like_the_whole(rules: list[Rule], target: ChannelId) -> None:
    compiled = CompiledRules(rules)
    whole = judge(compiled, ptz(target), "outward", places)
    head = judge_head(compiled, "control.ptz", target, UPPER, "outward", places)
    assert (head is None) == (whole.passes is not None)
    if head is not None:
        assert (head.rule, head.reason) == (whole.rule, whole.reason)


def test_a_control_that_the_near_door_refuses_by_its_head_is_recorded_and_counted() -> None:
    async def scenario() -> None:
        lock = Lock([NO_SCHOOLS_OUT, OUT])
        assert lock.inner.admits("control.ptz", ROAD_CAMERA, UPPER)
        assert lock.audits[0].entries == []  # a yes is recorded with the whole
        assert not lock.inner.admits("control.ptz", SCHOOL_CAMERA, UPPER)
        (entry,) = lock.audits[0].entries
        assert (entry["kind"], entry["action"], entry["verdict"]) == ("Head", "control.ptz", "refused")
        assert (entry["rule"], entry["origin"]) == ("no-schools", UPPER)
        assert lock.inner.counters.refused == {"no-schools": 1}

    run(scenario())


def test_what_can_t_be_recorded_is_refused_whatever_it_is() -> None:
    async def scenario() -> None:
        lock = Lock([NO_SCHOOLS_OUT, OUT])
        lock.audits[0].broken = True
        assert not lock.inner.admits("control.ptz", SCHOOL_CAMERA, UPPER)
        assert lock.inner.counters.refused == {"audit": 1}
        assert lock.inner.send(ptz()).passes is None

    run(scenario())


def test_a_control_that_the_far_door_refuses_ends_there() -> None:
    async def scenario() -> None:
        lock = Lock([OUT], [NO_SCHOOLS_OUT, OUT])
        assert lock.inner.send(ptz(SCHOOL_CAMERA)).passes is not None
        await settled()
        assert lock.delivered == ([], [])
        assert [entry["verdict"] for entry in lock.audits[1].entries] == ["refused"]
        assert lock.outer.counters.refused == {"no-schools": 1}

    run(scenario())


@pytest.mark.parametrize(
    "change",
    [{"pan_speed": 256}, {"pan_speed": -1}, {"pan": "sideways"}, {"pan": None}, {"raw": "A50F"}],
    ids=str,
)
def test_a_movement_with_another_meaning_does_not_come_off_the_link(change: dict[str, object]) -> None:
    assert decode(encode(ptz())) == ptz()
    tree = msgspec.msgpack.decode(encode(ptz()))
    tree["payload"]["movement"] |= change
    with pytest.raises(CodecError):
        decode(msgspec.msgpack.encode(tree))
