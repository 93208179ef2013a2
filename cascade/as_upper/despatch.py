"""Alarms on their way to the other side: a window of letters under way, in their order, until it has them.

Each letter names the one that is under way before it, and the other side takes none out of its turn. So
whatever befalls one, those behind it are sent again after it: order needs no more than that, and by the
numbers it took last the other side knows those that come twice. What rules refuse is refused for good.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from msgspec.structs import replace

from cascade.crossing import Answer, Ask, NoAnswer
from cascade.model.commands import Command
from cascade.model.commands.alarm import AlarmTaken
from cascade.model.ids import PlatformId
from cascade.outbox import WINDOW, Letter, Outbox
from cascade.ports import Gate, Store

TAKEN_SECONDS: Final = 30.0
"""How long the other side may take; then the letter is sent once more."""
RETRY_SECONDS: Final = 1.0
MAX_FAILURES: Final = 5
"""A letter over which the other side stumbles (a bug there) so often is given up."""

Outcome = Literal["taken", "refused", "failed", "later"]
AGAIN: Final = frozenset({"failed", "later"})
"""It has to be sent again, and those behind it."""


@dataclass(slots=True)
class _Sent:
    """A letter under way, or one whose end the disk does not know yet."""

    letter: Letter
    correlation: int
    due: float
    crossed: bool = True  # our own door let it through
    outcome: Outcome | None = None


class Despatch:
    """Of one outbox. `telling`: are rows of that peer on their way to the other side? They go first."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        gate: Gate,
        store: Store,
        time: Callable[[], float],
        correlation: Callable[[], int],
        telling: Callable[[PlatformId], bool],
        counts: Counter[str],
    ) -> None:
        self._outbox = outbox
        self._gate = gate
        self._store = store
        self._time = time
        self._correlation = correlation
        self._telling = telling
        self._counts = counts
        self._sent: deque[_Sent] = deque()  # the first ones of the outbox
        self._news = asyncio.Event()
        self._failures = 0  # of the first one

    def wake(self) -> None:
        """Letters have come."""
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled; what is kept stays on the disk."""
        while True:
            self._news.clear()
            if not await self._forget():
                await asyncio.sleep(RETRY_SECONDS)
            elif self._sent and self._sent[0].outcome in AGAIN:
                self._go_back()
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await self._wait(self._fill())

    async def _wait(self, held_back: bool) -> None:
        """Until there is news. `held_back`: more could leave, and may not yet."""
        seconds = None if not self._sent else max(0.0, self._sent[0].due - self._time())
        if held_back:
            seconds = RETRY_SECONDS if seconds is None else min(seconds, RETRY_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        if self._sent and self._sent[0].outcome is None and self._sent[0].due <= self._time():
            self._sent[0].outcome = "later"

    async def _forget(self) -> bool:
        """Of the first ones those that are over; False where the disk does not take that."""
        done: list[_Sent] = []
        for sent in self._sent:
            if sent.outcome == "failed" and not done:
                self._failures += 1
                if self._failures < MAX_FAILURES:
                    break
            elif sent.outcome not in {"taken", "refused"}:
                break
            self._failures = 0
            done.append(sent)
        if not done:
            return True
        if not await self._store.keep((), [sent.letter for sent in done]):
            return False  # it would be sent again after our death
        for sent in done:
            self._sent.popleft()
            self._outbox.remove(sent.letter)
            self._counts[f"alarms_{sent.outcome}"] += 1
        self._outbox.under_way = len(self._sent)
        if any(sent.crossed and sent.outcome != "taken" for sent in done):  # those behind were out of turn
            self._go_back()
        return True

    def _go_back(self) -> None:
        """Send all of the window again, the oldest first."""
        self._sent.clear()
        self._outbox.under_way = 0

    def _fill(self) -> bool:
        """Let as many leave as may be under way; True where something keeps the next one back."""
        while len(self._sent) < WINDOW and not any(sent.outcome in AGAIN for sent in self._sent):
            letter = self._outbox.at(len(self._sent))
            if letter is None:
                return False
            if self._gate.shut or self._telling(letter.alarm.source.peer):
                return True
            self._send(letter)
        return False

    def _send(self, letter: Letter) -> None:
        before = [sent.letter.number for sent in self._sent if sent.crossed]
        sent = _Sent(letter, self._correlation(), self._time() + TAKEN_SECONDS)
        self._sent.append(sent)
        self._outbox.under_way = len(self._sent)
        verdict = self._gate.send(
            Ask(
                correlation=sent.correlation,
                origin=letter.alarm.source.peer,
                seconds_left=TAKEN_SECONDS,
                payload=replace(letter.alarm, after=before[-1] if before else 0),
            )
        )
        if verdict.passes is None:
            sent.crossed = False
            sent.outcome = "later" if verdict.later or verdict.failure == "unavailable" else "refused"
            self._news.set()

    def answered(self, crossing: Answer[Command] | NoAnswer) -> None:
        """The other side has it, or says why not."""
        sent = next((sent for sent in self._sent if sent.correlation == crossing.correlation), None)
        if sent is None or sent.outcome is not None:
            self._counts["alarms_answers_unknown"] += 1
            return
        if isinstance(crossing, Answer):
            sent.outcome = "taken" if isinstance(crossing.payload, AlarmTaken) else "failed"
        elif crossing.failure == "refused":
            sent.outcome = "refused"
        else:
            sent.outcome = "failed" if crossing.failure == "failed" else "later"
        self._news.set()
