"""When to look for datagrams only every two milliseconds, so that one turn of the loop takes several.

A message that comes alone costs a whole turn: waking up, asking the kernel, handing over. Network cards
meet the same with interrupt moderation. Pure; decision 030.
"""

from typing import Final

PULSE_SECONDS: Final = 0.002
"""How often sockets are looked at while messages are gathered: the longest that one waits for it."""

WINDOW_SECONDS: Final = 0.05
"""How long is looked back at before anything is judged."""

BEGIN: Final = 1.5
"""Gathering begins where at least so many turns fell into the time of one pulse."""

ENOUGH: Final = 8
"""Events a turn with which a turn is cheap enough as it is."""

WORTH: Final = 1.2
"""Events a pulse with which gathering goes on."""

KEPT: Final = 0.6
"""Part of the earlier rate that has to remain. Where less does, the senders wait for our answers."""

PATIENCE_SECONDS: Final = 1.0
"""Pause after gathering that only made senders wait; doubled each time in a row, up to the longest."""

LONGEST_PATIENCE_SECONDS: Final = 64.0


class Gathering:
    """Told of each turn; `every` is what the engine is to do now, 0 for looking at once."""

    def __init__(self, now: float) -> None:
        self.every = 0.0
        self._since = now
        self._turns = 0
        self._events = 0
        self._rate = 0.0  # events a second before it began
        self._proven = False  # it lasted for a whole window
        self._patience = PATIENCE_SECONDS
        self._not_before = now

    def turned(self, events: int, now: float) -> bool:
        """A turn took so many events; whether `every` is another one now."""
        self._turns += 1
        self._events += events
        seconds = now - self._since
        if seconds < WINDOW_SECONDS:
            return False
        before = self.every
        if before:
            self._go_on(seconds, now)
        elif now >= self._not_before:
            self._begin(seconds)
        self._since, self._turns, self._events = now, 0, 0
        return self.every != before

    def _begin(self, seconds: float) -> None:
        often = self._turns * PULSE_SECONDS >= BEGIN * seconds
        if often and self._events <= ENOUGH * self._turns:
            self.every, self._rate, self._proven = PULSE_SECONDS, self._events / seconds, False

    def _go_on(self, seconds: float, now: float) -> None:
        if self._events >= WORTH * self._turns and self._events >= KEPT * self._rate * seconds:
            self._proven, self._patience = True, PATIENCE_SECONDS
            self._rate = self._events / seconds
            return
        self.every = 0.0
        if not self._proven:
            self._not_before = now + self._patience
            self._patience = min(2 * self._patience, LONGEST_PATIENCE_SECONDS)
