"""What the relay measures of each stream, as bits a second between two looks."""

from collections.abc import Callable
from typing import Final

from media import stats

LEAST_SECONDS: Final = 1.0
"""Looks that follow each other closer would measure bursts."""


class Meter:
    """`counters` is the relay's, `clock` gives seconds of any monotonic clock.

    Counted are the datagrams that were admitted, RTP headers included, UDP and IP headers not.
    """

    def __init__(self, counters: Callable[[], stats.Counters], clock: Callable[[], float]) -> None:
        self._counters = counters
        self._clock = clock
        self._looked_at = float("-inf")
        self._bytes: dict[str, int] = {}
        self._rates: dict[str, int] = {}

    def rates(self) -> dict[str, int]:
        """By the relay's name of a stream; not of one that was not there when it was last looked."""
        now = self._clock()
        seconds = now - self._looked_at
        if seconds >= LEAST_SECONDS:
            found = {name: stream.bytes for name, stream in self._counters().streams.items()}
            self._rates = {
                name: round(8 * (count - self._bytes[name]) / seconds)
                for name, count in found.items()
                if name in self._bytes
            }
            self._looked_at, self._bytes = now, found
        return self._rates
