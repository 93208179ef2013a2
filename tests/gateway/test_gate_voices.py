"""Media the other way: it passes by the rule of the question that called for it, and by nothing else."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cascade.crossing import Answer, Ask, NoAnswer, StreamEnded, StreamOffered, StreamOpen
from cascade.limits import USUAL
from cascade.model.commands.broadcast import BROADCAST, AskBroadcast, Broadcast
from cascade.model.ids import ChannelId
from gateway.chamber.codec import MAX_ENCODINGS, CodecError, encode
from gateway.chamber.under_way import GRACE_SECONDS
from tests.clock import run
from tests.gateway.chamber_ground import LOWER, ROAD_CAMERA, SCHOOL_CAMERA, UPPER, rule
from tests.gateway.test_gate import LINKS, Lock, settled

SPEAK = rule("speak", action=BROADCAST, peer=UPPER)


def announced(key: ChannelId = ROAD_CAMERA, *, correlation: int = 7) -> Ask[Any]:
    return Ask(correlation=correlation, origin=UPPER, payload=AskBroadcast(target=key))


def agreed(key: ChannelId = ROAD_CAMERA, *, correlation: int = 7) -> Answer[Any]:
    return Answer(correlation=correlation, origin=LOWER, payload=Broadcast(target=key, result="ok"))


def called(key: ChannelId = ROAD_CAMERA, *, correlation: int = 100, invitation: int = 7) -> StreamOpen:
    return StreamOpen(
        correlation=correlation,
        origin=LOWER,
        channel=key,
        action=BROADCAST,
        invitation=invitation,
        encodings=("PCMA/8000",),
    )


def voice(key: ChannelId = ROAD_CAMERA, *, correlation: int = 100) -> StreamOffered:
    return StreamOffered(
        correlation=correlation,
        origin=LOWER,
        channel=key,
        action=BROADCAST,
        stream="v1",
        payload_type=8,
        encoding="PCMA/8000",
    )


def verdicts(lock: Lock, door: int) -> list[tuple[str, str]]:
    return [(entry["kind"], entry["rule"]) for entry in lock.audits[door].entries]


@LINKS
def test_one_rule_of_the_asker_s_lets_the_whole_broadcast_pass(link: Any) -> None:
    async def scenario() -> None:
        lock = Lock([SPEAK], link=link)
        lock.inner.send(announced())
        await settled()
        lock.outer.send(agreed())
        lock.outer.send(called())
        lock.outer.send(called(correlation=102))  # a second loudspeaker
        await settled()
        lock.inner.send(voice())
        lock.inner.send(voice(correlation=102))
        await settled()
        assert lock.delivered == ([agreed(), called(), called(correlation=102)],
                                  [announced(), voice(), voice(correlation=102)])  # fmt: skip
        for door in (0, 1):
            assert {decided for _, decided in verdicts(lock, door)} == {"speak"}

    run(scenario())


@pytest.mark.parametrize(
    "crossing",
    [
        called(invitation=8),
        called(SCHOOL_CAMERA),
        replace(called(), action="media.live"),
        replace(called(), invitation=0),
    ],
    ids=["another question", "another channel", "another medium", "nobody's"],
)
def test_media_that_nobody_called_for_is_refused_even_beside_an_open_question(crossing: StreamOpen) -> None:
    async def scenario() -> None:
        lock = Lock([SPEAK])
        lock.inner.send(announced())
        await settled()
        verdict = lock.outer.send(crossing)
        assert verdict.passes is None
        assert verdict.rule == ("default" if not crossing.invitation else "unasked")

    run(scenario())


def test_a_door_that_never_saw_the_question_refuses_what_the_other_door_let_through() -> None:
    async def scenario() -> None:
        lock = Lock([SPEAK])
        lock.inner.send(announced())
        await settled()
        lock.inner._questions.clear()
        assert lock.outer.send(called()).passes is not None
        await settled()
        assert lock.delivered[0] == []
        (told,) = [each for each in lock.delivered[1] if isinstance(each, StreamEnded)]
        assert (told.correlation, told.failure) == (100, "refused")

    run(scenario())


def test_an_invitation_ends_with_its_time_or_with_a_no() -> None:
    async def scenario() -> None:
        lock = Lock([SPEAK])
        lock.inner.send(announced())
        lock.inner.send(announced(correlation=9))
        await settled()
        lock.outer.send(
            NoAnswer(correlation=9, origin=LOWER, action=BROADCAST, failure="timeout"),
        )
        await settled()
        assert lock.outer.send(called(invitation=9)).rule == "unasked"
        assert lock.outer.send(called()).rule == "speak"
        await asyncio.sleep(announced().seconds_left + GRACE_SECONDS + 0.1)
        assert lock.outer.send(called(correlation=104)).rule == "unasked"
        for number in range(USUAL.crossings_open + 10):
            lock.inner.send(announced(correlation=number))
        assert len(lock.inner._questions) == USUAL.crossings_open

    run(scenario())


def test_a_rule_that_denies_the_question_denies_the_media_too() -> None:
    async def scenario() -> None:
        inward = rule("anything-inward", direction="inward")
        lock = Lock([rule("hush", action=BROADCAST, verdict="deny"), inward])
        assert lock.inner.send(announced()).rule == "hush"
        assert lock.outer.send(called()).rule == "unasked"

    run(scenario())


@given(st.integers(MAX_ENCODINGS + 1, 50))
def test_a_list_of_encodings_is_short(length: int) -> None:
    crossing = replace(called(), encodings=("PCMA/8000",) * length)
    with pytest.raises(CodecError):
        encode(crossing)
