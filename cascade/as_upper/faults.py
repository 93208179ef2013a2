"""What peers say in keepalives is broken at theirs (Q14): shown to operators, never a reason to drop a lease.

By policy (`LowerPeer.fault`) who is not well, and which channels it lists as broken, are shown offline.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from cascade.as_upper.leases import Lease
from cascade.deviations import Deviation
from cascade.errors import BadCommand
from cascade.manscdp import Alive, keepalive
from cascade.model.ids import PeerName, PlatformId
from cascade.model.index import Rows
from cascade.sparse import Sparse
from sip.events import Address, Event

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """`itself`: its Status was not OK. `children` are those that it lists as broken."""

    itself: bool
    children: tuple[PeerName, ...] = ()


NONE = Fault(itself=False)


@dataclass(frozen=True, slots=True)
class Change:
    """What a peer said of itself before, and says now."""

    peer: PlatformId
    before: Fault
    now: Fault


def shown_off(rows: Rows, broken: Collection[str]) -> Rows:
    """The same rows, those of `broken` OFF.

    One that never named its state is said to be ON, or it would stay OFF beyond for ever.
    """
    found = [rows.get(number) for number in range(len(rows))]
    for row in found:
        row["status"] = "OFF" if row["id"] in broken else row.get("status", "ON")
    return Rows.build(found)


class Faults:
    """The last word of each peer that has any; one who says OK again has none."""

    def __init__(self, clock: Callable[[], float], deviates: Callable[[PlatformId, Deviation], None]) -> None:
        self._faults: dict[PlatformId, Fault] = {}
        self._sparse = Sparse(clock)
        self._deviates = deviates
        self.counts: Counter[str] = Counter()

    def of(self, peer: PlatformId) -> Fault:
        return self._faults.get(peer, NONE)

    def __len__(self) -> int:
        return len(self._faults)

    def hear(
        self, keepalives: Sequence[Event], lease_of: Callable[[str, Address], Lease | None]
    ) -> list[Change]:
        """Note what they say, and return who says something else now; their leases are renewed already."""
        changes = []
        for event in keepalives:
            lease = lease_of(event.from_user, event.source)
            if lease is not None and (change := self._hear(lease.peer.id, event.body)) is not None:
                changes.append(change)
        return changes

    def recovered(
        self, well: Sequence[Alive], lease_of: Callable[[str, Address], Lease | None]
    ) -> list[Change]:
        """Of keepalives that say OK those count whose peer said otherwise before."""
        changes = []
        for event, _, user, source, _ in well:
            lease = lease_of(user, source)
            if lease is not None and lease.peer.id in self._faults:
                change = self._hear(lease.peer.id, event.body)
                changes += [] if change is None else [change]
        return changes

    def _hear(self, peer: PlatformId, body: bytes) -> Change | None:
        try:
            said = keepalive.read(body)
        except BadCommand:
            self.counts["keepalives_unreadable"] += 1
            self._deviates(peer, "unreadable")
            return None
        before = self.of(peer)
        now = Fault(not said.ok, said.faulty)
        if now == before:
            return None
        if now == NONE:
            del self._faults[peer]
        else:
            self._faults[peer] = now
        self.counts["faults_changed"] += 1
        if self._sparse.due(peer):
            log.warning(
                "peer.fault",
                extra={"peer": peer, "itself": now.itself, "children": list(now.children[:10])},
            )
        return Change(peer, before, now)

    def forget(self, peer: PlatformId) -> Change | None:
        """It is offline, and what it said is out of date."""
        before = self._faults.pop(peer, None)
        return None if before is None else Change(peer, before, NONE)
