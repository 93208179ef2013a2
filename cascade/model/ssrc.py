"""SSRCs of one domain, as y= writes them (GB/T 28181-2016 annex F): ten digits, 0 live or 1 history,
five digits of the domain's id, four that are free.
"""

from collections import deque
from typing import Final, Literal

from cascade.model.ids import GbId

PER_KIND: Final = 10_000
QUARANTINE_SECONDS: Final = 30.0
"""Late packets of an ended stream must not meet a new one under the same number."""


class SsrcPool:
    """Hands out SSRCs of one kind, each to one stream at a time.

    Args:
        domain: our own id; its digits 4 to 8 stand in every number.
        start: which of the 10,000 comes first; random, so that a restart does not repeat numbers.
    """

    def __init__(self, domain: GbId, *, start: int, history: bool = False) -> None:
        kind: Literal["0", "1"] = "1" if history else "0"
        self._base = int(f"{kind}{domain.digits[3:8]:0<5}0000")
        self._free = deque((start + step) % PER_KIND for step in range(PER_KIND))
        self._resting: deque[tuple[float, int]] = deque()  # (until, number)

    def take(self, now: float) -> int | None:
        """A number nobody uses, or None when all 10,000 are taken or resting."""
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
        return self._base + self._free.popleft() if self._free else None

    def give_back(self, ssrc: int, now: float) -> None:
        self._resting.append((now + QUARANTINE_SECONDS, ssrc - self._base))


def ten_digits(ssrc: int) -> str:
    """As y= and Subject write it."""
    return f"{ssrc:010d}"
