"""One coroutine that sleeps until the next deadline of whatever it serves."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

log = logging.getLogger(__name__)

LATE_SECONDS: Final = 0.5
"""Woken later than this we were held up: what peers sent meanwhile is read before anybody is judged."""

BREATH_SECONDS: Final = 0.05

BREATHLESS_SECONDS: Final = 30.0
"""A loop that stays behind for so long judges all the same, or nothing would ever end."""

PULSE_SECONDS: Final = 1.0
"""How often the clock is looked at, where somebody wants to hear of hold-ups: one between two deadlines
is over when the next one comes, and would be seen by nobody."""


class Timer:
    """Calls `turn(now)` when `deadline()` is reached. `plan` must follow whatever may move the deadline.

    A turn that leaves something which is due is followed by another, after whatever else the loop has to do.

    `held_up(seconds, now)` hears of each time that our loop stood still, before anybody is judged.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deadline: Callable[[], float | None],
        turn: Callable[[float], None],
        held_up: Callable[[float, float], None] | None = None,
    ) -> None:
        self._loop = loop
        self._deadline = deadline
        self._turn = turn
        self._held_up = held_up
        self._planned: float | None = None
        self._sooner = asyncio.Event()

    def plan(self) -> None:
        """Wake up earlier if something is due earlier than planned."""
        self.plan_for(self._deadline())

    def plan_for(self, due: float | None) -> None:
        """The same, where nothing else may have moved."""
        if due is not None and (self._planned is None or due < self._planned):
            self._sooner.set()

    async def run(self) -> None:
        """Serve until cancelled. A bug in one turn is logged and costs that turn."""
        while True:
            planned = self._loop.time()
            due = self._planned = self._deadline()
            wake = due if self._held_up is None else _earlier(due, planned + PULSE_SECONDS)
            self._sooner.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(wake):
                    await self._sooner.wait()
            await self._catch_breath(None if wake is None else max(wake, planned))
            try:
                self._turn(self._loop.time())
            except Exception:
                log.exception("timer.turn_failed")
                await asyncio.sleep(1.0)

    async def _catch_breath(self, wake: float | None) -> None:
        """Let the socket be read while our own loop is behind (Q15)."""
        late = 0.0 if wake is None else self._loop.time() - wake
        given_up = self._loop.time() + BREATHLESS_SECONDS
        while late > LATE_SECONDS:
            start = self._loop.time()
            if self._held_up is not None:
                self._held_up(late, start)
            if start >= given_up:
                return
            await asyncio.sleep(BREATH_SECONDS)
            late = self._loop.time() - start - BREATH_SECONDS


def _earlier(due: float | None, pulse: float) -> float:
    return pulse if due is None else min(due, pulse)
