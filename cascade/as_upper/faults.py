"""What peers say in keepalives is broken at theirs: shown to operators, never a reason to drop them (Q14)."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cascade.as_upper.refusals import Sparse
from cascade.as_upper.registrar import Lease
from cascade.errors import BadCommand
from cascade.manscdp import keepalive
from cascade.model.ids import PeerName, PlatformId
from sip.events import Address, Event

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """`itself`: its Status was not OK. `children` are those that it lists as broken."""

    itself: bool
    children: tuple[PeerName, ...] = ()


NONE = Fault(itself=False)


class Faults:
    """The last word of each peer that has any; one who says OK again has none."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._faults: dict[PlatformId, Fault] = {}
        self._sparse = Sparse(clock)
        self.counts: Counter[str] = Counter()

    def of(self, peer: PlatformId) -> Fault:
        return self._faults.get(peer, NONE)

    def __len__(self) -> int:
        return len(self._faults)

    def hear(self, keepalives: Sequence[Event], lease_of: Callable[[str, Address], Lease | None]) -> None:
        """Note what they say; their leases are renewed already."""
        for event in keepalives:
            lease = lease_of(event.from_user, event.source)
            if lease is not None:
                self._hear(lease.peer.id, event.body)

    def _hear(self, peer: PlatformId, body: bytes) -> None:
        try:
            said = keepalive.read(body)
        except BadCommand:
            self.counts["keepalives_unreadable"] += 1
            return
        before = self.of(peer)
        now = Fault(not said.ok, said.faulty)
        if now == before:
            return
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

    def forget(self, peer: PlatformId) -> None:
        self._faults.pop(peer, None)
