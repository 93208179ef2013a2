"""Other peers below while the face runs: who came, who went, and what is another about the rest.

Nobody else notices: no lease, question, catalog or leg of a peer that stayed as it was is touched. Who goes
loses its lease and its legs, and its rows go beyond too; who may not speak from where it is any more loses
its lease. All else counts from the next time that it is asked for.
"""

from collections.abc import Callable, Mapping

from cascade.as_upper.catalogs import Catalogs
from cascade.as_upper.herald import NOTHING, Herald
from cascade.as_upper.movements import Movements
from cascade.as_upper.registrar import Registrar
from cascade.as_upper.standing import Standing
from cascade.as_upper.subscriptions import Subscriptions
from cascade.leg import Legs
from cascade.model.ids import PlatformId
from cascade.model.index import Index
from cascade.peers import LowerPeer
from cascade.ports import Store

Peers = dict[PlatformId, LowerPeer]


class Adoption:
    """Of one face. `peers` and `media` are the tables that its rooms look into; `follow` has the face do what
    the registrar's changes ask for."""

    def __init__(
        self,
        *,
        peers: Peers,
        registrar: Registrar,
        standing: Standing,
        catalogs: Catalogs,
        subscriptions: Subscriptions,
        movements: Movements,
        legs: Legs,
        herald: Herald,
        index: Index,
        store: Store,
        follow: Callable[[], None],
    ) -> None:
        self._peers = peers
        self._registrar = registrar
        self._standing = standing
        self._catalogs = catalogs
        self._subscriptions = subscriptions
        self._movements = movements
        self._legs = legs
        self._herald = herald
        self._index = index
        self._store = store
        self._follow = follow

    def take(self, new: Mapping[PlatformId, LowerPeer]) -> None:
        """These are the peers from now on."""
        gone = [peer for peer in self._peers if peer not in new]
        for peer in gone:
            self._movements.halt(peer)
            self._legs.lose(peer, "peer removed")
        self._registrar.adopt(new)
        self._follow()  # while those who go are still known
        for peer in gone:
            self._forget(peer)
        for id, described in new.items():
            before = self._peers.get(id)
            if before != described:
                self._peers[id] = described
                self._changed(before, described)
        self._registrar.learn(self._peers)

    def _forget(self, peer: PlatformId) -> None:
        rows = self._index.rows(peer)
        self._index.remove(peer, rows.ids())
        self._store.save_rows(peer, NOTHING, rows.ids())
        self._herald.offer(peer)  # what no rule shows can't be withdrawn by rows
        self._catalogs.forget(peer)
        del self._peers[peer]

    def _changed(self, before: LowerPeer | None, peer: LowerPeer) -> None:
        self._catalogs.adopt(peer)
        if before is None:
            self._standing.tell(peer.id)
            self._herald.offer(peer.id)
            return
        self._subscriptions.adopt(peer, before)
        if before.fault != peer.fault:
            self._standing.judge_faults(peer.id)
        if before.coordinates != peer.coordinates and self._standing.online(peer.id):
            self._catalogs.start(peer)
