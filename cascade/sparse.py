"""A log line now and then, however often somebody errs."""

from collections.abc import Callable
from typing import Final

LINE_SECONDS: Final = 10.0
"""At most one line in this time; what comes meanwhile is counted."""


class Sparse:
    """One line of a kind and peer now and then, however often it errs; counters have them all (Q109)."""

    def __init__(self, clock: Callable[[], float], seconds: float = LINE_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._next: dict[str, float] = {}

    def due(self, peer: str) -> bool:
        """May there be a line about `peer` now? `peer` is one that is configured: they are few."""
        now = self._clock()
        if now < self._next.get(peer, 0.0):
            return False
        self._next[peer] = now + self._seconds
        return True
