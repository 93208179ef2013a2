"""Who below counts as there, and what the other side hears of it: leases, and by policy faults (Q14).

One rule for who is asked, shown and played; whatever changes it goes to the index and the herald from here.
"""

from collections.abc import Mapping, Sequence

from cascade.as_upper import faults
from cascade.as_upper.faults import Fault, Faults
from cascade.as_upper.herald import Herald
from cascade.as_upper.leases import Lease
from cascade.as_upper.registrar import Registrar
from cascade.leg import Legs
from cascade.manscdp import Alive
from cascade.model.ids import PlatformId
from cascade.model.index import Index, Rows
from cascade.peers import LowerPeer
from sip.events import Event


class Standing:
    """Of the peers of one face. Who is not there any more has lost its legs, too."""

    def __init__(
        self,
        peers: Mapping[PlatformId, LowerPeer],
        registrar: Registrar,
        faults: Faults,
        index: Index,
        legs: Legs,
        herald: Herald,
    ) -> None:
        self._peers = peers
        self._registrar = registrar
        self._faults = faults
        self._index = index
        self._legs = legs
        self._herald = herald

    def online(self, peer: PlatformId) -> bool:
        return self.reachable(peer) is not None

    def reachable(self, peer: PlatformId) -> Lease | None:
        """Its lease, unless by policy it counts as offline while it is not well (Q14)."""
        down = self._faults.of(peer).itself and self._peers[peer].fault == "offline"
        return None if down else self._registrar.lease(peer)

    def fault(self, peer: PlatformId) -> Fault:
        return self._faults.of(peer)

    def restore(self) -> None:
        """Leases are known again: nobody is told yet."""
        for peer in self._peers:
            self._index.set_online(peer, self.online(peer))

    def offer_all(self) -> None:
        """Tell the other side of every peer and every row once more, and that there is nothing else.

        It may not have heard, or forgotten, or hold what went while it was not there to hear of it.
        """
        self._herald.offer_all(self._peers)

    def came(self, peer: PlatformId) -> None:
        """It has a lease again."""
        self.tell(peer)

    def went(self, peer: PlatformId) -> None:
        """Its lease is over; what it said of its faults is out of date."""
        forgotten = self._faults.forget(peer)
        self._legs.lose(peer, "peer offline")
        self._follow([] if forgotten is None else [forgotten])
        self.tell(peer)

    def hear(self, said: Sequence[Event]) -> None:
        """Keepalives that say more than OK."""
        self._follow(self._faults.hear(said, self._registrar.lease_of))

    def hear_well(self, run: Sequence[Alive]) -> None:
        """Keepalives that say OK."""
        if self._faults:
            self._follow(self._faults.recovered(run, self._registrar.lease_of))

    def judge_faults(self, peer: PlatformId) -> None:
        """Another policy counts for what it says of itself: show it, and what it lists as broken, by that."""
        self.tell(peer)
        if not self.online(peer):
            self._legs.lose(peer, "peer offline")
        self._herald.offer(peer)

    def tell(self, peer: PlatformId) -> None:
        """Say whether it is there."""
        self._index.set_online(peer, self.online(peer))
        self._herald.presence(peer)

    def _follow(self, changes: Sequence[faults.Change]) -> None:
        """Show who is not well, and what it lists as broken, offline, where policy says so (Q14)."""
        for change in changes:
            peer = change.peer
            if self._peers[peer].fault != "offline":
                continue
            if change.now.itself != change.before.itself:
                self.tell(peer)
            if change.now.itself:
                self._legs.lose(peer, "peer offline")
            others = {*change.now.children} ^ {*change.before.children}
            rows = [row for name in sorted(others) if (row := self._index.find(peer, name)) is not None]
            self._herald.present(peer, Rows.build(rows))

    def as_told(self, peer: PlatformId, rows: Rows) -> Rows:
        """Its rows as the other side hears of them: what it lists as broken is OFF by policy."""
        known = self._peers.get(peer)  # not any more, maybe, when its rows leave
        return (
            rows
            if known is None or known.fault == "flag"
            else faults.shown_off(rows, self._faults.of(peer).children)
        )
