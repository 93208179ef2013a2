"""One line of each source and kind of what is wrong on the wire; all the rest is counted elsewhere.

Bounded in lines and in memory, however many sources somebody forges: what gets no line here stands in
the sums that `gateway.side.troubles` writes now and then.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

AGAIN_SECONDS: Final = 3600.0
"""Who is still at it after so long gets another line, with the number since the last."""

WINDOW_SECONDS: Final = 600.0
MAX_LINES: Final = 20
"""In each window, over all sources and kinds."""

MAX_REMEMBERED: Final = 256
"""Pairs of source and kind; the one heard of longest ago is forgotten first."""


@dataclass(slots=True)
class _Known:
    told_at: float
    since: int = 0


class Firsts:
    """Which of many errors are worth a line. `now` is in seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._window = float("-inf")
        self._lines = 0

    def __len__(self) -> int:
        return len(self._known)

    def told(self, source: str, kind: str, now: float) -> int | None:
        """How many of this there were since its last line, this one included; None: no line now."""
        known = self._known.get((source, kind))
        if known is not None:
            self._known.move_to_end((source, kind))
            known.since += 1
            if now - known.told_at < AGAIN_SECONDS:
                return None
        if not self._room(now):
            return None
        count = 1 if known is None else known.since
        self._known[source, kind] = _Known(now)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        self._lines += 1
        return count

    def _room(self, now: float) -> bool:
        if now - self._window >= WINDOW_SECONDS:
            self._window, self._lines = now, 0
        return self._lines < MAX_LINES
