"""Who below us is registered, from where and until when (GB/T 28181-2016 9.1, 9.6).

Values in, values out: the digest was checked by the engine, the answers are sent by the face. A
lease ends by its registration or by silence, whichever is first, and all leases share one heap.
Time is the engine's stamp of the datagram, and the seconds in which our own loop stood still count for
nobody's silence: a held-up process declares nobody dead too early (Q15).
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from heapq import heappop, heappush
from typing import Final, Literal, Protocol, assert_never

from cascade.addresses import Networks
from cascade.model.ids import PlatformId
from cascade.peers import LowerPeer
from cascade.ports import Binding
from sip.events import Address, Auth, Reply

DEFAULT_EXPIRES: Final = 3600
"""Of a REGISTER that names none (RFC 3261 10.3)."""

OUR_VERSION: Final = "2.0"
"""X-GB-Ver of the 2016 edition; given to whoever sends the header (2022 annex I)."""

FOLLOW_SECONDS: Final = 10.0
"""A port that was followed is kept so long. A keepalive proves nothing but its source, which can be forged:
each packet may cost an audit record and a change of address only so often."""

MAX_HELD_UP: Final = 256
"""Times that we stood still which are remembered; the oldest is forgotten first. One lies at most a
lease back, or concerns nobody."""

BEIJING: Final = timezone(timedelta(hours=8))

Why = Literal["registered", "revived", "restored", "moved", "followed", "removed", "expired", "silent"]


class Heard(Protocol):
    """What is needed of a request; `sip.events.Event` has it."""

    @property
    def transaction(self) -> int: ...
    @property
    def source(self) -> Address: ...
    @property
    def arrived(self) -> float: ...
    @property
    def from_user(self) -> str: ...
    @property
    def auth(self) -> int: ...
    @property
    def username(self) -> str: ...
    @property
    def transport(self) -> str: ...
    @property
    def certificate(self) -> str: ...
    @property
    def expires(self) -> int | None: ...
    @property
    def contact(self) -> str | None: ...
    def header(self, name: str, /) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """`expires` is what we grant; 0 removed the registration."""

    transaction: int
    expires: int
    contact: str
    versioned: bool


@dataclass(frozen=True, slots=True)
class Challenged:
    """No proof, or a wrong one, or an id nobody knows: all alike (401)."""

    transaction: int
    versioned: bool


@dataclass(frozen=True, slots=True)
class Refused:
    transaction: int
    status: Literal[403, 423]
    min_expires: int = 0


Decision = Accepted | Challenged | Refused


@dataclass(frozen=True, slots=True)
class Change:
    """A peer came, went, or is reached at another address now (`moved` by REGISTER, `followed` by port)."""

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
    contact: str
    granted: int
    registered_at: float  # wall clock
    ends: float
    heard: float
    silence: float  # seconds without a keepalive that end it
    online: bool = True
    queued: float = 0.0  # the moment under which the heap holds it, 0 when it does not
    follows_from: float = 0.0  # until then it stays at its port, whatever a keepalive says

    @property
    def due(self) -> float:
        return min(self.ends, self.heard + self.silence)

    @property
    def address(self) -> Address:
        return (self.host, self.port)


class Registrar:
    """All leases of one side's lowers.

    After each call the owner takes `changes` (to tell the other side) and `bindings` (to store).
    """

    def __init__(self, peers: Mapping[PlatformId, LowerPeer]) -> None:
        self._learn(peers)
        self._leases: dict[PlatformId, Lease] = {}
        self._by_address: dict[Address, PlatformId] = {}
        self._due: list[tuple[float, PlatformId]] = []
        self._changes: list[Change] = []
        self._unsaved: set[PlatformId] = set()
        self._held_up: deque[tuple[float, float]] = deque(maxlen=MAX_HELD_UP)  # until when, how long
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many are online."""
        return sum(lease.online for lease in self._leases.values())

    def _learn(self, peers: Mapping[PlatformId, LowerPeer]) -> None:
        self._peers = dict(peers)
        self._names: dict[str, LowerPeer] = {}
        for peer in peers.values():
            self._names[peer.id] = peer
            self._names.update(dict.fromkeys(peer.aliases, peer))
        self._networks = {peer.id: Networks(peer.networks) for peer in peers.values()}

    def adopt(self, peers: Mapping[PlatformId, LowerPeer]) -> None:
        """These are the peers from now on: who is none, or may not speak so or from there, has no lease."""
        self._learn(peers)
        for peer, lease in list(self._leases.items()):
            new = self._peers.get(peer)
            other = new is not None and new.transport not in {"any", lease.peer.transport}
            if new is None or other or lease.host not in self._networks[peer]:
                self._remove(peer)
            elif new != lease.peer:
                lease.peer, lease.silence = new, silence(new)
                self._queue(lease, lease.due)

    def decide(self, events: Iterable[Heard], now: float, wall: float) -> list[Decision]:
        """Judge a run of REGISTER. `now` belongs to `wall`; leases count from each event's stamp."""
        return [self._decide(event, wall - now) for event in events]

    def keepalives(self, events: Sequence[Heard]) -> list[Reply]:
        """Answer a run of keepalives, each of them a MESSAGE that `owns` linked to a lease."""
        return [(event.transaction, 200 if self._hear(event) else 403) for event in events]

    def lease_of(self, user: str, source: Address) -> Lease | None:
        """The lease a request belongs to, lapsed ones too: by From user and source, never by one of them.

        A name we do not know counts as its peer's when it comes from exactly the registered
        address (Q09).
        """
        known = self._names.get(user)
        peer = self._by_address.get(source) if known is None else known.id
        lease = None if peer is None else self._leases.get(peer)
        if lease is None or lease.host != source[0]:
            return None
        if lease.port != source[1] and lease.peer.binding != "same-host":
            return None
        return lease

    def lease(self, peer: PlatformId) -> Lease | None:
        """The lease of `peer` if it is online."""
        lease = self._leases.get(peer)
        return lease if lease is not None and lease.online else None

    def held_up(self, seconds: float, now: float) -> None:
        """Our own loop stood still so long, until `now`: what peers sent meanwhile may be lost.

        Each lease is given that time once more, but never more than its own silence in all.
        """
        self._held_up.append((now, seconds))
        self.counts["held_up"] += 1

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        return self._due[0][0] if self._due else None

    def advance(self, now: float) -> None:
        """Let leases lapse whose time is over."""
        while self._due and self._due[0][0] <= now:
            at, peer = heappop(self._due)
            lease = self._leases.get(peer)
            if lease is None or lease.queued != at:
                continue  # an entry that a shorter lease has overtaken
            lease.queued = 0.0
            if not lease.online:
                continue
            if lease.due > now:
                self._queue(lease, lease.due)
                continue
            ends, silent = self._prolonged(lease)
            if min(ends, silent) > now:
                self._queue(lease, min(ends, silent))
                continue
            lease.online = False
            self._changed(lease, "expired" if ends <= now else "silent")

    def restore(self, bindings: Iterable[Binding], now: float, wall: float) -> None:
        """Take up what was stored: who still has a registration is online until it is silent."""
        for binding in bindings:
            peer = self._peers.get(binding.peer)
            if peer is None or binding.host not in self._networks[peer.id]:
                continue
            ends = now + binding.expires_at - wall
            lease = self._enter(peer, (binding.host, binding.port), now, ends)
            lease.contact = binding.contact
            lease.granted = max(1, round(binding.expires_at - binding.registered_at))
            lease.registered_at = binding.registered_at
            lease.online = ends > now
            if lease.online:
                self._changed(lease, "restored")
        self._unsaved.clear()

    def changes(self) -> list[Change]:
        """Drain what changed since the last call, in order."""
        changes, self._changes = self._changes, []
        return changes

    def bindings(self, now: float, wall: float) -> tuple[list[Binding], list[PlatformId]]:
        """Drain what has to be stored, and whose binding has to go."""
        leases = [(peer, self._leases.get(peer)) for peer in self._unsaved]
        self._unsaved.clear()
        kept = [
            Binding(
                peer=peer,
                host=lease.host,
                port=lease.port,
                contact=lease.contact,
                expires_at=wall + lease.ends - now,
                registered_at=lease.registered_at,
            )
            for peer, lease in leases
            if lease is not None
        ]
        return kept, [peer for peer, lease in leases if lease is None]

    def _decide(self, event: Heard, offset: float) -> Decision:
        transaction = event.transaction
        versioned = event.header("X-GB-Ver") is not None
        peer = self._proven(event)
        if peer is None:
            return Challenged(transaction, versioned)
        wanted, arrived, source = event.expires, event.arrived, event.source
        lease = self._leases.get(peer.id)
        elsewhere = (
            lease
            if lease and lease.online and _is_elsewhere(lease, event) and not self._over(lease, arrived)
            else None
        )
        if elsewhere is not None and peer.binding == "strict":  # nor may it end there, to begin here
            self.counts["takeover_refused"] += 1
            return Refused(transaction, 403)
        if wanted == 0:
            self._remove(peer.id)
            return Accepted(transaction, 0, "", versioned)
        expires = min(DEFAULT_EXPIRES if wanted is None else wanted, peer.max_expires)
        if expires < peer.min_expires:
            return Refused(transaction, 423, peer.min_expires)
        if elsewhere is not None:
            kept = peer.binding == "same-host" and elsewhere.host == source[0]
            self._moved(elsewhere, source, "followed" if kept else "moved")
            self.counts["moved"] += 1
        came = lease is None or not lease.online
        lease = self._enter(peer, source, arrived, arrived + expires)
        lease.contact = event.contact or f"sip:{peer.id}@{source[0]}:{source[1]}"
        lease.granted = expires
        lease.registered_at = arrived + offset
        lease.online = True
        if came:
            self._changed(lease, "registered")
        return Accepted(transaction, expires, lease.contact, versioned)

    def _proven(self, event: Heard) -> LowerPeer | None:
        """The peer a REGISTER proved to come from: its id, its password, its networks."""
        if event.auth != Auth.VERIFIED:
            return None
        peer = self._names.get(event.from_user)
        if peer is None or event.username != peer.id:
            self.counts["another_name"] += 1  # right password of one id, presented for another
            return None
        if event.source[0] not in self._networks[peer.id]:
            self.counts["another_network"] += 1
            return None
        if not _comes_as_agreed(event, peer):
            self.counts["another_transport"] += 1
            return None
        return peer

    def _hear(self, event: Heard) -> bool:
        source, arrived = event.source, event.arrived
        lease = self.lease_of(event.from_user, source)
        if lease is None:
            return False
        if not lease.online or self._over(lease, arrived):
            if lease.peer.revival == "refuse":
                return False
            lease.ends = arrived + lease.granted
            if not lease.online:
                lease.online = True
                self.counts["revived"] += 1
                lease.heard = arrived
                self._queue(lease, lease.due)
                self._changed(lease, "revived")
        elif lease.peer.revival == "revive":
            lease.ends = max(lease.ends, arrived + lease.granted)
        lease.heard = max(lease.heard, arrived)
        if lease.port != source[1] and arrived < lease.follows_from:
            self.counts["follows_held"] += 1
        elif lease.port != source[1]:
            self.counts["followed"] += 1
            lease.follows_from = arrived + FOLLOW_SECONDS
            self._moved(lease, source, "followed")
            self._forget_address(lease)
            lease.port = source[1]
            self._by_address[source] = lease.peer.id
            self._unsaved.add(lease.peer.id)
        return True

    def _enter(self, peer: LowerPeer, source: Address, heard: float, ends: float) -> Lease:
        lease = self._leases.get(peer.id)
        if lease is None:
            lease = Lease(peer, *source, "", 0, 0.0, ends, heard, silence(peer), online=False)
            self._leases[peer.id] = lease
        else:
            if lease.address != source:
                self._forget_address(lease)
                lease.host, lease.port = source
            lease.ends, lease.heard = ends, heard
        self._by_address[source] = peer.id
        self._unsaved.add(peer.id)
        self._queue(lease, lease.due)
        return lease

    def _remove(self, peer: PlatformId) -> None:
        lease = self._leases.pop(peer, None)
        if lease is None:
            return
        self._forget_address(lease)
        self._unsaved.add(peer)
        if lease.online:
            lease.online = False
            self._changed(lease, "removed")

    def _forget_address(self, lease: Lease) -> None:
        if self._by_address.get(lease.address) == lease.peer.id:
            del self._by_address[lease.address]

    def _over(self, lease: Lease, at: float) -> bool:
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

    def _queue(self, lease: Lease, due: float) -> None:
        """Keep one entry of a lease in the heap, at or before its end; renewals cost nothing."""
        if not lease.queued or due < lease.queued:
            lease.queued = due
            heappush(self._due, (due, lease.peer.id))

    def _moved(self, lease: Lease, source: Address, why: Literal["moved", "followed"]) -> None:
        before, after = (f"{host}:{port}" for host, port in (lease.address, source))
        self._changes.append(Change(lease.peer.id, True, why, moved_from=before, moved_to=after))

    def _changed(self, lease: Lease, why: Why) -> None:
        self._changes.append(Change(lease.peer.id, lease.online, why))


