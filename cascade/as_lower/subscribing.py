"""A SUBSCRIBE as an upper sends it: for what, for how long, or why not (9.11, RFC 6665). Pure.

What it is about is said by its body, since of the packages only Catalog tells it (Q35).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cascade.manscdp import COMMAND_TYPES, CONTENT_TYPE, Head, alarm_filter, xml
from cascade.manscdp.alarm_filter import EVERYTHING, Filter
from cascade.model.ids import ChannelId
from cascade.peers import Topic
from sip.endpoint import Reply
from sip.events import Event, Headers
from sip.subscription import read_event, seconds_of

TOPICS: Final[dict[str, Topic]] = {"Catalog": "catalog", "Alarm": "alarm"}
PACKAGES: Final = {"catalog", "presence", "alarm"}
ALLOW_EVENTS: Final = ("Allow-Events", "Catalog, presence")

USUAL_EXPIRES: Final = 3600
"""Of a SUBSCRIBE that does not say (Q36)."""
MIN_EXPIRES: Final = 30
MAX_EXPIRES: Final = 86_400


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer that a SUBSCRIBE has earned; `why` is its counter."""

    status: int
    why: str
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """What is subscribed for: everything where `top` is None. `shown` is what the upper calls it."""

    topic: Topic
    shown: str
    top: ChannelId | None
    wants: Filter = EVERYTHING


@dataclass(frozen=True, slots=True)
class Opening:
    """A SUBSCRIBE that opens a dialog. `event` is its Event as written, `seconds` what is granted."""

    event: str
    seconds: int
    subject: Subject


def read(
    event: Event, head: Head | None, own_id: str, resolve: Callable[[str], ChannelId | None]
) -> Refused | Opening:
    """What an upper wants that knows us by `own_id` and our channels by what `resolve` knows."""
    text = event_of(event)
    if isinstance(text, Refused):
        return text
    seconds = expires_of(event)
    if isinstance(seconds, Refused):
        return seconds
    subject = subject_of(event, head, own_id, resolve)
    return subject if isinstance(subject, Refused) else Opening(text, seconds, subject)


def event_of(event: Event) -> Refused | str:
    """The Event of a SUBSCRIBE as it is written; 489 where nobody here tells of that."""
    text = event.header("Event") or ""
    read = read_event(text)
    if read is None or read.package not in PACKAGES:
        return Refused(489, "events_unknown", (ALLOW_EVENTS,))
    return text


def expires_of(event: Event) -> Refused | int:
    """Seconds that are granted, 0 for the end; 423 where it wants to come again all the time."""
    text = event.header("Expires")
    wanted = USUAL_EXPIRES if text is None else seconds_of(text)
    if wanted is None:
        return Refused(400, "malformed")
    if 0 < wanted < MIN_EXPIRES:
        return Refused(423, "too_brief", (("Min-Expires", str(MIN_EXPIRES)),))
    return min(wanted, MAX_EXPIRES)


def subject_of(
    event: Event, head: Head | None, own_id: str, resolve: Callable[[str], ChannelId | None]
) -> Refused | Subject:
    """What a SUBSCRIBE that opens a dialog is about. One for Catalog without a body is about all of it; what
    other packages are without one, such as somebody's presence, nobody here tells of."""
    if not event.body:
        read = read_event(event.header("Event"))
        whole = read is not None and read.package == "catalog"
        return Subject("catalog", own_id, None) if whole else Refused(489, "topics_unknown", (ALLOW_EVENTS,))
    if event.content_type not in COMMAND_TYPES:
        return Refused(415, "media_unknown", (("Accept", CONTENT_TYPE),))
    if head is None or head.root != "Query":
        return Refused(400, "malformed")
    topic = TOPICS.get(head.cmd_type)
    if topic is None:  # positions of what moves and of what turns are not told yet
        return Refused(489, "topics_unknown", (ALLOW_EVENTS,))
    top = None if head.device_id == own_id else resolve(head.device_id)
    if top is None and head.device_id != own_id:
        return Refused(404, "targets_unknown")
    wants = alarm_filter.read(event.body) if topic == "alarm" else Filter()
    return Subject(topic, head.device_id, top, wants)


def accepted(event: Event, head: Head | None, expires: int, contact: str, charset: str) -> Reply:
    """The 200. Where something was asked it says OK too, as editions before 2022 want it (4.2)."""
    headers = [("Contact", contact), ("Expires", str(expires)), ("Event", event.header("Event") or "")]
    if head is None or head.root != "Query" or not head.device_id.isprintable():
        return (event.transaction, 200, headers)
    fields = [
        ("CmdType", head.cmd_type),
        ("SN", head.sn),
        ("DeviceID", head.device_id),
        ("Result", "OK"),
    ]
    body = xml.write("Response", [xml.element(tag, text) for tag, text in fields], charset=charset)
    return (event.transaction, 200, [*headers, ("Content-Type", CONTENT_TYPE)], body)
