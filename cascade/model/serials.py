"""Serial numbers of our own questions (SN): they say which answer belongs to which, and are no secret."""

from collections.abc import Callable
from typing import Final

LARGEST: Final = 0x7FFF_FFFF


class Serials:
    """1 and up, each from `draw` (31 random bits).

    Not counted on: whoever is asked would know the number of our next question to somebody else, and a
    datagram with a forged source could answer in its place. Nor does a late answer to a question before
    our restart fit one of today's.
    """

    def __init__(self, draw: Callable[[], int]) -> None:
        self._draw = draw

    def next(self) -> int:
        return self._draw() % LARGEST + 1
