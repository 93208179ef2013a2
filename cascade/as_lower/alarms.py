"""Alarms from the other side: kept on our disk for each upper that is shown their source, then confirmed.

The confirmation is what makes the other side forget an alarm, so it leaves only once the alarm would survive
our machine. An alarm that comes again, since its confirmation was lost, is confirmed again and kept once:
the other side sends one at a time, so the number of the last one is all that has to be remembered.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from cascade.as_lower.uppers import Upper, Uppers
from cascade.crossing import Answer, Crossing, Failure, NoAnswer
from cascade.model.commands.alarm import ALARM, Alarm, AlarmTaken
from cascade.outbox import Letter
from cascade.ports import Gate, Store

log = logging.getLogger(__name__)

MAX_WAITING: Final = 64
"""The other side sends one and waits, so there are never so many."""


class Alarms:
    """Those of one face. `overflowing` hears of each upper that lost some; `counts` is the face's."""

    def __init__(
        self,
        *,
        uppers: Uppers,
        gate: Gate,
        store: Store,
        wall: Callable[[], float],
        counts: Counter[str],
        overflowing: Callable[[Upper], None],
    ) -> None:
        self._uppers = uppers
        self._gate = gate
        self._store = store
        self._wall = wall
        self._counts = counts
        self._overflowing = overflowing
        self._taken = 0
        self._come: deque[tuple[int, Alarm]] = deque()
        self._came = asyncio.Event()

    async def restore(self) -> None:
        """Take up what is kept; forget what is for nobody any more."""
        self._taken = await self._store.taken()
        letters = await self._store.letters()
        for upper in self._uppers:
            upper.reporting.outbox.add(letter for letter in letters if letter.to == upper.peer.id)

    def take(self, number: int, alarm: Alarm) -> None:
        """What the gate let through, under its question's number; the answer follows once it is kept."""
        if len(self._come) >= MAX_WAITING:
            self._counts["alarms_dropped"] += 1
            return
        self._come.append((number, alarm))
        self._came.set()

    async def run(self) -> None:
        """Keep and confirm until cancelled."""
        while True:
            await self._came.wait()
            if not self._come:
                self._came.clear()
                continue
            number, alarm = self._come.popleft()
            try:
                failure: Failure | None = None if await self._keep(alarm) else "unavailable"
            except Exception:  # a bug costs this alarm, not the next ones
                log.exception("alarms.keep_failed", extra={"count": 1})
                failure = "failed"
            self._answer(number, alarm, failure)

    async def _keep(self, alarm: Alarm) -> bool:
        if alarm.letter == self._taken:
            self._counts["alarms_repeated"] += 1
            return True
        letters: list[tuple[Upper, Letter]] = []
        gone: list[tuple[Upper, list[Letter]]] = []
        for upper in self._uppers:
            if upper.peer.alarms == "off" or upper.share.tells(alarm.source)[0] is None:
                continue
            letter = Letter(to=upper.peer.id, kept_at=self._wall(), alarm=alarm)
            letters.append((upper, letter))
            gone.append((upper, upper.reporting.outbox.over([letter])))
        going = [letter for _, lost in gone for letter in lost]
        if not await self._store.keep([letter for _, letter in letters], going, taken=alarm.letter):
            self._counts["alarms_not_kept"] += 1
            return False
        self._taken = alarm.letter
        self._counts["alarms_taken" if letters else "alarms_for_nobody"] += 1
        for upper, letter in letters:
            upper.reporting.outbox.add([letter])
            upper.reporting.wake()
        for upper, lost in gone:
            if upper.reporting.outbox.lose(lost):
                self._overflowing(upper)
        return True

    def _answer(self, number: int, alarm: Alarm, failure: Failure | None) -> None:
        origin = alarm.source.peer  # not we: the other side knows its own peers, and need not know us
        answer: Crossing
        if failure is None:
            taken = AlarmTaken(letter=alarm.letter, source=alarm.source)
            answer = Answer(correlation=number, origin=origin, payload=taken)
        else:
            answer = NoAnswer(correlation=number, origin=origin, action=ALARM, failure=failure)
        self._gate.send(answer)
