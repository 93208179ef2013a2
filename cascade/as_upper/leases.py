"""Leases of those below us: until when each counts as there, and where it is (GB/T 28181-2016 9.6).

A lease ends by its registration or by silence, whichever is first, and all leases share one heap.
Time is the engine's stamp of the datagram, and the seconds in which our own loop stood still count for
nobody's silence: a held-up process declares nobody dead too early (Q15).
"""

import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final, Literal

from cascade.model.ids import PlatformId
from cascade.peers import LowerPeer
from cascade.ports import Binding
from sip.events import Address, Cut
from sip.uri import host_port

MAX_HELD_UP: Final = 256
"""Times that we stood still which are remembered; the oldest is forgotten first. One lies at most a
lease back, or concerns nobody."""

LAPSES: Final = 256
"""Leases that lapse in one turn of the loop; in a power cut all would at once."""

LOOKED_AT: Final = 2048
"""Leases that are looked at in one turn, most of which were renewed meanwhile."""

Why = Literal[
    "registered", "revived", "restored", "moved", "followed", "returned", "removed", "expired", "silent"
]


@dataclass(frozen=True, slots=True)
class Change:
    """A peer came, went, or is reached at another address now: `moved` by REGISTER, `followed` to another
    port, or `returned` to the one that it registered from."""

    peer: PlatformId
    online: bool
    why: Why
    moved_from: str = ""  # host:port before
    moved_to: str = ""


@dataclass(slots=True)
class Lease:
    """One peer's registration. A lapsed one is kept: its source may revive it (Q05)."""

    peer: LowerPeer
    host: str
    port: int
    granted: int
    registered_at: float  # wall clock
    ends: float
    heard: float
    silence: float  # seconds without a keepalive that end it
    online: bool = True
    queued: float = 0.0  # the moment under which the heap holds it, 0 when it does not
    proven: int = 0  # the port that its REGISTER came from
    transport: str = "udp"  # by which that came
    contested: bool = False  # it spoke from there again after another port was followed

    @property
    def due(self) -> float:
        return min(self.ends, self.heard + self.silence)

    @property
    def address(self) -> Address:
        return (self.host, self.port)

    def is_at(self, source: Address, transport: str) -> bool:
        """Does it speak from there? The port at the other end of a connection tells nothing."""
        return self.host == source[0] and (self.port == source[1] or transport != "udp")


