"""SSRCs of one domain, as y= writes them (GB/T 28181-2016 annex F): ten digits, 0 live or 1 history,
five digits of the domain's id, four that are free.
"""

from array import array
from collections import deque
from random import Random
from typing import Final, Literal

from cascade.model.ids import GbId

PER_KIND: Final = 10_000
QUARANTINE_SECONDS: Final = 30.0
"""Late packets of an ended stream must not meet a new one under the same number."""


class SsrcPool:
    """Hands out SSRCs of one kind, each to one stream at a time.

    Args:
        domain: our own id; its digits 4 to 8 stand in every number.
        random: which of the 10,000 comes next. Who is invited must not know the number of the stream that
            a neighbour will be asked for, or it could send in its place.
    """

    def __init__(self, domain: GbId, *, random: Random, history: bool = False) -> None:
        kind: Literal["0", "1"] = "1" if history else "0"
        self._base = int(f"{kind}{domain.digits[3:8]:0<5}0000")
        self._random = random
        self._free = array("H", range(PER_KIND))
        self._resting: deque[tuple[float, int]] = deque()  # (until, number)

    def take(self, now: float) -> int | None:
        """A number nobody uses, or None when all 10,000 are taken or resting."""
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
        free = self._free
        if not free:
            return None
        chosen = self._random.randrange(len(free))
        free[chosen], free[-1] = free[-1], free[chosen]
        return self._base + free.pop()

    def give_back(self, ssrc: int, now: float) -> None:
        self._resting.append((now + QUARANTINE_SECONDS, ssrc - self._base))


def ten_digits(ssrc: int) -> str:
    """As y= and Subject write it."""
    return f"{ssrc:010d}"