def silence(peer: LowerPeer) -> float:
    """Seconds without a keepalive that end a lease."""
    return peer.keepalive_seconds * peer.keepalive_misses + peer.grace_seconds


def beijing_time(wall: float) -> str:
    """Date of a registration's answer: local form without a zone (9.10.1, Q04)."""
    return datetime.fromtimestamp(wall, BEIJING).replace(tzinfo=None).isoformat(timespec="milliseconds")


def answer(decision: Decision, date: str) -> Reply:
    """The reply to a REGISTER; the engine adds the challenge to a 401 (Q04: the 200 is complete)."""
    match decision:
        case Accepted(transaction, expires, contact, versioned):
            headers = [("Expires", str(expires)), ("Date", date)]
            if expires:
                headers.insert(0, ("Contact", f"<{contact}>;expires={expires}"))
            if versioned:
                headers.append(("X-GB-Ver", OUR_VERSION))
            return (transaction, 200, headers)
        case Challenged(transaction, versioned):
            return (transaction, 401, [("X-GB-Ver", OUR_VERSION)]) if versioned else (transaction, 401)
        case Refused(transaction, 423, min_expires):
            return (transaction, 423, [("Min-Expires", str(min_expires))])
        case Refused(transaction, status):
            return (transaction, status)
        case _:
            assert_never(decision)


def _is_elsewhere(lease: Lease, event: Heard) -> bool:
    """Does it register from another address? The port at the other end of a connection tells nothing."""
    if lease.address == event.source:
        return False
    return event.transport == "udp" or lease.host != event.source[0]


def _comes_as_agreed(event: Heard, peer: LowerPeer) -> bool:
    """By the transport that was agreed, and with a certificate in its name where it needs one."""
    if peer.transport != "any" and peer.transport != event.transport:
        return False
    return not peer.certificate or peer.id in event.certificate.split()
