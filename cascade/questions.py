"""A table of open questions: one answer each, or a time-out. Time is an argument."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Final, Generic, TypeVar

from cascade.limits import Bounds

TURN: Final = 64
"""Of those that nobody answers, how many are given up in one turn of the loop."""

K = TypeVar("K")
Q = TypeVar("Q")


@dataclass(frozen=True, slots=True)
class _Open(Generic[Q]):
    ticket: int
    due: float
    question: Q


class Questions(Generic[K, Q]):
    """Questions by what their answer is recognised by (`K`); `Q` is what the owner needs to go on."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._open: dict[K, _Open[Q]] = {}
        self._due: list[tuple[float, int, K]] = []
        self._tickets = count(1)
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, key: K, question: Q, *, due: float) -> bool:
        """Note a question; False when too many are open already."""
        if len(self._open) >= self._bounds.limits.questions:
            self._bounds.meet("questions")
            self.counts["too_many"] += 1
            return False
        ticket = next(self._tickets)
        self._open[key] = _Open(ticket, due, question)
        heappush(self._due, (due, ticket, key))
        return True

    def take(self, key: K) -> Q | None:
        """The question that this answers, once; None for a repeated, late or invented answer."""
        found = self._open.pop(key, None)
        if found is None:
            self.counts["answers_unknown"] += 1
            return None
        return found.question

    def find(self, key: K) -> Q | None:
        """The question, which stays open."""
        found = self._open.get(key)
        return None if found is None else found.question

    def __contains__(self, key: object) -> bool:
        return key in self._open

    def __iter__(self) -> Iterator[Q]:
        """Those that are open, oldest first."""
        return (each.question for each in self._open.values())

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        while self._due and not self._stands(*self._due[0]):
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def advance(self, now: float) -> list[Q]:
        """Questions that nobody answered in time, so many at a time; the rest is due still."""
        late: list[Q] = []
        while self._due and self._due[0][0] <= now and len(late) < TURN:
            due, ticket, key = heappop(self._due)
            if self._stands(due, ticket, key):
                late.append(self._open.pop(key).question)
        return late

    def _stands(self, _due: float, ticket: int, key: K) -> bool:
        found = self._open.get(key)
        return found is not None and found.ticket == ticket