class Leases:
    """All of one side's lowers, lapsed ones too. Whoever changes them drains `changes` and `bindings`."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}  # by id
        self._by_address: dict[Address, PlatformId] = {}
        self._due: list[tuple[float, PlatformId]] = []
        self._changes: deque[Change] = deque()
        self._unsaved: set[PlatformId] = set()
        self._other: dict[Address, bool] = {}  # somebody is there now, or is no longer
        self._cut: list[Cut] = []  # reached by connections that ended with an earlier process
        self._held_up: deque[tuple[float, float]] = deque(maxlen=MAX_HELD_UP)  # until when, how long
        self._grants: dict[int, int] = {}  # one object for all who have the same number; so many are there
        self._silences: dict[float, float] = {}

    def __len__(self) -> int:
        """How many are online."""
        return sum(lease.online for lease in self._leases.values())

    def __iter__(self) -> Iterator[Lease]:
        return iter(list(self._leases.values()))

    def of(self, peer: str) -> Lease | None:
        """Its lease, a lapsed one too."""
        return self._leases.get(peer)

    def at(self, source: Address) -> PlatformId | None:
        """Who is registered at exactly that address."""
        return self._by_address.get(source)

    def held_up(self, seconds: float, now: float) -> None:
        """Our own loop stood still so long, until `now`: what peers sent meanwhile may be lost.

        Each lease is given that time once more, but never more than its own silence in all.
        """
        self._held_up.append((now, seconds))

    @property
    def stirred(self) -> bool:
        """Is there something to drain?"""
        return bool(self._changes or self._unsaved or self._other)

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        return self._due[0][0] if self._due else None

    def advance(self, now: float) -> None:
        """Let leases lapse whose time is over, so many at a time; who is left is due still."""
        before = len(self._changes)
        for _ in range(LOOKED_AT):
            if not self._due or self._due[0][0] > now or len(self._changes) - before >= LAPSES:
                return
            at, peer = heappop(self._due)
            lease = self._leases.get(peer)
            if lease is None or lease.queued != at:
                continue  # an entry that a shorter lease has overtaken
            lease.queued = 0.0
            if not lease.online:
                continue
            if lease.due > now:
                self.queue(lease, lease.due)
                continue
            ends, silent = self._prolonged(lease)
            if min(ends, silent) > now:
                self.queue(lease, min(ends, silent))
                continue
            lease.online = False
            self.changed(lease, "expired" if ends <= now else "silent")

    def restore(self, peer: LowerPeer, binding: Binding, now: float, wall: float) -> None:
        """Take up what was stored: who still has a registration is online until it is silent."""
        ends = now + binding.expires_at - wall
        lease = self.enter(peer, (binding.host, binding.port), now, ends)
        self.grant(lease, max(1, round(binding.expires_at - binding.registered_at)))
        lease.registered_at = binding.registered_at
        lease.proven = binding.proven or binding.port
        lease.transport = sys.intern(binding.transport)
        if lease.transport != "udp":
            self._cut.append((lease.address, peer.id, lease.transport))
        lease.online = ends > now
        if lease.online:
            self.changed(lease, "restored")

    def saved(self) -> None:
        """All of it stands in the store already."""
        self._unsaved.clear()

    @property
    def changing(self) -> bool:
        """Is there a change that nobody took yet?"""
        return bool(self._changes)

    def changes(self, most: int = sys.maxsize) -> list[Change]:
        """Drain what changed since the last call, in order, so many at most."""
        return [self._changes.popleft() for _ in range(min(most, len(self._changes)))]

    def addresses(self) -> tuple[list[Address], list[Address], list[Cut]]:
        """Drain where somebody is since the last call; where nobody is any more; and of the first those that
        are reached by a connection which ended with an earlier process."""
        if not self._other:
            return [], [], []
        other, self._other = self._other, {}
        cut, self._cut = self._cut, []
        gone = [at for at, there in other.items() if not there]
        return [at for at, there in other.items() if there], gone, cut

    def bindings(self, now: float, wall: float) -> tuple[list[Binding], list[PlatformId]]:
        """Drain what has to be stored, and whose binding has to go."""
        offset = wall - now
        kept: list[Binding] = []
        gone: list[PlatformId] = []
        for peer in self._unsaved:
            lease = self._leases.get(peer)
            if lease is None:
                gone.append(peer)
                continue
            ends = lease.ends + offset
            at, proven, transport = lease.registered_at, lease.proven, lease.transport
            kept.append(Binding(peer, lease.host, lease.port, "", ends, at, proven, transport))
        self._unsaved.clear()
        return kept, gone

    def enter(self, peer: LowerPeer, source: Address, heard: float, ends: float) -> Lease:
        lease = self._leases.get(peer.id)
        if lease is None:
            lease = Lease(peer, *source, 0, 0.0, ends, heard, self._silence(peer), online=False)
            self._leases[peer.id] = lease
        else:
            if lease.port != source[1] or lease.host != source[0]:
                self._forget_address(lease)
                lease.host, lease.port = source
            lease.ends = ends
            lease.heard = heard
        lease.proven, lease.contested = source[1], False
        self._be_at(source, peer.id)
        self._unsaved.add(peer.id)
        silent = heard + lease.silence
        due = ends if ends < silent else silent
        if not lease.queued or due < lease.queued:
            self.queue(lease, due)
        return lease

    def grant(self, lease: Lease, expires: int) -> None:
        """For so many seconds it is registered, and by each keepalive again."""
        if lease.granted != expires:
            lease.granted = self._grants.setdefault(expires, expires)

    def refresh(
        self, lease: Lease, source: Address, heard: float, granted: int, registered_at: float
    ) -> None:
        """As `enter`, of one who is there already and speaks from where it is."""
        lease.heard = heard
        lease.ends = ends = heard + granted
        lease.registered_at = registered_at
        self.grant(lease, granted)
        lease.proven, lease.contested = lease.port, False
        peer = lease.peer.id
        if source in self._by_address:
            self._by_address[source] = peer  # behind a proxy there are many: whoever spoke last
        else:
            self._be_at(source, peer)
        self._unsaved.add(peer)
        silent = heard + lease.silence
        due = ends if ends < silent else silent
        if due < lease.queued or not lease.queued:
            self.queue(lease, due)

    def remove(self, peer: PlatformId) -> None:
        lease = self._leases.pop(peer, None)
        if lease is None:
            return
        self._forget_address(lease)
        self._unsaved.add(peer)
        if lease.online:
            lease.online = False
            self.changed(lease, "removed")

    def _forget_address(self, lease: Lease) -> None:
        if self._by_address.get(lease.address) == lease.peer.id:
            del self._by_address[lease.address]
            self._other[lease.address] = False

    def _be_at(self, source: Address, peer: PlatformId) -> None:
        if self._by_address.get(source) is None:
            self._other[source] = True
        self._by_address[source] = peer

    def renew(self, lease: Lease, peer: LowerPeer) -> None:
        """Its peer is described otherwise from now on."""
        lease.peer, lease.silence = peer, self._silence(peer)
        self.queue(lease, lease.due)

    def follow(self, lease: Lease, source: Address) -> None:
        """It is at another port of its address from now on. Where that is the registered one again, two speak
        in its name."""
        returns = source[1] == lease.proven
        lease.contested = lease.contested or returns
        self.moved(lease, source, "returned" if returns else "followed")
        self._forget_address(lease)
        lease.port = source[1]
        self._be_at(source, lease.peer.id)
        self._unsaved.add(lease.peer.id)

    def _silence(self, peer: LowerPeer) -> float:
        seconds = silence(peer)
        return self._silences.setdefault(seconds, seconds)

    def over(self, lease: Lease, at: float) -> bool:
        """Has it ended by `at`?"""
        return lease.due <= at and min(self._prolonged(lease)) <= at

    def _prolonged(self, lease: Lease) -> tuple[float, float]:
        """When it ends by its registration and by silence, with the time that we stood still."""
        ends = lease.ends + min(self._stood_still(lease.ends - lease.granted), lease.silence)
        silent = lease.heard + lease.silence + min(self._stood_still(lease.heard), lease.silence)
        return ends, silent

    def _stood_still(self, since: float) -> float:
        """For how long, of the time since then."""
        return sum(min(seconds, until - since) for until, seconds in self._held_up if until > since)

    def queue(self, lease: Lease, due: float) -> None:
        """Keep one entry of a lease in the heap, at or before its end; renewals cost nothing."""
        if not lease.queued or due < lease.queued:
            lease.queued = due
            heappush(self._due, (due, lease.peer.id))

    def moved(self, lease: Lease, source: Address, why: Literal["moved", "followed", "returned"]) -> None:
        before, after = (host_port(host, port) for host, port in (lease.address, source))
        self._changes.append(Change(lease.peer.id, True, why, moved_from=before, moved_to=after))

    def changed(self, lease: Lease, why: Why) -> None:
        self._changes.append(Change(lease.peer.id, lease.online, why))


def silence(peer: LowerPeer) -> float:
    """Seconds without a keepalive that end a lease."""
    return peer.keepalive_seconds * peer.keepalive_misses + peer.grace_seconds
