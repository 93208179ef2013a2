"""Alarms from the other side: kept on our disk for each upper that is shown their source, then confirmed.

The confirmation is what makes the other side forget an alarm, so it leaves only once the alarm would survive
our machine; those that came together share one write. An alarm that comes again, since its confirmation was
lost, is confirmed again and kept once: as many of the last numbers are remembered as may be under way. One
that comes before its turn, since the one before it was not taken, is sent back.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from cascade.as_lower.uppers import Upper, Uppers
from cascade.crossing import Answer, Crossing, Failure, NoAnswer
from cascade.model.commands.alarm import ALARM, Alarm, AlarmTaken
from cascade.outbox import WINDOW, Letter
from cascade.ports import Gate, Store

log = logging.getLogger(__name__)

MAX_WAITING: Final = 4 * WINDOW
"""No more than a window is under way, but it may be sent again before it was looked at."""

Come = tuple[int, Alarm]
"""An alarm under the number of its question."""


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
        self._taken: deque[int] = deque(maxlen=WINDOW)
        self._come: deque[Come] = deque()
        self._came = asyncio.Event()

    async def restore(self) -> None:
        """Take up what is kept; forget what is for nobody any more."""
        self._taken.extend(await self._store.taken())
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
            batch = [self._come.popleft() for _ in range(min(WINDOW, len(self._come)))]
            try:
                await self._take(batch)
            except Exception:  # a bug costs the alarm that it is about, not those beside it
                for one in batch:
                    await self._take_alone(one)

    async def _take_alone(self, one: Come) -> None:
        try:
            await self._take([one])
        except Exception:
            log.exception("alarms.keep_failed", extra={"count": 1})
            self._answer(*one, "failed")

    async def _take(self, batch: list[Come]) -> None:
        """Keep those whose turn it is, and answer all."""
        last = self._taken[-1] if self._taken else 0
        fresh: dict[int, Alarm] = {}
        early: set[int] = set()
        for number, alarm in batch:
            if alarm.letter in self._taken or alarm.letter in fresh:
                self._counts["alarms_repeated"] += 1
            elif alarm.after in {0, last}:
                fresh[alarm.letter] = alarm
                last = alarm.letter
            else:
                self._counts["alarms_out_of_turn"] += 1
                early.add(number)
        kept = not fresh or await self._keep([*fresh.values()])
        if kept:
            self._taken.extend(fresh)
        for number, alarm in batch:
            well = number not in early and (kept or alarm.letter not in fresh)
            self._answer(number, alarm, None if well else "unavailable")

    async def _keep(self, alarms: list[Alarm]) -> bool:
        """On the disk, for each upper that is shown their source; False where it does not take them."""
        coming: list[tuple[Upper, list[Letter]]] = []
        for upper in self._uppers:
            letters = [
                Letter(to=upper.peer.id, kept_at=self._wall(), alarm=alarm)
                for alarm in alarms
                if upper.peer.alarms != "off" and upper.share.tells(alarm.source)[0] is not None
            ]
            if letters:
                coming.append((upper, letters))
        gone = [upper.reporting.outbox.over(letters) for upper, letters in coming]
        going = [letter for lost in gone for letter in lost]
        kept = [letter for _, letters in coming for letter in letters]
        if not await self._store.keep(kept, going, taken=[alarm.letter for alarm in alarms]):
            self._counts["alarms_not_kept"] += len(alarms)
            return False
        told = {letter.number for letter in kept}
        for alarm in alarms:
            self._counts["alarms_taken" if alarm.letter in told else "alarms_for_nobody"] += 1
        for (upper, letters), lost in zip(coming, gone, strict=True):
            upper.reporting.outbox.add(letters)
            upper.reporting.wake()
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
