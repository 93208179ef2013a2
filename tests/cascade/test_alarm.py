"""Alarm on the wire: what devices write, what is made of it, and what we write (annex A.2.5, Q86)."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.as_lower.answers import ShownAs
from cascade.errors import BadCommand
from cascade.manscdp import alarm, head
from cascade.manscdp.wire import NamesOf
from cascade.model.commands.alarm import MAX_DESCRIPTION, Alarm, Moment
from cascade.model.ids import ChannelId, PeerName, PlatformId

NVR: Final = PlatformId("44010600001180000001")
DOOR: Final = "44010600001340000001"
ARRIVED: Final = Moment("2026-03-01T08:30:00")
WHOLE: Final = {
    "AlarmPriority": "1",
    "AlarmMethod": "5",
    "AlarmTime": "2026-03-01T08:12:30",
    "AlarmDescription": "door open",
    "Longitude": "113.361200",
    "Latitude": "23.124680",
}
TYPED: Final = (
    "<Info><AlarmType>6</AlarmType><AlarmTypeParam><EventType>1</EventType></AlarmTypeParam></Info>"
)


def body(fields: dict[str, str], more: str = "", device: str = DOOR) -> bytes:
    inner = "".join(f"<{tag}>{text}</{tag}>" for tag, text in fields.items())
    text = f"<Notify><CmdType>Alarm</CmdType><SN>512</SN><DeviceID>{device}</DeviceID>{inner}{more}</Notify>"
    return f'<?xml version="1.0" encoding="GB2312"?>\r\n{text}'.encode("gb18030")


def read(data: bytes) -> alarm.Read:
    return alarm.read(data, NamesOf(NVR), letter=7, arrived=ARRIVED)


def test_an_alarm_is_read_whole() -> None:
    assert read(body(WHOLE, TYPED)) == alarm.Read(
        Alarm(
            letter=7,
            source=ChannelId(NVR, PeerName(DOOR)),
            priority=1,
            method=5,
            time=Moment("2026-03-01T08:12:30"),
            description="door open",
            longitude=113.3612,
            latitude=23.12468,
            kind=6,
            event=1,
        ),
        (),
    )


@pytest.mark.parametrize(
    "more",
    [
        "<Info><AlarmType>6</AlarmType></Info>",
        "<info><alarmtype>6</alarmtype></info>",
        "<AlarmType>6</AlarmType>",
        "<Info>plain text</Info><AlarmType> 6 </AlarmType>",
    ],
)
def test_its_type_may_stand_in_info_or_beside_it(more: str) -> None:
    assert read(body(WHOLE, more)).alarm.kind == 6


@pytest.mark.parametrize(
    ("tag", "text", "field", "instead"),
    [
        ("AlarmPriority", "", "priority", 4),
        ("AlarmPriority", "0", "priority", 4),
        ("AlarmPriority", "5", "priority", 4),
        ("AlarmMethod", "", "method", 7),
        ("AlarmMethod", "25", "method", 7),
        ("AlarmTime", "", "time", ARRIVED),
        ("AlarmTime", "0000-00-00T00:00:00", "time", ARRIVED),
        ("AlarmTime", "2026-02-30T08:00:00", "time", ARRIVED),
        ("AlarmTime", "2026-03-01", "time", ARRIVED),
        ("AlarmTime", "20260301T081230", "time", ARRIVED),
        ("AlarmTime", "yesterday, when it rained", "time", ARRIVED),
        ("AlarmTime", "0001-01-01T00:00:00+14:00", "time", ARRIVED),
        ("AlarmTime", "9999-12-31T23:59:59-12:00", "time", ARRIVED),
        ("AlarmTime", "1" * 4000, "time", ARRIVED),
        ("AlarmDescription", "x" * 4000, "description", "x" * MAX_DESCRIPTION),
        ("Longitude", "181", "longitude", None),
        ("Longitude", "nan", "longitude", None),
        ("Longitude", "inf", "longitude", None),
        ("Latitude", "-90.1", "latitude", None),
        ("Latitude", "north", "latitude", None),
    ],
)
def test_bad_form_loses_no_alarm_and_is_named(tag: str, text: str, field: str, instead: object) -> None:
    found = read(body(WHOLE | {tag: text}))
    assert getattr(found.alarm, field) == instead
    assert tag in found.odd


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01 08:12:30", "2026-03-01T08:12:30"),
        ("2026-03-01T08:12:30.999", "2026-03-01T08:12:30"),
        ("2026-03-01T00:12:30Z", "2026-03-01T08:12:30"),
        ("2026-03-01T09:12:30+09:00", "2026-03-01T08:12:30"),
        ("1970-01-01T00:00:12", "1970-01-01T00:00:12"),
        ("2099-12-31T23:59:59", "2099-12-31T23:59:59"),
    ],
)
def test_its_time_is_what_the_device_says_in_beijing(text: str, moment: str) -> None:
    found = read(body(WHOLE | {"AlarmTime": text}))
    assert (found.alarm.time, found.odd) == (moment, ())


@pytest.mark.parametrize("more", ["0", "-1", "65536", "2/5", "³", "six", "9" * 4000])
def test_a_type_that_is_none_is_left_out_and_named(more: str) -> None:
    found = read(body(WHOLE, f"<Info><AlarmType>{more}</AlarmType></Info>"))
    assert (found.alarm.kind, found.odd) == (None, ("AlarmType",))


@pytest.mark.parametrize("device", ["", "x" * 65, "a\u200bb", " "])
def test_one_that_names_no_device_is_refused(device: str) -> None:
    with pytest.raises(BadCommand):
        read(body(WHOLE, device=device))


def test_a_text_has_no_line_breaks_or_signs_that_nobody_sees() -> None:
    found = read(body(WHOLE | {"AlarmDescription": "door\r\nopen\u202egnp"}))
    assert found.alarm.description.isprintable()


def test_it_is_written_in_the_order_of_the_schema_and_read_back() -> None:
    found = read(body(WHOLE, TYPED)).alarm
    written = alarm.write(found, sn=9, names=ShownAs("34020000001320000009"))
    assert b"\r\n".join(written.split(b"\r\n")[2:5]) == (
        b"<CmdType>Alarm</CmdType>\r\n<SN>9</SN>\r\n<DeviceID>34020000001320000009</DeviceID>"
    )
    tags = [line[1 : line.index(b">")] for line in written.split(b"\r\n")[1:] if line[:1] == b"<"]
    wanted = [
        "AlarmPriority",
        "AlarmMethod",
        "AlarmTime",
        "AlarmDescription",
        "Longitude",
        "Latitude",
        "Info",
    ]
    assert [tag for tag in (each.decode() for each in tags) if tag in wanted] == wanted
    again = alarm.read(written, NamesOf(NVR), letter=7, arrived=ARRIVED).alarm
    assert again.source.name == "34020000001320000009"
    assert (again.time, again.kind, again.event) == (found.time, found.kind, found.event)


def test_an_edition_before_2016_gets_no_type() -> None:
    found = read(body(WHOLE, TYPED)).alarm
    assert b"Info" not in alarm.write(found, sn=9, names=ShownAs("x"), typed=False)


def test_the_answer_bears_their_number_and_their_id() -> None:
    answer = alarm.write_answer(sn="512", device_id=DOOR)
    found = head(answer)
    assert found is not None
    assert (found.root, found.cmd_type, found.sn, found.device_id) == ("Response", "Alarm", "512", DOOR)
    assert b"<Result>OK</Result>" in answer


@given(st.binary(max_size=600) | st.text(max_size=200).map(lambda text: body(WHOLE | {"AlarmTime": text})))
def test_any_bytes_are_an_alarm_or_the_fault_of_the_peer(data: bytes) -> None:
    try:
        found = read(data)
    except BadCommand:
        return
    alarm.write(found.alarm, sn=1, names=ShownAs("x"))
