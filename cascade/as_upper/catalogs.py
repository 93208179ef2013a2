"""The catalogs of those below: asked for, taken without echoes, stored, told to the other side.

The shell around `CatalogSync`: it sends the queries that are due, and makes of each finished answer, and of
each notice of changes, a difference in the index, which the store and the herald follow.
"""

from collections import Counter
from collections.abc import Callable

from cascade.as_upper.herald import Herald
from cascade.as_upper.questions import catalog_query
from cascade.as_upper.sync import CatalogSync, Finished, Odd, Query
from cascade.as_upper.synced import tell
from cascade.deviations import Deviations
from cascade.limits import Bounds
from cascade.manscdp import CatalogNotice, Head, catalog
from cascade.model.ids import PlatformId
from cascade.model.index import Index, Rows
from cascade.model.serials import Serials
from cascade.peers import LowerPeer
from cascade.ports import Store
from cascade.provenance import LoopGuard
from sip.endpoint import Endpoint, Outgoing, Then
from sip.events import Address, Event, Kind


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
        self._waiting: dict[PlatformId, list[tuple[LowerPeer, CatalogNotice]]] = {}
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
        """A notice of changes. While a query is under way it waits, since the answer may be older (Q40).

        Raises:
            PeerError: it can't be read.
        """
        notice = catalog.read_notice(body)
        odd = Odd(repaired=notice.repaired, replaced=notice.replaced, dropped=notice.dropped)
        for kind, times in odd.counts().items():
            self._deviations.note(peer.id, kind, times)
        if self._sync.progress(peer.id) is None:
            self._follow(peer, notice)
        elif len(waiting := self._waiting.setdefault(peer.id, [])) < self._most_waiting:
            waiting.append((peer, notice))
        else:  # what is in it is asked for
            self._bounds.meet("catalog_notices_waiting")
            self.counts["notices_waiting_too_many"] += 1
            self._again[peer.id] = peer

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
            delta = self._index.apply(peer, rows, complete=False)
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
        rows = self._guard.listed(peer, finished.rows, self._index, complete=complete)
        delta = self._index.apply(peer, rows, complete=complete)
        tell(finished, delta, len(finished.rows) - len(rows), self._deviations)
        self._changed(peer, delta.present(), delta.gone(), delta.former())
        for described, notice in self._waiting.pop(peer, ()):
            self._follow(described, notice)
        if (again := self._again.pop(peer, None)) is not None:
            self.start(again)
        self._plan()
