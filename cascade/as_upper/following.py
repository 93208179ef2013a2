"""What changed at the registrar is carried out in its order, a part a turn of the loop.

Mostly all of it at once, since a run of messages changes no more. After a power cut, or our own start, all
peers come or go at the same moment; whoever plays a picture meanwhile waits for one part.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from cascade.as_upper.leases import Change
from cascade.as_upper.registrar import Registrar
from cascade.ports import Store
from sip.endpoint import Stack

log = logging.getLogger(__name__)

PART: Final = 256
"""Changes that are carried out in one turn."""

TOLD: Final = 10
"""Changes that the log line names."""


class Following:
    """Of one face. `carry_out` is called with each change, once; `plan` after those that `follow` left."""

    def __init__(
        self,
        registrar: Registrar,
        stack: Stack,
        store: Store,
        loop: asyncio.AbstractEventLoop,
        wall: Callable[[], float],
        carry_out: Callable[[Change], None],
        plan: Callable[[], None],
    ) -> None:
        self._registrar = registrar
        self._stack = stack
        self._store = store
        self._loop = loop
        self._wall = wall
        self._carry_out = carry_out
        self._plan = plan
        self._planned = False
        self._count = 0
        self._first: list[tuple[str, str]] = []

    def follow(self) -> bool:
        """Carry out what changed, behind what waits for its turn already; was there anything?"""
        changing = self._registrar.changing
        if changing and not self._planned:
            self._part()
        self.record()
        return changing

    def follow_all(self) -> None:
        """Carry out all of it now."""
        while self._registrar.changing:
            self._carry_out_part()
        self._tell()
        self.record()

    def record(self) -> None:
        """Let the engine know who is where, and the store what is promised: before anybody is answered."""
        addresses = self._registrar.addresses()
        if any(addresses):
            self._stack.know(*addresses)
        kept, gone = self._registrar.bindings(self._loop.time(), self._wall())
        if kept or gone:
            self._store.save_bindings(kept, gone)

    def _next_part(self) -> None:
        self._planned = False
        self._part()
        self._plan()

    def _part(self) -> None:
        self._carry_out_part()
        if self._registrar.changing:
            self._planned = True
            self._loop.call_soon(self._next_part)
        else:
            self._tell()

    def _carry_out_part(self) -> None:
        changes = self._registrar.changes(PART)
        self._count += len(changes)
        self._first += [(change.peer, change.why) for change in changes[: TOLD - len(self._first)]]
        for change in changes:
            self._carry_out(change)

    def _tell(self) -> None:
        """One line, however many come back after a power cut."""
        if self._count:
            log.info("peers.changed", extra={"count": self._count, "first": self._first})
            self._count, self._first = 0, []
