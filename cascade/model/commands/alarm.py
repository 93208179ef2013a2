"""Something has happened below: an alarm, and that it was taken (GB/T 28181-2016 9.4, annex A.2.5).

An alarm is told once and must not be lost, so it crosses as a question whose one answer says that the
other side has it on its disk; until then it stays on ours (`cascade.outbox`).
"""

from datetime import datetime
from typing import ClassVar, Final, Literal, Self

from cascade.model.commands import Command
from cascade.model.ids import ChannelId

ALARM: Final = "notice.alarm"
"""Its name in rules: one rule covers the alarm and the answer."""

MAX_DESCRIPTION: Final = 512
"""Characters. What a device writes beyond is cut off where it is read."""
MAX_KIND: Final = 65_535

Priority = Literal[1, 2, 3, 4]
"""1 is the highest."""

Method = Literal[1, 2, 3, 4, 5, 6, 7]
"""What raised it: telephone, device, SMS, GPS, video, a fault of the device, something else."""

Crossed = Literal[1, 2]
"""Of an intrusion: somebody enters, or leaves."""


class Moment(str):
    """When it happened, by the clock of whoever saw it: Beijing time, such as 2026-03-01T08:12:30."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").isoformat() != text:
            raise ValueError(f"not a moment: {text[:32]!r}")
        return super().__new__(cls, text)


class Alarm(Command, frozen=True):
    """What happened at `source`, and when.

    `letter` was chosen by chance for this one alarm where it was taken from below: by it the other side
    knows one that comes a second time. `after` is that of the one which is under way before it, 0 for the
    first: it is taken only in that turn. `kind` is the AlarmType, whose meaning depends on `method`.
    """

    action: ClassVar[str] = ALARM

    letter: int
    source: ChannelId
    priority: Priority
    method: Method
    time: Moment
    description: str = ""
    longitude: float | None = None
    latitude: float | None = None
    kind: int | None = None
    event: Crossed | None = None
    after: int = 0

    def __post_init__(self) -> None:
        longitude, latitude, kind = self.longitude, self.latitude, self.kind
        if not (
            0 < self.letter < 1 << 63
            and 0 <= self.after < 1 << 63
            and len(self.description) <= MAX_DESCRIPTION
            and self.description.isprintable()
            and (longitude is None or -180 <= longitude <= 180)
            and (latitude is None or -90 <= latitude <= 90)
            and (kind is None or 0 < kind <= MAX_KIND)
        ):
            raise ValueError("an alarm out of its bounds")


class AlarmTaken(Command, frozen=True):
    """The alarm of this `letter` is kept for those beyond; it need not be sent again."""

    action: ClassVar[str] = ALARM

    letter: int
    source: ChannelId
