"""What is kept for somebody who may not be there: letters in their order, within a quota. Pure.

One outbox has one addressee: the other side of the lock, or one upper. Letters leave the oldest first, and
are forgotten in that order, once they are known to have arrived. To an upper one is under way at a time;
across the lock a few are, each naming the one before it (`cascade.as_upper.despatch`). So an addressee needs
to remember no more than the last few to know a letter that comes twice, and order is kept by itself.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from msgspec import Struct

from cascade.model.commands.alarm import Alarm

BEYOND: Final = ""
"""The addressee that is the other side of the lock; any other one is the id of an upper."""

WINDOW: Final = 32
"""Letters under way across the lock at once."""

OVERHEAD_BYTES: Final = 256
"""What a letter takes without its texts, in memory or on disk."""


class Letter(Struct, frozen=True):
    """An alarm for somebody, since `kept_at` (seconds since 1970)."""

    to: str
    kept_at: float
    alarm: Alarm

    @property
    def number(self) -> int:
        return self.alarm.letter

    @property
    def bytes(self) -> int:
        """About what it takes: its quota is counted in these."""
        texts = (self.alarm.description, self.alarm.source.name, self.alarm.source.peer)
        return OVERHEAD_BYTES + sum(len(text.encode()) for text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one addressee's letters may take; the oldest goes first."""

    count: int = 10_000
    bytes: int = 16 * 1024 * 1024


USUAL_QUOTA: Final = Quota()


class Outbox:
    """The letters to one addressee, as they are on disk. So many of the first ones are `under_way`.

    `quota` may become another: it counts from the next letter on.
    """

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self._letters: OrderedDict[int, Letter] = OrderedDict()
        self.bytes = 0
        self.under_way = 0
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._letters)

    def __iter__(self) -> Iterator[Letter]:
        return iter([*self._letters.values()])

    @property
    def first(self) -> Letter | None:
        """The next to leave: the oldest."""
        return self.at(0)

    def at(self, place: int) -> Letter | None:
        """That many behind the first."""
        return next(islice(self._letters.values(), place, None), None)

    def over(self, coming: Sequence[Letter]) -> list[Letter]:
        """Those that have to go so that `coming` fit: of what is here the oldest, then of these.

        Those that are under way stay: they may have arrived.
        """
        count = len(self) + len(coming) - self.quota.count
        size = self.bytes + sum(letter.bytes for letter in coming) - self.quota.bytes
        going: list[Letter] = []
        for letter in [*self._letters.values(), *coming][self.under_way :]:
            if count <= 0 and size <= 0:
                break
            going.append(letter)
            count -= 1
            size -= letter.bytes
        return going

    def add(self, letters: Iterable[Letter]) -> None:
        """These are on disk now."""
        for letter in letters:
            if letter.number not in self._letters:
                self._letters[letter.number] = letter
                self.bytes += letter.bytes

    def lose(self, letters: Iterable[Letter]) -> int:
        """These are not on disk any more, since there was no room; how many of them were still here."""
        lost = sum(self.remove(letter) for letter in letters)
        self.counts["lost"] += lost
        return lost

    def remove(self, letter: Letter) -> bool:
        """It has arrived, or nobody wants it. False where it was gone already."""
        found = self._letters.pop(letter.number, None)
        if found is None:
            return False
        self.bytes -= found.bytes
        return True
