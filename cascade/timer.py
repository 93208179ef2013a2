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


class Timer:
    """Calls `turn(now)` when `deadline()` is reached. `plan` must follow whatever may move the deadline."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deadline: Callable[[], float | None],
        turn: Callable[[float], None],
    ) -> None:
        self._loop = loop
        self._deadline = deadline
        self._turn = turn
        self._planned: float | None = None
        self._sooner = asyncio.Event()

    def plan(self) -> None:
        """Wake up earlier if something is due earlier than planned."""
        due = self._deadline()
        if due is not None and (self._planned is None or due < self._planned):
            self._sooner.set()

    async def run(self) -> None:
        """Serve until cancelled. A bug in one turn is logged and costs that turn."""
        while True:
            due = self._planned = self._deadline()
            self._sooner.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._sooner.wait()
            await self._catch_breath(due)
            try:
                self._turn(self._loop.time())
            except Exception:
                log.exception("timer.turn_failed")
                await asyncio.sleep(1.0)

    async def _catch_breath(self, due: float | None) -> None:
        """Let the socket be read while our own loop is behind (Q15)."""
        late = 0.0 if due is None else self._loop.time() - due
        while late > LATE_SECONDS:
            start = self._loop.time()
            await asyncio.sleep(BREATH_SECONDS)
            late = self._loop.time() - start - BREATH_SECONDS
