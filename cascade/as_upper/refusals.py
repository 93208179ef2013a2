"""Why somebody does not get registered: one line for an operator, however many try."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from cascade.sparse import LINE_SECONDS
from sip.events import Event

log = logging.getLogger(__name__)

SHOWN: Final = 5


class Refusals:
    """REGISTERs whose digest was wrong. An unknown id looks like a wrong password, here as on the wire."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._count = 0
        self._first: list[str] = []
        self._next_line = 0.0

    def note(self, wrong: Sequence[Event]) -> None:
        """Those of a run whose digest was wrong."""
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
