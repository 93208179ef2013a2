"""The outbox: nothing is lost within the quota, the order stays, nobody gets a letter twice."""

from collections import deque
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from cascade.model.commands.alarm import Alarm, Moment
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.outbox import BEYOND, OVERHEAD_BYTES, Letter, Outbox, Quota

CAMERA: Final = ChannelId(PlatformId("platform"), PeerName("camera"))
WHEN: Final = Moment("2026-03-01T08:12:30")


def letter(number: int, description: str = "") -> Letter:
    alarm = Alarm(letter=number, source=CAMERA, priority=1, method=2, time=WHEN, description=description)
    return Letter(to=BEYOND, kept_at=0.0, alarm=alarm)


STEPS: Final = st.lists(
    st.one_of(
        st.lists(st.integers(0, 200), min_size=1, max_size=4).map(lambda sizes: ("come", sizes)),
        st.sampled_from([("leave", []), ("arrive", []), ("lost", []), ("die", [])]),
    ),
    max_size=60,
)


@given(STEPS, st.integers(1, 6), st.integers(1, 8))
def test_any_sequence_keeps_the_newest_in_order(
    steps: list[tuple[str, list[int]]], most: int, size: int
) -> None:
    """`disk` and `wanted` are the oracle: what a plain list would hold after the same steps."""
    quota = Quota(count=most, bytes=size * OVERHEAD_BYTES)
    outbox = Outbox(quota)
    disk: deque[Letter] = deque()
    arrived: list[int] = []
    lost: list[int] = []
    number = 0
    for what, sizes in steps:
        match what:
            case "come":
                coming = [letter(number + place, "x" * each) for place, each in enumerate(sizes, start=1)]
                number += len(coming)
                gone = outbox.over(coming)
                assert gone == sorted(gone, key=lambda each: each.number), "the oldest first"
                outbox.add(coming)
                assert outbox.lose(gone) == len(gone)
                lost += [each.number for each in gone]
                disk = deque(each for each in [*disk, *coming] if each not in gone)
                if len(disk) > most or sum(each.bytes for each in disk) > quota.bytes:
                    assert len(disk) == outbox.under_way > 0, "only those under way may be over the quota"
                kept = [each for each in gone if len(disk) < most and not outbox.under_way]
                room = quota.bytes - sum(each.bytes for each in disk)
                assert all(each.bytes > room for each in kept[-1:]), "no more goes than has to"
            case "leave":
                outbox.under_way = min(len(outbox), outbox.under_way + 1)
            case "arrive" if outbox.under_way:
                first = outbox.first
                assert first is not None
                assert outbox.remove(first)
                assert not outbox.remove(first)
                arrived.append(disk.popleft().number)
                outbox.under_way -= 1
            case "lost":
                outbox.under_way = 0
            case "die":
                outbox = Outbox(quota)
                outbox.add(disk)
        assert list(outbox) == list(disk)
        assert outbox.first == (disk[0] if disk else None)
        assert outbox.bytes == sum(each.bytes for each in disk)
    assert arrived == sorted(set(arrived))
    assert sorted([*arrived, *lost, *(each.number for each in disk)]) == list(range(1, number + 1))


def test_those_under_way_stay_since_they_may_have_arrived() -> None:
    outbox = Outbox(Quota(count=2))
    outbox.add([letter(1), letter(2)])
    outbox.under_way = 2
    assert [each.number for each in outbox.over([letter(3)])] == [3]
    outbox.under_way = 1
    assert [each.number for each in outbox.over([letter(3)])] == [2]
    outbox.under_way = 0
    assert [each.number for each in outbox.over([letter(3)])] == [1]
