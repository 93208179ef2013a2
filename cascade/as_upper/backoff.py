"""Who guesses passwords is put off, for longer each time; never the peer whose id it guesses at. Pure.

Wrong digests count for the pair of source and id, whether anybody has that id or not. A pair in its pause is
answered 403 without a new challenge. A right digest is never asked about here: it passes, from wherever and
whatever was sent before it, so that nobody locks a peer out by erring in its name (decision 029).
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final

from cascade.limits import Bounds

FREE: Final = 5
"""Failures in a row that cost nothing: a person at a keyboard."""

LONGEST: Final = 64.0
"""Seconds of the longest pause; the first is one second, each further one twice as long."""

WINDOW: Final = 600.0
"""Seconds after its last failure in which a pair is remembered."""

TOLD_AT: Final = frozenset({10, 100, 1000, 10_000, 100_000})
"""Wrong digests of one pair at which an auditor is told."""


@dataclass(slots=True)
class _Pair:
    failures: int = 0  # that were answered
    tried: int = 0  # those within pauses too
    until: float = 0.0
    last: float = 0.0


class Backoff:
    """Pairs of one side. `now` is in seconds of any monotonic clock."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._pairs: OrderedDict[tuple[str, str], _Pair] = OrderedDict()
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._pairs)

    def wrong(self, source: str, user: str, now: float) -> tuple[bool, int]:
        """A wrong digest: is it put off, and how many that makes where an auditor is to be told, else 0."""
        pair = self._pair((source, user), now)
        pair.tried += 1
        told = pair.tried if pair.tried in TOLD_AT else 0
        if now < pair.until:
            self.counts["put_off"] += 1
            return True, told
        pair.last = now
        pair.failures += 1
        if pair.failures >= FREE:
            pair.until = now + min(LONGEST, 2.0 ** min(pair.failures - FREE, 16))
            self.counts["pauses"] += 1
        return False, told

    def right(self, source: str, user: str) -> None:
        """It has shown that it knows: what it did before is forgotten."""
        self._pairs.pop((source, user), None)

    def pause(self, source: str, user: str, now: float) -> float:
        """Seconds that are left of its pause, 0 where there is none."""
        pair = self._pairs.get((source, user))
        return 0.0 if pair is None else max(0.0, pair.until - now)

    def _pair(self, key: tuple[str, str], now: float) -> _Pair:
        pair = self._pairs.get(key)
        if pair is None or now - pair.last > WINDOW:
            pair = self._pairs[key] = _Pair(last=now)
            if len(self._pairs) > self._bounds.limits.guessers:
                self._pairs.popitem(last=False)
                self._bounds.meet("guessers")
                self.counts["pairs_forgotten"] += 1
        self._pairs.move_to_end(key)
        return pair
