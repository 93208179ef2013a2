"""Whose turn it is to turn a camera: pure, over any order of commands and any passing of time."""

from dataclasses import dataclass
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from cascade.as_lower.ptz_locks import Granted, Held, PtzLocks, TooMany
from cascade.limits import Bounds, Limits
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.peers import PtzTerms

LOW, MIDDLE, HIGH = (PlatformId(f"4400000000200000000{number}") for number in (1, 2, 3))
CAMERA: Final = ChannelId(PlatformId("44010600001180000001"), PeerName("44010600001320000001"))
OTHER: Final = ChannelId(CAMERA.peer, PeerName("44010600001320000002"))
TERMS: Final = PtzTerms(lock_seconds=10.0, moving_seconds=60.0)


def locks() -> PtzLocks:
    return PtzLocks(TERMS)


def test_who_moves_a_camera_has_it_until_some_seconds_after_its_stop() -> None:
    given = locks()
    assert isinstance(given.ask(CAMERA, LOW, 5, stop=False, now=0.0), Granted)
    assert isinstance(given.ask(CAMERA, LOW, 5, stop=True, now=4.0), Granted)
    waiting = given.ask(CAMERA, MIDDLE, 5, stop=False, now=4.5)
    assert isinstance(waiting, Held)
    assert (waiting.seconds, waiting.lost) == (10, False)
    assert isinstance(given.ask(CAMERA, MIDDLE, 5, stop=False, now=13.9), Held)
    assert isinstance(given.ask(CAMERA, MIDDLE, 5, stop=False, now=14.0), Granted)


def test_a_higher_level_takes_it_and_the_loser_is_told_that() -> None:
    given = locks()
    given.ask(CAMERA, LOW, 4, stop=False, now=0.0)
    taken = given.ask(CAMERA, HIGH, 5, stop=False, now=1.0)
    assert isinstance(taken, Granted)
    assert taken.taken_from is not None
    assert (taken.taken_from.upper, taken.taken_from.moving) == (LOW, True)
    for stop in (True, False):
        told = given.ask(CAMERA, LOW, 4, stop=stop, now=2.0)
        assert isinstance(told, Held)
        assert told.lost
    other = given.ask(CAMERA, MIDDLE, 5, stop=False, now=2.0)
    assert isinstance(other, Held)
    assert not other.lost


def test_one_camera_says_nothing_of_another() -> None:
    given = locks()
    given.ask(CAMERA, HIGH, 9, stop=False, now=0.0)
    assert isinstance(given.ask(OTHER, LOW, 1, stop=False, now=0.0), Granted)


def test_a_stop_alone_holds_nothing() -> None:
    given = locks()
    assert given.ask(CAMERA, LOW, 5, stop=True, now=0.0) == Granted(None, None)
    assert given.hold(CAMERA, 0.0) is None


def test_a_stop_keeps_the_level_of_the_movement() -> None:
    given = locks()
    given.ask(CAMERA, LOW, 7, stop=False, now=0.0)
    given.ask(CAMERA, LOW, 1, stop=True, now=1.0)
    assert isinstance(given.ask(CAMERA, HIGH, 6, stop=False, now=2.0), Held)


def test_what_went_nowhere_leaves_things_as_they_were() -> None:
    given = locks()
    first = given.ask(CAMERA, LOW, 4, stop=False, now=0.0)
    assert isinstance(first, Granted)
    second = given.ask(CAMERA, HIGH, 5, stop=False, now=1.0)
    assert isinstance(second, Granted)
    given.undo(CAMERA, first)  # more has happened since
    assert given.hold(CAMERA, 1.0) == second.hold
    given.undo(CAMERA, second)
    assert given.hold(CAMERA, 1.0) == first.hold
    given.undo(CAMERA, first)
    assert given.hold(CAMERA, 1.0) is None


def test_of_who_is_gone_only_what_moves_has_to_be_stopped() -> None:
    given = locks()
    given.ask(CAMERA, LOW, 5, stop=False, now=0.0)
    given.ask(OTHER, LOW, 5, stop=False, now=0.0)
    given.ask(OTHER, LOW, 5, stop=True, now=1.0)
    assert given.release(HIGH, 2.0) == []
    assert given.release(LOW, 2.0) == [CAMERA]
    assert len(given) == 0


def test_so_many_and_no_more() -> None:
    bounds = Bounds(Limits(cameras_held=1))
    given = PtzLocks(TERMS, bounds)
    given.ask(CAMERA, LOW, 5, stop=False, now=0.0)
    assert isinstance(given.ask(OTHER, LOW, 5, stop=False, now=1.0), TooMany)
    assert isinstance(given.ask(CAMERA, LOW, 5, stop=False, now=1.0), Granted)
    assert isinstance(given.ask(OTHER, LOW, 5, stop=False, now=61.0), Granted), "what is over makes room"
    assert len(given) == 1
    assert bounds.counters() == {"limit_cameras_held": 1}


@dataclass(frozen=True, slots=True)
class Command:
    upper: PlatformId
    level: int
    stop: bool
    after: float


COMMANDS = st.lists(
    st.builds(
        Command,
        st.sampled_from([LOW, MIDDLE, HIGH]),
        st.integers(0, 3),
        st.booleans(),
        st.sampled_from([0.0, 0.1, 5.0, 10.0, 30.0, 60.0, 61.0]),
    ),
    max_size=30,
)


@given(COMMANDS)
def test_at_any_time_one_holds_it_at_most_and_only_a_higher_level_takes_it(commands: list[Command]) -> None:
    given, now = locks(), 0.0
    mover: PlatformId | None = None  # whose movement the camera follows, as told by what is granted
    for command in commands:
        now += command.after
        before = given.hold(CAMERA, now)
        if before is None:
            mover = None  # the camera's side has stopped it by then
        answer = given.ask(CAMERA, command.upper, command.level, stop=command.stop, now=now)
        after = given.hold(CAMERA, now)
        if isinstance(answer, Held):
            assert before is not None
            assert before == after == answer.hold
            assert command.upper != before.upper
            assert command.level <= before.level
            assert 0 < answer.seconds <= 60
            continue
        assert isinstance(answer, Granted)
        taken = answer.taken_from
        if before is not None and before.upper != command.upper:
            assert taken == before
            assert command.level > before.level
        if mover not in {None, command.upper}:
            assert taken is not None, "nobody moves it behind the back of who does"
            assert taken.moving, "so that a stop goes before"
        mover = None if command.stop else command.upper
        if after is not None:
            assert after.upper == command.upper
            assert now < after.until <= now + 60.0
            assert after.moving == (not command.stop)
    assert given.hold(CAMERA, now + 60.0) is None, "a lock always ends"


@given(COMMANDS, st.sampled_from([LOW, MIDDLE, HIGH]))
def test_who_is_gone_holds_nothing_and_what_it_moved_is_named(
    commands: list[Command], gone: PlatformId
) -> None:
    given, now = locks(), 0.0
    for command in commands:
        now += command.after
        given.ask(CAMERA, command.upper, command.level, stop=command.stop, now=now)
    hold = given.hold(CAMERA, now)
    moving = hold is not None and hold.upper == gone and hold.moving
    assert given.release(gone, now) == ([CAMERA] if moving else [])
    left = given.hold(CAMERA, now)
    assert left is None or left.upper != gone
