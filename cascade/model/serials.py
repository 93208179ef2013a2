"""Serial numbers of our own questions (SN): they start at random and are never another side's."""

from itertools import count

LARGEST = 0x7FFF_FFFF


class Serials:
    """1 and up; `start` is random, so that a late answer to a question before our restart fits none."""

    def __init__(self, start: int) -> None:
        self._numbers = count(start % LARGEST)

    def next(self) -> int:
        return next(self._numbers) % LARGEST + 1
