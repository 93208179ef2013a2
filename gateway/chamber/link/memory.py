"""Both gates in one process on one loop: a crossing is the object itself, handed over one turn later."""

import asyncio
from collections.abc import Callable

from cascade.crossing import Crossing
from gateway.chamber.link import LinkUnavailable, Signal, nobody, unheard


class MemoryEnd:
    """One end; see `memory_link`."""

    on_arrival: Callable[[Crossing], None]
    on_signal: Callable[[Signal], None]

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.on_arrival = nobody
        self.on_signal = unheard
        self._loop = loop
        self._other: MemoryEnd = self

    @property
    def up(self) -> bool:
        return not self._loop.is_closed()

    @property
    def linked(self) -> bool:
        return self.up

    def deliver(self, crossing: Crossing) -> None:
        if self._loop.is_closed():
            raise LinkUnavailable("the loop of the other side is closed")
        self._loop.call_soon(self._other._arrive, crossing)

    def signal(self, signal: Signal) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon(self._other._hear, signal)

    def _hear(self, signal: Signal) -> None:
        self.on_signal(signal)

    def _arrive(self, crossing: Crossing) -> None:
        self.on_arrival(crossing)


def memory_link(loop: asyncio.AbstractEventLoop) -> tuple[MemoryEnd, MemoryEnd]:
    """Two ends joined with each other. `call_soon` keeps the order."""
    one, two = MemoryEnd(loop), MemoryEnd(loop)
    one._other, two._other = two, one
    return one, two
