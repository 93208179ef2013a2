"""Which alarms a subscriber wants, read from the body of its subscription (annex A.2.4.7)."""

import pytest

from cascade.manscdp import alarm_filter
from cascade.manscdp.alarm_filter import EVERYTHING, Filter
from cascade.model.commands.alarm import Alarm, Method, Moment, Priority
from cascade.model.ids import ChannelId, PeerName, PlatformId

CAMERA = ChannelId(PlatformId("44010600002000000001"), PeerName("44010600001320000001"))


def body(first: str = "", last: str = "", methods: str = "") -> bytes:
    return (
        '<?xml version="1.0"?><Query><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>1</DeviceID>'
        f"<StartAlarmPriority>{first}</StartAlarmPriority><EndAlarmPriority>{last}</EndAlarmPriority>"
        f"<AlarmMethod>{methods}</AlarmMethod></Query>"
    ).encode()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (body(), EVERYTHING),
        (body("0", "0", "0"), EVERYTHING),
        (body("1", "2", "25"), Filter(1, 2, frozenset({2, 5}))),
        (body("2", "", "2/5"), Filter(2, 0, frozenset({2, 5}))),
        (body("9", "x", "8"), EVERYTHING),
        (body("", "", "05"), EVERYTHING),
        (b"not at all", EVERYTHING),
    ],
)
def test_it_is_read_in_every_edition_and_what_is_odd_bounds_nothing(given: bytes, wanted: Filter) -> None:
    assert alarm_filter.read(given) == wanted


@pytest.mark.parametrize(
    ("wants", "priority", "method", "admitted"),
    [
        (EVERYTHING, 4, 7, True),
        (Filter(2, 3), 1, 1, False),
        (Filter(2, 3), 2, 1, True),
        (Filter(2, 3), 4, 1, False),
        (Filter(2), 4, 1, True),
        (Filter(0, 0, frozenset({5})), 1, 5, True),
        (Filter(0, 0, frozenset({5})), 1, 2, False),
    ],
)
def test_it_admits_by_priority_and_method(
    wants: Filter, priority: Priority, method: Method, admitted: bool
) -> None:
    alarm = Alarm(
        letter=1, source=CAMERA, priority=priority, method=method, time=Moment("2026-03-01T08:00:00")
    )
    assert wants.admits(alarm) is admitted
