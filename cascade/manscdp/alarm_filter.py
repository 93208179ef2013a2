"""Which alarms a subscriber wants: the body of a subscription (GB/T 28181-2016 annex A.2.4.7)."""

from dataclasses import dataclass
from typing import Final

from cascade.errors import BadCommand
from cascade.manscdp import xml
from cascade.model.commands.alarm import Alarm

LEVELS: Final = {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4}
METHODS: Final = frozenset("1234567")


@dataclass(frozen=True, slots=True)
class Filter:
    """Priorities from `first` to `last`, 0 for no bound; `methods` are empty where all are wanted."""

    first: int = 0
    last: int = 0
    methods: frozenset[int] = frozenset()

    def admits(self, alarm: Alarm) -> bool:
        high_enough = alarm.priority >= self.first and (not self.last or alarm.priority <= self.last)
        return high_enough and (not self.methods or alarm.method in self.methods)


EVERYTHING: Final = Filter()


def read(body: bytes) -> Filter:
    """What can't be read bounds nothing: an alarm too many does less harm than one too few.

    Methods are joined by "/" in 2022 and not at all before; a 0 among them means all.
    """
    try:
        root = xml.read_root(body)
    except BadCommand:
        return EVERYTHING
    first, last = (LEVELS.get(xml.text_of(root, f"{end}AlarmPriority"), 0) for end in ("Start", "End"))
    methods = xml.text_of(root, "AlarmMethod").replace("/", "")
    known = bool(methods) and METHODS.issuperset(methods)
    return Filter(first, last, frozenset(map(int, methods)) if known else frozenset())
