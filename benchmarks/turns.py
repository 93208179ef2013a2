"""A loop that notes how long its longest turn was: what everybody else had to wait."""

import asyncio
import time
from typing import Any

from msgspec import Struct


class Longest(Struct, frozen=True):
    """Of the turns since somebody asked last, in seconds: by the clock, and of CPU."""

    clock: float = 0.0
    cpu: float = 0.0
    turns: int = 0


class Timed(asyncio.SelectorEventLoop):
    """A turn begins when the selector returns: what it waits for others is nobody's."""

    def __init__(self) -> None:
        super().__init__()
        self._longest = Longest()
        self._began = self._used = 0.0

    def longest(self) -> Longest:
        """Since this was asked last."""
        longest, self._longest = self._longest, Longest()
        return longest

    def _process_events(self, event_list: list[Any]) -> None:
        self._began, self._used = time.perf_counter(), time.thread_time()
        super()._process_events(event_list)  # type: ignore[misc]

    def _run_once(self) -> None:
        super()._run_once()  # type: ignore[misc]
        clock, cpu = time.perf_counter() - self._began, time.thread_time() - self._used
        before = self._longest
        self._longest = Longest(max(before.clock, clock), max(before.cpu, cpu), before.turns + 1)
