"""Who below us may register, and whose a request is (GB/T 28181-2016 9.1, 9.6).

Values in, values out: the digest was checked by the engine, the answers are sent by the face. Until when
somebody counts as there is the business of `leases`, what a REGISTER comes to that of `registering`.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, cast

from cascade.addresses import networks_of
from cascade.as_upper.binding import move
from cascade.as_upper.leases import Change, Lease, Leases
from cascade.as_upper.redirects import Redirects
from cascade.as_upper.registering import Accepted, Challenged, Decision, Redirected, Refused
from cascade.manscdp import Alive
from cascade.model.ids import PlatformId
from cascade.peers import LowerPeer
from cascade.ports import Binding
from sip.events import Address, Cut, Event, Proof, Registration, Reply

DEFAULT_EXPIRES: Final = 3600
"""Of a REGISTER that names none (RFC 3261 10.3)."""


class Registrar:
    """All leases of one side's lowers.

    After each call the owner takes `changes` (to tell the other side) and `bindings` (to store).
    """

    def __init__(self, peers: Mapping[PlatformId, LowerPeer]) -> None:
        self.learn(peers)
        self._leases = Leases()
        self.counts: Counter[str] = Counter()
        self._redirects = Redirects(self.counts)

    def __len__(self) -> int:
        """How many are online."""
        return len(self._leases)

    def learn(self, peers: Mapping[PlatformId, LowerPeer]) -> None:
        """This is the table of the peers; it is kept as it is, since there may be very many."""
        self._peers = peers
        self._known = cast("Callable[[str], LowerPeer | None]", peers.get)  # any text may be asked for
        self._aliases = {alias: peer for peer in peers.values() for alias in peer.aliases}
        self._networks = {
            networks: networks_of(networks) for networks in {p.networks for p in peers.values()}
        }

    def adopt(self, peers: Mapping[PlatformId, LowerPeer]) -> None:
        """These are the peers from now on: who is none, or may not speak so or from there, has no lease."""
        self.learn(peers)
        for lease in self._leases:
            peer = lease.peer.id
            new = self._peers.get(peer)
            other = new is not None and new.transport not in {"any", lease.peer.transport}
            if new is None or other or lease.host not in self._networks[new.networks]:
                self._leases.remove(peer)
            elif new != lease.peer:
                self._leases.renew(lease, new)

    def decide(self, run: Iterable[Registration], now: float, wall: float) -> list[Decision]:
        """Judge a run of REGISTER. `now` belongs to `wall`; leases count from each event's stamp."""
        offset = wall - now
        find, refresh = self._leases.of, self._leases.refresh
        decisions: list[Decision] = []
        for transaction, _, version, user, proof in run:
            if proof is None:
                decisions.append(Challenged(transaction, version is not None))
                continue
            username, source, arrived, transport, _, wanted, contact = proof
            lease = find(user)
            if (
                lease is not None
                and lease.online
                and username == user
                and (lease.host, lease.port) == source
                and lease.transport == transport
                and contact
                and wanted
                and wanted >= (terms := lease.peer.terms).min_expires
                and not (terms.redirect or terms.certificate)
            ):  # the common way: who is there registers again from where it is
                expires = wanted if wanted <= terms.max_expires else terms.max_expires
                refresh(lease, source, arrived, expires, arrived + offset)
                decisions.append(Accepted(transaction, expires, contact, version is not None))
            else:
                decisions.append(self._decide(transaction, version, user, proof, offset))
        return decisions

    def keepalives(self, run: Iterable[Alive]) -> tuple[list[Reply], list[Event]]:
        """Answer a run of keepalives; those that are nobody's of ours (`claims`) are given back."""
        replies: list[Reply] = []
        others: list[Event] = []
        find = self._leases.of
        for event, transaction, user, source, arrived in run:
            lease = find(user)
            if (
                lease is not None
                and lease.online
                and lease.heard <= arrived < lease.ends
                and arrived < lease.heard + lease.silence
                and (lease.host, lease.port) == source
            ):  # the common way: it is there, where it registered, and not late
                lease.heard = arrived
                if lease.peer.terms.revival == "revive" and lease.port == lease.proven:
                    ends = arrived + lease.granted
                    if ends > lease.ends:
                        lease.ends = ends
                replies.append((transaction, 200))
            elif self._hear(user, source, arrived):
                replies.append((transaction, 200))
            elif self.claims(user, source):
                replies.append((transaction, 403))
            else:
                others.append(event)
        return replies, others

    def lease_of(self, user: str, source: Address) -> Lease | None:
        """The lease a request belongs to, lapsed ones too: by From user and source, never by one of them.

        A name we do not know counts as its peer's when it comes from exactly the registered
        address (Q09).
        """
        known = self._known(user) or self._aliases.get(user)
        peer = self._leases.at(source) if known is None else known.id
        lease = None if peer is None else self._leases.of(peer)
        return lease if lease is not None and lease.address == source else None

    def claims(self, user: str, source: Address) -> bool:
        """Is it worth hearing? What `lease_of` knows, and keepalives of who may have changed its port."""
        if self.lease_of(user, source) is not None:
            return True
        lease = self._near(user, source)
        return lease is not None and lease.peer.binding == "same-host"

    def _near(self, user: str, source: Address) -> Lease | None:
        """The lease of that name, if it is at any port of that host."""
        known = self._known(user) or self._aliases.get(user)
        lease = None if known is None else self._leases.of(known.id)
        return lease if lease is not None and lease.host == source[0] else None

    def lease(self, peer: PlatformId) -> Lease | None:
        """The lease of `peer` if it is online."""
        lease = self._leases.of(peer)
        return lease if lease is not None and lease.online else None

    def last(self, peer: PlatformId) -> Lease | None:
        """The lease of `peer`, a lapsed one too."""
        return self._leases.of(peer)

    def address(self, peer: PlatformId) -> Address | None:
        """Where `peer` is reached while it is online."""
        lease = self.lease(peer)
        return None if lease is None else lease.address

    def held_up(self, seconds: float, now: float) -> None:
        """Our own loop stood still so long, until `now`: what peers sent meanwhile may be lost.

        Each lease is given that time once more, but never more than its own silence in all.
        """
        self._leases.held_up(seconds, now)
        self.counts["held_up"] += 1

    @property
    def stirred(self) -> bool:
        """Is there anything to drain?"""
        return self._leases.stirred

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        return self._leases.deadline

    def advance(self, now: float) -> None:
        """Let leases lapse whose time is over; see `Leases`."""
        self._leases.advance(now)

    def restore(self, bindings: Iterable[Binding], now: float, wall: float) -> None:
        """Take up what was stored of those who may still be where they were."""
        for binding in bindings:
            peer = self._peers.get(binding.peer)
            if peer is not None and binding.host in self._networks[peer.networks]:
                self._leases.restore(peer, binding, now, wall)
        self._leases.saved()

    @property
    def changing(self) -> bool:
        """Is there a change that nobody took yet?"""
        return self._leases.changing

    def changes(self, most: int = sys.maxsize) -> list[Change]:
        """Drain what changed since the last call, in order, so many at most."""
        return self._leases.changes(most)

    def addresses(self) -> tuple[list[Address], list[Address], list[Cut]]:
        """Drain where somebody is registered since the last call, and where nobody is any more; `Leases`."""
        return self._leases.addresses()

    def bindings(self, now: float, wall: float) -> tuple[list[Binding], list[PlatformId]]:
        """Drain what has to be stored, and whose binding has to go."""
        return self._leases.bindings(now, wall)

    def _decide(
        self, transaction: int, version: str | None, user: str, proof: Proof, offset: float
    ) -> Decision:
        username, source, arrived, transport, certificate, wanted, contact = proof
        versioned = version is not None
        peer = self._known(user) or self._aliases.get(user)
        if peer is None or username != peer.id:
            self.counts["another_name"] += 1  # right password of one id, presented for another
            return Challenged(transaction, versioned)
        if not self._may(peer, source, transport, certificate):
            return Challenged(transaction, versioned)
        leases = self._leases
        lease = leases.of(peer.id)
        came = lease is None or not lease.online
        elsewhere = None
        if lease is not None and not came and not lease.is_at(source, transport):
            elsewhere = None if leases.over(lease, arrived) else lease
        if elsewhere is not None and peer.binding == "strict":  # nor may it end there, to begin here
            self.counts["takeover_refused"] += 1
            return Refused(transaction, 403)
        if wanted == 0:
            leases.remove(peer.id)
            return Accepted(transaction, 0, "", versioned)
        expires = DEFAULT_EXPIRES if wanted is None else wanted
        if expires > peer.max_expires:
            expires = peer.max_expires
        if expires < peer.min_expires:
            return Refused(transaction, 423, peer.min_expires)
        if peer.redirect and (places := self._redirects.places(peer, version, arrived)):
            leases.remove(peer.id)
            return Redirected(transaction, expires, places, versioned)
        if elsewhere is not None:
            kept = peer.binding == "same-host" and elsewhere.host == source[0]
            leases.moved(elsewhere, source, "followed" if kept else "moved")
            self.counts["moved"] += 1
        lease = leases.enter(peer, source, arrived, arrived + expires)
        leases.grant(lease, expires)
        lease.transport = transport
        lease.registered_at = arrived + offset
        if came:
            lease.online = True
            leases.changed(lease, "registered")
        contact = contact or f"sip:{peer.id}@{source[0]}:{source[1]}"
        return Accepted(transaction, expires, contact, versioned)

    def _may(self, peer: LowerPeer, source: Address, transport: str, certificate: str) -> bool:
        """May it register from there? From its networks, by the transport that was agreed, and with a
        certificate in its name where it needs one."""
        if source[0] not in self._networks[peer.networks]:
            self.counts["another_network"] += 1
            return False
        if (peer.transport != "any" and peer.transport != transport) or (
            peer.certificate and peer.id not in certificate.split()
        ):
            self.counts["another_transport"] += 1
            return False
        return True

    def _hear(self, user: str, source: Address, arrived: float) -> bool:
        lease = self.lease_of(user, source) or self._near(user, source)
        if lease is None:
            return False
        lives = lease.online and not self._leases.over(lease, arrived)
        if source[1] != lease.port and not self._moves(lease, source, arrived, lives=lives):
            return False
        if not lives:
            if lease.peer.revival == "refuse" or lease.port != lease.proven:
                return False
            lease.ends = arrived + lease.granted
            if not lease.online:
                lease.online = True
                self.counts["revived"] += 1
                lease.heard = arrived
                self._leases.queue(lease, lease.due)
                self._leases.changed(lease, "revived")
        elif lease.peer.revival == "revive" and lease.port == lease.proven:
            lease.ends = max(lease.ends, arrived + lease.granted)
        lease.heard = max(lease.heard, arrived)
        return True

    def _moves(self, lease: Lease, source: Address, arrived: float, *, lives: bool) -> bool:
        """It says that it is at another port now: is it?"""
        found = move(lease, source[1], arrived, lives=lives)
        self.counts[found.replace("-", "_")] += 1
        if found not in {"followed", "returned"}:
            return False
        self._leases.follow(lease, source)
        return True
