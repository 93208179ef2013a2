"""Long answers on their way into the index: one after the other, a step a turn of the loop.

Whoever reads the index has the old rows until the last step. No half of an answer is told of, and none is
judged by: in which branch a row stands is known once all rows around it are there.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cascade.model.ids import PlatformId
from cascade.model.index import Delta, Index, Renewal, Rows

AT_ONCE: Final = 2000
"""Rows that are taken, or taken away, in one turn of the loop."""

Changed = Callable[[Delta], None]
Done = Callable[[int, list[Delta]], None]


@dataclass(slots=True)
class _Answer:
    peer: PlatformId
    length: int
    read: Callable[[], Rows]
    complete: bool
    changed: Changed
    done: Done
    renewal: Renewal | None = None
    deltas: list[Delta] | None = None
    told: int = 0  # of the deltas


class Renewals:
    """Of one face. `soon` calls back in the next turn of the loop."""

    def __init__(self, index: Index, soon: Callable[[Callable[[], None]], object]) -> None:
        self._index = index
        self._soon = soon
        self._answers: deque[_Answer] = deque()
        self._planned = False

    def under_way(self, peer: PlatformId) -> bool:
        """Does an answer of that peer wait for its end?"""
        return any(answer.peer == peer for answer in self._answers)

    def take(
        self,
        peer: PlatformId,
        length: int,
        read: Callable[[], Rows],
        *,
        complete: bool,
        changed: Changed,
        done: Done,
    ) -> None:
        """Apply what a peer has answered, at once where it is short. `read` gives what counts of its `length`
        rows. Once they are there `changed` hears what that changed, in parts, and then `done` how many
        they were, and of all that changed."""
        gone = self._index.count(peer) if complete else 0
        if max(length, gone) <= AT_ONCE and not self.under_way(peer):
            rows = read()
            delta = self._index.apply(peer, rows, complete=complete)
            changed(delta)
            done(len(rows), [delta])
            return
        self._answers.append(_Answer(peer, length, read, complete, changed, done))
        self._plan()

    def forget(self, peer: PlatformId) -> None:
        """It is no peer any more: nothing of it is applied."""
        self._answers = deque(answer for answer in self._answers if answer.peer != peer)

    def _plan(self) -> None:
        if not self._planned and self._answers:
            self._planned = True
            self._soon(self._next)

    def _next(self) -> None:
        self._planned = False
        if self._answers and self._step(self._answers[0]):
            answer = self._answers.popleft()
            answer.done(answer.length, answer.deltas or [])
        self._plan()

    def _step(self, answer: _Answer) -> bool:
        """Was that the last one?"""
        if answer.renewal is None:
            rows = answer.read()
            answer.length = len(rows)
            answer.renewal = self._index.renew(answer.peer, rows, answer.complete)
        elif answer.deltas is None:
            if not self._index.step(answer.renewal, AT_ONCE):
                answer.deltas = self._index.renewed(answer.renewal)
        elif answer.told < len(answer.deltas):
            answer.changed(answer.deltas[answer.told])
            answer.told += 1
        return answer.deltas is not None and answer.told == len(answer.deltas)
