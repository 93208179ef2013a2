"""Why somebody does not get registered: one line for an operator, however many try."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from cascade.sparse import LINE_SECONDS
from sip.events import Auth, Event

log = logging.getLogger(__name__)

SHOWN: Final = 5
WRONG: Final = int(Auth.WRONG)


class Refusals:
    """REGISTERs whose digest was wrong. An unknown id looks like a wrong password, here as on the wire."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._count = 0
        self._first: list[str] = []
        self._next_line = 0.0

    def note(self, events: Sequence[Event]) -> None:
        """Look at a run. Costs one pass without any work per message as long as all are right."""
        wrong = [event for event in events if event.auth == WRONG]
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
