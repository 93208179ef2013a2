"""What a rule says, as it stands in the configuration, and when it counts."""

from datetime import datetime
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from cascade.crossing import Direction

ANY: Final = "*"

MAX_STREAMS: Final = 100_000
MAX_COMMANDS: Final = 100_000
MAX_BITS: Final = 1_000_000_000_000
"""The largest quotas that can be written."""

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Hours = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$")]


class When(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times of the week by the clock on the wall. A minute is the finest step."""

    days: tuple[Day, ...] = ()
    """`mon` to `sun`. Default: every day."""
    hours: tuple[Hours, ...] = ()
    """Such as `08:00-18:00`; one that ends before it begins goes over midnight and belongs to the day on
    which it begins. Default: all day."""
    zone: str = "Asia/Shanghai"
    """Time zone by its name. Default Asia/Shanghai."""

    @property
    def always(self) -> bool:
        return not (self.days or self.hours)

    def holds(self, wall: float) -> bool:
        """Is it one of these times at `wall`, seconds since 1970?"""
        if self.always:
            return True
        moment = datetime.fromtimestamp(wall, ZoneInfo(self.zone))
        today, minute = moment.weekday(), moment.hour * 60 + moment.minute
        if not self.hours:
            return self._on(today)
        for first, last in map(span, self.hours):
            if first < last:
                if first <= minute < last and self._on(today):
                    return True
            elif (minute >= first and self._on(today)) or (minute < last and self._on(today - 1)):
                return True
        return False

    def _on(self, day: int) -> bool:
        return not self.days or DAYS[day % 7] in self.days


def span(hours: str) -> tuple[int, int]:
    """First minute of the day, and the one after the last, of `08:00-18:00`."""
    first, last = (
        int(hour) * 60 + int(minute) for hour, minute in (time.split(":") for time in hours.split("-"))
    )
    return first, last


class Quota(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much passes by one rule, whoever asks; each door counts by itself."""

    streams: Annotated[int, Meta(ge=0, le=MAX_STREAMS)] = 0
    """Streams that are open at once. Default 0: no limit."""
    commands: Annotated[int, Meta(ge=0, le=MAX_COMMANDS)] = 0
    """Questions and commands in any sixty seconds. Default 0: no limit."""
    bits_per_second: Annotated[int, Meta(ge=0, le=MAX_BITS)] = 0
    """Of all open streams together. Default 0: no limit. A stream counts as much as it declares (`f=`), or
    else `stream_bits_per_second`; and what the relay measures of it, once that is more."""
    stream_bits_per_second: Annotated[int, Meta(ge=1000, le=1_000_000_000)] = 4_000_000
    """What a stream counts that declares nothing. Default 4,000,000."""
    over: Literal["refuse", "end"] = "refuse"
    """When what is measured is more than that: let what flows flow and refuse whoever comes, or end the
    youngest streams until it fits. Default refuse."""

    @property
    def any(self) -> bool:
        return bool(self.streams or self.commands or self.bits_per_second)


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the rule list. The first that matches decides; no match refuses."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    """Short name; stands in audit records, counters and refusals."""
    direction: Direction
    """`inward`: towards the public-security network; `outward`: towards the public network."""
    action: str
    """What is done: `catalog.rows`, `media.live`, `query.*`, `notice.presence`, or `*`."""
    verdict: Literal["allow", "deny"]
    """May what fits this rule pass?"""
    channels: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Names it is about: `*`, `id:` one name, `prefix:` digits, `class:` the three digits of an id that say
    what it is of (132 is a camera), `branch:` a name and all below it, `owner:` the whole text that its
    catalog has as Owner (GB/T 28181 annex A)."""
    peer: str = ANY
    """The peer that asks or reports, by its id; `*` is every peer."""
    reason: str = ""
    """Why the rule is there; shown to the administrator with each refusal."""
    when: When = When()
    """Outside these times the rule is as if it were not there. Default: always."""
    quota: Quota = Quota()
    """How much a rule that allows lets pass at once. Default: no limit."""

    @property
    def allow(self) -> bool:
        return self.verdict == "allow"

    def covers(self, direction: Direction, action: str, peer: str) -> bool:
        """Does it speak about this at all, whatever the channel?"""
        return self.direction == direction and self.peer in {ANY, peer} and matches(self.action, action)


def matches(pattern: str, action: str) -> bool:
    """`*` is every action, `query.*` every one that begins with `query.`, else the action itself."""
    if pattern.endswith(ANY):
        return action.startswith(pattern[:-1])
    return pattern == action


def class_of(name: str) -> str:
    """Digits 11 to 13 of an id (annex D), "" where `name` is no id of 20 digits."""
    return name[10:13] if len(name) == 20 and name.isascii() and name.isdigit() else ""
