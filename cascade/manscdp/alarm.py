"""Alarm on the wire: the notice, and the answer that it was received (GB/T 28181-2016 annex A.2.5, A.2.6).

An alarm is not lost for its form: only one that names no device is refused. What else the standard asks
for and is missing or is no such value is put as little as one can say, and named, so that it is counted.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final, TypeVar

from lxml import etree

from cascade.errors import BadCommand
from cascade.manscdp import xml
from cascade.manscdp.wire import Names
from cascade.model.commands.alarm import MAX_DESCRIPTION, MAX_KIND, Alarm, Crossed, Method, Moment, Priority
from cascade.model.ids import PeerName

CMD_TYPE: Final = "Alarm"

BEIJING: Final = timezone(timedelta(hours=8))

LOWEST: Final[Priority] = 4
OTHER: Final[Method] = 7

PRIORITIES: Final[dict[str, Priority]] = {"1": 1, "2": 2, "3": 3, "4": 4}
METHODS: Final[dict[str, Method]] = {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "6": 6, "7": 7}
EVENTS: Final[dict[str, Crossed]] = {"1": 1, "2": 2}

_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read:
    """An alarm as far as it could be read. `odd`: elements that were missing, cut or no such value."""

    alarm: Alarm
    odd: tuple[str, ...]


def read(body: bytes, names: Names, *, letter: int, arrived: Moment) -> Read:
    """A Notify of Alarm. AlarmType may stand in Info or beside it (Q86).

    `arrived` stands for a time of occurrence that is missing or cannot be read.

    Raises:
        BadCommand: no such notice, or no DeviceID that `names` knows.
    """
    root = xml.read_root(body)
    if xml.local_name(root) != "notify" or xml.text_of(root, "CmdType") != CMD_TYPE:
        raise BadCommand(f"not a Notify of {CMD_TYPE}")
    try:
        source = names.key(PeerName(xml.text_of(root, "DeviceID")))
    except ValueError as error:
        raise BadCommand(f"DeviceID: {error}") from None
    info = xml.child(root, "Info")
    param = None if info is None else xml.child(info, "AlarmTypeParam")
    odd: list[str] = []

    def value(tag: str, convert: Callable[[str], T], instead: T, *places: etree._Element | None) -> T:
        texts = (xml.text_of(place, tag) for place in places or (root,) if place is not None)
        text = next((found for found in texts if found), "")
        try:
            if text:
                return convert(text)
        except (ValueError, KeyError, OverflowError):
            odd.append(tag)
        return instead

    alarm = Alarm(
        letter=letter,
        source=source,
        priority=value("AlarmPriority", PRIORITIES.__getitem__, LOWEST),
        method=value("AlarmMethod", METHODS.__getitem__, OTHER),
        time=value("AlarmTime", read_time, arrived),
        description=value("AlarmDescription", _description, ""),
        longitude=value("Longitude", _degrees(180), None),
        latitude=value("Latitude", _degrees(90), None),
        kind=value("AlarmType", _kind, None, info, root),
        event=value("EventType", EVENTS.__getitem__, None, param, info),
    )
    required = ("AlarmPriority", "AlarmMethod", "AlarmTime")
    odd += [tag for tag in required if not xml.text_of(root, tag)]
    if len(xml.text_of(root, "AlarmDescription")) > MAX_DESCRIPTION:
        odd.append("AlarmDescription")
    return Read(alarm, tuple(odd))


def write(alarm: Alarm, *, sn: int | str, names: Names, typed: bool = True, charset: str = "GB2312") -> bytes:
    """A Notify of Alarm. `typed`: with AlarmType, which editions before 2016 do not have.

    Raises:
        ValueError: `names` has none for its source, or we don't write that charset.
    """
    fields = [
        ("CmdType", CMD_TYPE),
        ("SN", str(sn)),
        ("DeviceID", names.name(alarm.source)),
        ("AlarmPriority", str(alarm.priority)),
        ("AlarmMethod", str(alarm.method)),
        ("AlarmTime", str(alarm.time)),
        ("AlarmDescription", alarm.description),
        ("Longitude", _written(alarm.longitude)),
        ("Latitude", _written(alarm.latitude)),
    ]
    parts = [xml.element(tag, text) for tag, text in fields if text]
    if typed and alarm.kind is not None:
        event = "" if alarm.event is None else xml.element("EventType", str(alarm.event))
        param = f"<AlarmTypeParam>\r\n{event}</AlarmTypeParam>\r\n" if event else ""
        parts.append(f"<Info>\r\n{xml.element('AlarmType', str(alarm.kind))}{param}</Info>\r\n")
    return xml.write("Notify", parts, charset=charset)


def write_answer(*, sn: int | str, device_id: str, charset: str = "GB2312") -> bytes:
    """The Response to one that was received, under its number and the id it came under."""
    fields = [("CmdType", CMD_TYPE), ("SN", str(sn)), ("DeviceID", device_id), ("Result", "OK")]
    return xml.write("Response", [xml.element(tag, text) for tag, text in fields], charset=charset)


def moment(seconds: float) -> Moment:
    """Of seconds since 1970."""
    return Moment(datetime.fromtimestamp(int(seconds), BEIJING).replace(tzinfo=None).isoformat())


def read_time(text: str) -> Moment:
    """A dateTime; one that names its zone is put into Beijing's, a part of a second is dropped.

    Raises:
        ValueError, OverflowError: it is none.
    """
    if not _DATE_TIME.fullmatch(text):
        raise ValueError
    found = datetime.fromisoformat(text)
    local = found if found.tzinfo is None else found.astimezone(BEIJING)
    return Moment(local.replace(tzinfo=None, microsecond=0).isoformat())


def _description(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text[:MAX_DESCRIPTION])


def _degrees(most: int) -> Callable[[str], float | None]:
    def convert(text: str) -> float | None:
        degrees = float(text)
        if len(text) > 32 or not -most <= degrees <= most:
            raise ValueError
        return round(degrees, 7)

    return convert


def _kind(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= MAX_KIND):
        raise ValueError
    return int(text)


def _written(degrees: float | None) -> str:
    return "" if degrees is None else f"{degrees:.7f}".rstrip("0").rstrip(".")
