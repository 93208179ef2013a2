"""What is kept for somebody who may not be there: letters in their order, within a quota. Pure.

One outbox has one addressee: the other side of the lock, or one upper. Letters leave one at a time, the
oldest first, and the next one only once this one is known to have arrived. So its addressee needs to
remember no more than the last one to know a letter that comes twice, and order is kept by itself.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from cascade.model.commands.alarm import Alarm

BEYOND: Final = ""
"""The addressee that is the other side of the lock; any other one is the id of an upper."""

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
    """The letters to one addressee, as they are on disk. The first one may be `under_way`.

    `quota` may become another: it counts from the next letter on.
    """

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self._letters: OrderedDict[int, Letter] = OrderedDict()
        self.bytes = 0
        self.under_way = False
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._letters)

    def __iter__(self) -> Iterator[Letter]:
        return iter([*self._letters.values()])

    @property
    def first(self) -> Letter | None:
        """The next to leave: the oldest."""
        return next(iter(self._letters.values()), None)

    def over(self, coming: Sequence[Letter]) -> list[Letter]:
        """Those that have to go so that `coming` fit: of what is here the oldest, then of these.

        The one that is under way stays: it may have arrived.
        """
        count = len(self) + len(coming) - self.quota.count
        size = self.bytes + sum(letter.bytes for letter in coming) - self.quota.bytes
        going: list[Letter] = []
        staying = 1 if self.under_way else 0
        for letter in [*self._letters.values(), *coming][staying:]:
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
