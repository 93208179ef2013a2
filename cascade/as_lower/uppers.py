"""Those above us, each with everything that is its own, and which of them a request is from."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from cascade.addresses import Networks
from cascade.as_lower.redirects import Place
from cascade.as_lower.registrant import Registrant
from cascade.as_lower.reporting import Reporting
from cascade.as_lower.sharing import CatalogAnswers, Share
from cascade.as_lower.subscriptions import Subscriptions
from cascade.model.ids import PlatformId
from cascade.peers import UpperPeer
from sip.events import Event


class Upper:
    """One upper: what it is shown, our registration at it, our answers to its catalog queries, its alarms,
    and what it subscribed to."""

    def __init__(
        self,
        peer: UpperPeer,
        share: Share,
        registrant: Registrant,
        answers: CatalogAnswers,
        reporting: Reporting,
        subscriptions: Subscriptions,
    ) -> None:
        self.peer = peer
        self.share = share
        self.registrant = registrant
        self.answers = answers
        self.reporting = reporting
        self.subscriptions = subscriptions
        self.configured = peer
        self.gone = False  # it is no upper of ours any more: nothing is said to it
        self._place: Place | None = None

    def adopt(self, peer: UpperPeer) -> None:
        """It is described otherwise now; nothing that it was shown is another."""
        self.configured = peer
        self.lead(self._place)
        self.registrant.adopt(peer)
        self.reporting.registrant = self.registrant
        self.subscriptions.registrant = self.registrant

    def lead(self, place: Place | None) -> None:
        """By its 302 it is elsewhere from now on, None: where it is configured. All else is for there."""
        peer = self.configured
        if place is not None:
            peer = replace(
                peer,
                host=place.host,
                port=place.port,
                domain=place.domain,
                networks=(*peer.networks, place.host),
                media_networks=(*peer.media_networks, place.host),
            )
        self._place = place
        self.reporting.server = peer.id if place is None else place.id
        self.peer = peer
        self.share.upper = peer


Pairs = Sequence[tuple[str, str, str]]
"""The ids that an upper was shown: peer, name, shown."""


class Uppers:
    """Those of one face. `make` builds one, with the ids that it was shown in an earlier run."""

    def __init__(self, peers: Collection[UpperPeer], make: Callable[[UpperPeer, Pairs], Upper]) -> None:
        self._make = make
        self.learn(peers)
        self._uppers = {peer.id: make(peer, ()) for peer in peers}

    def learn(self, peers: Collection[UpperPeer]) -> None:
        """From where each of them speaks, and by which names."""
        self._networks = {peer.id: Networks((*peer.networks, peer.host)) for peer in peers}
        self._names = {name: peer.id for peer in peers for name in (*peer.aliases, peer.id)}
        self._by_address = {(peer.host, peer.port): peer.id for peer in peers}
        self._homes = {(peer.host, peer.id) for peer in peers}
        self._hosts = frozenset(peer.host for peer in peers)

    def lead(self, upper: PlatformId, place: Place | None) -> None:
        """One of them is elsewhere, or home again."""
        found = self._uppers.get(upper)
        if found is not None:
            found.lead(place)
            self.relearn({})

    def relearn(self, coming: Mapping[PlatformId, UpperPeer]) -> None:
        """Where they are now, and where those will be who come."""
        there = {upper: found.peer for upper, found in self._uppers.items()}
        self.learn([*({**coming, **there}.values())])

    def add(self, peer: UpperPeer, pairs: Pairs) -> Upper:
        """One more, with what it was shown in an earlier life."""
        found = self._uppers[peer.id] = self._make(peer, pairs)
        return found

    def remove(self, upper: PlatformId) -> None:
        del self._uppers[upper]

    def __iter__(self) -> Iterator[Upper]:
        return iter(self._uppers.values())

    def get(self, upper: PlatformId) -> Upper | None:
        return self._uppers.get(upper)

    def restore(self, upper: PlatformId, pairs: Pairs) -> None:
        """Build it anew, knowing what it was shown."""
        self._uppers[upper] = self._make(self._uppers[upper].peer, pairs)

    def of(self, event: Event) -> Upper | None:
        """By From user from within its networks; under another name only from exactly its address (Q09).

        A host that is an upper's own speaks for no other upper, whatever their networks say.
        """
        host = event.source[0]
        name = self._names.get(event.from_user)
        if name is None:
            upper = self._by_address.get(event.source)
            return None if upper is None else self._uppers.get(upper)
        if host in self._hosts and (host, name) not in self._homes:
            return None
        return self._uppers.get(name) if host in self._networks[name] else None
