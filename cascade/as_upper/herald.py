"""Tells the other side what is below us: who is there, and which rows they have. In batches."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from cascade.crossing import ROWS_PER_CROSSING, CatalogBatch, Change, Notice
from cascade.model.commands.presence import PeerState, Presence
from cascade.model.ids import PlatformId
from cascade.model.index import Rows
from cascade.ports import Gate

RETRY_SECONDS: Final = {"audit": 5.0, "link-full": 0.2}
"""By what kept it from crossing for now, an audit or the rest of what is told: when it is tried again."""

PRESENCE_SECONDS: Final = 0.05
"""Changes of presence are collected this long and cross as one notice."""


NOTHING: Final = Rows.build([])


@dataclass(slots=True)
class _Batch:
    """Rows on their way. `shown` collects what passed; `former` is compared with it after the last.
    `offered`: they are part of what a peer has in all."""

    peer: PlatformId
    change: Change
    rows: Rows
    shown: set[str] | None = None
    former: Rows | None = None
    offered: bool = False


class Herald:
    """Where nobody is beyond nothing is told: whoever comes is told all anew, by `offer`.

    `origin` is who we are where a notice is about several peers. `online`, `rows` and `told` are asked when
    something leaves: whether a peer is there, all its rows, and what is said of some of them. So nobody waits
    for those of all peers to be gathered."""

    def __init__(
        self,
        gate: Gate,
        loop: asyncio.AbstractEventLoop,
        *,
        origin: PlatformId,
        correlation: Callable[[], int],
        online: Callable[[PlatformId], bool],
        rows: Callable[[PlatformId], Rows],
        told: Callable[[PlatformId, Rows], Rows] = lambda peer, rows: rows,
    ) -> None:
        self._gate = gate
        self._loop = loop
        self._origin = origin
        self._correlation = correlation
        self._online = online
        self._rows = rows
        self._told = told
        self._states: dict[PlatformId, None] = {}  # whose presence is to be told, in this order
        self._due: asyncio.TimerHandle | None = None
        self._batches: deque[_Batch] = deque()
        self._offered: deque[_Batch] = deque()  # all rows of the peer whose turn it is
        self._order: deque[PlatformId] = deque()  # of whom all rows wait for their turn
        self._anew: set[PlatformId] = set()  # the same
        self._offers_next = False
        self._planned = False
        self._lost: set[PlatformId] = set()  # of whom something did not arrive since it was last told anew

    def presence(self, peer: PlatformId) -> None:
        """Say soon that `peer` is there, or not, as it is by then."""
        self._presence((peer,))

    def _presence(self, peers: Iterable[PlatformId]) -> None:
        if self._gate.away:
            return
        self._states |= dict.fromkeys(peers)
        if self._due is None:
            self._due = self._loop.call_later(PRESENCE_SECONDS, self._tell)

    def gone(self, peer: PlatformId, rows: Rows) -> None:
        """Queue rows that are not there any more."""
        self._queue([_Batch(peer, "gone", part) for part in _parts(rows)])

    def present(self, peer: PlatformId, rows: Rows, *, former: Rows | None = None) -> None:
        """Queue rows that are there from now on; one batch leaves each turn of the loop.

        `former` are those of them that stood in another branch until now: what the rules let through
        there and do not let through here is taken back once the batches have left.
        """
        batches = [_Batch(peer, "present", part) for part in _parts(rows)]
        if batches and former is not None and len(former):
            shown: set[str] = set()
            for batch in batches:
                batch.shown = shown
            batches[-1].former = former
        self._queue(batches)

    def offer(self, peer: PlatformId) -> None:
        """Queue all rows of `peer`, and that these are all: the other side forgets what else it holds.

        What else is told of rows meanwhile waits for none but the peer whose turn it is.
        """
        self._offer((peer,))

    def offer_all(self, peers: Iterable[PlatformId]) -> None:
        """Queue the presence and all rows of each of them."""
        self._presence(peers)
        self._offer(peers)

    def _offer(self, peers: Iterable[PlatformId]) -> None:
        if not self._gate.away:
            fresh = [peer for peer in peers if peer not in self._anew]
            self._order += fresh
            self._anew.update(fresh)
            self._plan()

    def _queue(self, batches: list[_Batch]) -> None:
        if not self._gate.away:
            self._batches += batches
            self._plan()

    def _plan(self) -> None:
        if not self._planned and self._waits:
            self._planned = True
            self._loop.call_soon(self._next_batch)

    def telling(self, peer: PlatformId) -> bool:
        """Are rows of that peer on their way?"""
        waiting = (*self._batches, *self._offered)
        return peer in self._anew or any(batch.peer == peer for batch in waiting)

    @property
    def _waits(self) -> bool:
        return bool(self._batches or self._offered or self._order)

    def flush(self) -> None:
        """Send all that waits, now: what is stored as told must have been."""
        while self._states and self._tell_part():
            pass
        while self._waits and not self._send_batch():
            pass
        self._batches.clear()
        self._offered.clear()
        self._order.clear()
        self._anew.clear()
        self._states.clear()
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _tell(self) -> None:
        """Tell a part of them; the others when the loop has done what else there is."""
        self._due = None
        if self._tell_part() and self._states and self._due is None:
            self._due = self._loop.call_later(0.0, self._tell)

    def _tell_part(self) -> bool:
        """False if they have to be told later."""
        states = tuple(
            PeerState(peer, self._online(peer)) for peer in islice(self._states, ROWS_PER_CROSSING)
        )
        for state in states:
            del self._states[state.peer]
        if not self._states:
            self._states.clear()  # gives back the room that a hundred thousand needed
        if not states:
            return True
        if not self._notice(states) and len(states) > 1:
            for state in states:  # one that may not be told of must not silence the others
                self._notice((state,))
        return not any(state.peer in self._states for state in states)

    def _notice(self, states: tuple[PeerState, ...]) -> bool:
        """False if the rules say no. Where only the audit or a full link does, it is told later."""
        verdict = self._gate.send(
            Notice(correlation=self._correlation(), origin=self._origin, payload=Presence(states=states))
        )
        if verdict.rule not in RETRY_SECONDS:
            return verdict.passes is not None
        for state in states:
            self._states.setdefault(state.peer)
        if self._due is None:
            self._due = self._loop.call_later(RETRY_SECONDS[verdict.rule], self._tell)
        return True

    def _next_batch(self) -> None:
        self._planned = False
        if self._waits:
            wait = self._send_batch()
            if wait:
                self._planned = True
                self._loop.call_later(wait, self._next_batch)
            else:
                self._plan()

    def _next(self) -> _Batch:
        """What changes goes before what is told anew, but does not keep it waiting for ever; nor does it
        overtake what its own peer has in all, which may be older."""
        offering = bool(self._offered or self._order)
        if self._batches and not (offering and (self._offers_next or self._overtakes(self._batches[0]))):
            self._offers_next = True
            return self._batches.popleft()
        self._offers_next = False
        if self._offered:
            return self._offered.popleft()
        peer = self._order.popleft()
        self._anew.remove(peer)
        if not self._anew:
            self._anew.clear()  # gives back its room too
        return _Batch(peer, "anew", NOTHING, offered=True)

    def _overtakes(self, batch: _Batch) -> bool:
        return bool(self._offered) and batch.peer == self._offered[0].peer

    def _put_back(self, batch: _Batch) -> None:
        if batch.change != "anew":
            (self._offered if batch.offered else self._batches).appendleft(batch)
        elif batch.peer not in self._anew:
            self._order.appendleft(batch.peer)
            self._anew.add(batch.peer)

    def _send_batch(self) -> float:
        """Seconds until it may be taken, 0 where it was: meanwhile it waits at its place."""
        batch = self._next()
        if batch.change == "anew":
            self._lost.discard(batch.peer)
        elif batch.change == "whole" and batch.peer in self._lost:
            return 0.0  # it was not told all
        rows = batch.rows if batch.change == "gone" else self._told(batch.peer, batch.rows)
        verdict = self._gate.send(
            CatalogBatch(correlation=self._correlation(), origin=batch.peer, change=batch.change, rows=rows)
        )
        if verdict.rule in RETRY_SECONDS:
            self._put_back(batch)
            return RETRY_SECONDS[verdict.rule]
        if verdict.rule == "link":
            self._lost.add(batch.peer)
        if batch.change == "anew":
            parts = _parts(self._rows(batch.peer))
            self._offered += [_Batch(batch.peer, "present", part, offered=True) for part in parts]
            self._offered.append(_Batch(batch.peer, "whole", NOTHING, offered=True))
        if batch.shown is not None and isinstance(verdict.passes, CatalogBatch):
            batch.shown.update(verdict.passes.rows.ids())
        if batch.former is not None and batch.shown is not None:
            former = [batch.former.get(number) for number in range(len(batch.former))]
            hidden = Rows.build([row for row in former if row["id"] not in batch.shown])
            self._batches.extendleft(_Batch(batch.peer, "gone", part) for part in _parts(hidden))
        return 0.0


def _parts(rows: Rows) -> list[Rows]:
    return [rows.slice(start, start + ROWS_PER_CROSSING) for start in range(0, len(rows), ROWS_PER_CROSSING)]
