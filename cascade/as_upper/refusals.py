"""Why somebody does not get registered: one line for an operator, however many try."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from sip.events import Auth, Event

log = logging.getLogger(__name__)

LINE_SECONDS: Final = 10.0
"""At most one line in this time; what comes meanwhile is counted in the next."""

SHOWN: Final = 5


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


class Refusals:
    """REGISTERs whose digest was wrong. An unknown id looks like a wrong password, here as on the wire."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._count = 0
        self._first: list[str] = []
        self._next_line = 0.0

    def note(self, events: Sequence[Event]) -> None:
        """Look at a run. Costs one pass without any work per message as long as all are right."""
        wrong = [event for event in events if event.auth == Auth.WRONG]
        if not wrong:
            return
        self._count += len(wrong)
        room = SHOWN - len(self._first)
        self._first += [f"{event.from_user} @ {event.source[0]}" for event in wrong[:room]]
        if self._clock() < self._next_line:
            return
        log.warning(
            "registrations.refused",
            extra={"count": self._count, "first": self._first},  # the gateway adds why, and what to do
        )
        self._count, self._first = 0, []
        self._next_line = self._clock() + LINE_SECONDS
