"""Tells the other side what is below us: who is there, and which rows they have. In batches."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from cascade.crossing import ROWS_PER_CROSSING, CatalogBatch, Notice
from cascade.model.commands.presence import PeerState, Presence
from cascade.model.ids import PlatformId
from cascade.model.index import Rows
from cascade.ports import Gate

PRESENCE_SECONDS: Final = 0.05
"""Changes of presence are collected this long and cross as one notice."""


class Herald:
    """`origin` is who we are where a notice is about several peers."""

    def __init__(
        self,
        gate: Gate,
        loop: asyncio.AbstractEventLoop,
        *,
        origin: PlatformId,
        correlation: Callable[[], int],
    ) -> None:
        self._gate = gate
        self._loop = loop
        self._origin = origin
        self._correlation = correlation
        self._states: dict[PlatformId, bool] = {}
        self._due: asyncio.TimerHandle | None = None
        self._batches: deque[tuple[PlatformId, bool, Rows]] = deque()

    def presence(self, peer: PlatformId, online: bool) -> None:
        """Say soon that `peer` is there, or not; only its last state within that time is told."""
        self._states[peer] = online
        if self._due is None:
            self._due = self._loop.call_later(PRESENCE_SECONDS, self._tell)

    def rows(self, peer: PlatformId, rows: Rows, *, present: bool) -> None:
        """Queue rows; one batch leaves each turn of the loop, so that answers to peers go between."""
        idle = not self._batches
        for start in range(0, len(rows), ROWS_PER_CROSSING):
            self._batches.append((peer, present, rows.slice(start, start + ROWS_PER_CROSSING)))
        if idle and self._batches:
            self._loop.call_soon(self._next_batch)

    def flush(self) -> None:
        """Send all that waits, now: what is stored as told must have been."""
        self._tell()
        while self._batches:
            self._send_batch()

    def _tell(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        states = tuple(PeerState(peer, online) for peer, online in self._states.items())
        self._states.clear()
        for start in range(0, len(states), ROWS_PER_CROSSING):
            part = states[start : start + ROWS_PER_CROSSING]
            if not self._notice(part) and len(part) > 1:
                for state in part:  # one that may not be told of must not silence the others
                    self._notice((state,))

    def _notice(self, states: tuple[PeerState, ...]) -> bool:
        verdict = self._gate.send(
            Notice(correlation=self._correlation(), origin=self._origin, payload=Presence(states=states))
        )
        return verdict.passes is not None

    def _next_batch(self) -> None:
        if self._batches:
            self._send_batch()
        if self._batches:
            self._loop.call_soon(self._next_batch)

    def _send_batch(self) -> None:
        peer, present, rows = self._batches.popleft()
        batch = CatalogBatch(
            correlation=self._correlation(),
            origin=peer,
            change="present" if present else "gone",
            rows=rows,
        )
        self._gate.send(batch)
