"""The catalogs of those below: asked for, taken without echoes, stored, told to the other side.

The shell around `CatalogSync`: it sends the queries that are due, and makes of each finished answer, and of
each notice of changes, a difference in the index, which the store and the herald follow.
"""

from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Final

from cascade.as_upper.herald import Herald
from cascade.as_upper.questions import catalog_query
from cascade.as_upper.renewals import Renewals
from cascade.as_upper.sync import CatalogSync, Finished, Odd, Query
from cascade.as_upper.synced import tell
from cascade.deviations import Deviations
from cascade.limits import Bounds
from cascade.manscdp import CatalogNotice, Head, catalog
from cascade.model.ids import PlatformId
from cascade.model.index import Delta, Index, Rows
from cascade.model.serials import Serials
from cascade.peers import LowerPeer
from cascade.ports import Store
from cascade.provenance import LoopGuard
from sip.endpoint import Endpoint, Outgoing, Then
from sip.events import Address, Event, Kind

CAUGHT_UP: Final = 16
"""Notices that waited of which so many are followed in one turn of the loop."""


class Catalogs:
    """Those of one face. `at` tells where a peer is; `plan` is called when deadlines changed, `gap` when a
    notice leaves something open."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        index: Index,
        store: Store,
        herald: Herald,
        guard: LoopGuard,
        deviations: Deviations,
        serials: Serials,
        at: Callable[[PlatformId], Address | None],
        time: Callable[[], float],
        soon: Callable[[Callable[[], None]], object],
        plan: Callable[[], None],
        gap: Callable[[LowerPeer], None],
        bounds: Bounds,
    ) -> None:
        self._endpoint = endpoint
        self._index = index
        self._store = store
        self._herald = herald
        self._guard = guard
        self._deviations = deviations
        self._at = at
        self._time = time
        self._plan = plan
        self._gap = gap
        self._soon = soon
        self._renewals = Renewals(index, soon)
        self._waiting: dict[PlatformId, deque[tuple[LowerPeer, CatalogNotice]]] = {}
        self._again: dict[PlatformId, LowerPeer] = {}  # to be asked once more after the query under way
        self._bounds = bounds
        self._sync = CatalogSync(serials, bounds)
        self._outcomes: dict[PlatformId, str] = {}

    @property
    def counts(self) -> Counter[str]:
        return self._sync.counts

    def outcome(self, peer: PlatformId) -> str:
        """How its last query ended, "" before the first did."""
        return self._outcomes.get(peer, "")

    def progress(self, peer: PlatformId) -> tuple[int, int | None] | None:
        """(distinct ids so far, SumNum) of the query in flight, or None when there is none."""
        return self._sync.progress(peer)

    def telling(self, peer: PlatformId) -> bool:
        """Are rows of that peer on their way to the other side?"""
        return self._renewals.under_way(peer) or self._herald.telling(peer)

    def start(self, peer: LowerPeer) -> None:
        """Ask as soon as possible: it registered, or came back."""
        self._sync.start(peer, self._time(), known=self._index.count(peer.id))

    def stop(self, peer: PlatformId) -> None:
        """It is offline: its rows stay, the query in flight does not."""
        self._sync.stop(peer)
        self._waiting.pop(peer, None)
        self._again.pop(peer, None)

    def adopt(self, peer: LowerPeer) -> None:
        """It is described otherwise now; what it is asked next is asked by that."""
        self._sync.adopt(peer)

    def forget(self, peer: PlatformId) -> None:
        """It is no peer any more."""
        self._sync.stop(peer)
        self._renewals.forget(peer)
        self._waiting.pop(peer, None)
        self._outcomes.pop(peer, None)

    def take(self, peer: PlatformId, head: Head, body: bytes) -> None:
        """A page of an answer.

        Raises:
            PeerError: it can't be read.
        """
        if not self._sync.expects(peer, head.sn):
            return
        finished = self._sync.take(peer, catalog.read(body), self._time())
        if finished is not None:
            self._finish(finished)

    def notified(self, peer: LowerPeer, body: bytes) -> None:
        """A notice of changes. While a query is under way, or what came of it is taken, it waits, since the
        answer may be older (Q40).

        Raises:
            PeerError: it can't be read.
        """
        notice = catalog.read_notice(body)
        odd = Odd(repaired=notice.repaired, replaced=notice.replaced, dropped=notice.dropped)
        for kind, times in odd.counts().items():
            self._deviations.note(peer.id, kind, times)
        if not self._must_wait(peer.id) and peer.id not in self._waiting:
            self._follow(peer, notice)
        elif len(waiting := self._waiting.setdefault(peer.id, deque())) < self._most_waiting:
            waiting.append((peer, notice))
        else:  # what is in it is asked for
            self._bounds.meet("catalog_notices_waiting")
            self.counts["notices_waiting_too_many"] += 1
            self._again[peer.id] = peer

    def _must_wait(self, peer: PlatformId) -> bool:
        return self._sync.progress(peer) is not None or self._renewals.under_way(peer)

    def _catch_up(self, peer: PlatformId) -> None:
        """Follow the notices that waited, some a turn; those that come meanwhile come after them."""
        waiting = self._waiting.get(peer)
        if waiting is None or self._must_wait(peer):
            return
        for _ in range(min(CAUGHT_UP, len(waiting))):
            self._follow(*waiting.popleft())
        if waiting:
            self._soon(partial(self._catch_up, peer))
        else:
            del self._waiting[peer]

    @property
    def _most_waiting(self) -> int:
        return self._bounds.limits.catalog_notices_waiting

    def _follow(self, peer: LowerPeer, notice: CatalogNotice) -> None:
        gone = self._index.remove(peer.id, notice.gone)
        self._changed(peer.id, gone.slice(0, 0), gone)
        said, new = self._index.merge(peer.id, notice.present.located(peer.coordinates))
        if self._index.count(peer.id) + new > peer.max_items:
            self.counts["notices_too_many"] += 1
            said = said.slice(0, 0)
        self._apply(peer.id, said)
        if peer.notify_state == "trust":
            turned, unknown = self._index.merge(peer.id, notice.turned, known=True)
            self._apply(peer.id, turned)
            if unknown:
                self._gap(peer)

    def _apply(self, peer: PlatformId, said: Rows) -> None:
        if len(said):
            rows = self._guard.listed(peer, said, self._index, complete=False)
            self._deviations.note(peer, "echoes", len(said) - len(rows))
            self._follow_delta(peer, self._index.apply(peer, rows, complete=False))

    def _follow_delta(self, peer: PlatformId, delta: Delta) -> None:
        self._changed(peer, delta.present(), delta.gone(), delta.former())

    def _changed(self, peer: PlatformId, present: Rows, gone: Rows, former: Rows | None = None) -> None:
        if len(present) or len(gone):
            self._store.save_rows(peer, present, gone.ids())
        self._herald.gone(peer, gone)
        self._herald.present(peer, present, former=former)

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        return self._sync.deadline

    def advance(self, now: float) -> None:
        """Send the queries whose time has come; take answers that have gone quiet as they are."""
        queries: list[tuple[Outgoing, Then | None]] = []
        for output in self._sync.advance(now):
            if isinstance(output, Finished):
                self._finish(output)
            elif (query := self._query(output)) is not None:
                queries.append(query)
        if queries:
            self._endpoint.send_many(queries)

    def _query(self, query: Query) -> tuple[Outgoing, Then] | None:
        at = self._at(query.peer.id)
        if at is None:
            return None

        def then(event: Event) -> None:
            if event.kind != Kind.RESPONSE or event.status >= 300:
                finished = self._sync.failed(query.peer.id, query.sn, self._time())
                if finished is not None:
                    self._finish(finished)

        return catalog_query(self._endpoint, query.peer, at, query.sn), then

    def _finish(self, finished: Finished) -> None:
        peer = finished.peer
        self._outcomes[peer] = finished.outcome
        complete = finished.complete
        self._renewals.take(
            peer,
            len(finished.rows),
            partial(self._guard.listed, peer, finished.rows, self._index, complete=complete),
            complete=complete,
            changed=partial(self._follow_delta, peer),
            done=partial(self._renewed, finished),
        )

    def _renewed(self, finished: Finished, taken: int, deltas: list[Delta]) -> None:
        """What was answered is in the index; `taken` rows of it are no echoes."""
        peer = finished.peer
        tell(finished, deltas, len(finished.rows) - taken, self._deviations)
        self._catch_up(peer)
        if (again := self._again.pop(peer, None)) is not None:
            self.start(again)
        self._plan()
