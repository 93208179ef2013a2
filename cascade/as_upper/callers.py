"""Lowers that call us: only for a voice that was announced to them (9.12, 6.6, Q94)."""

from collections.abc import Callable, Sequence

from cascade.accepting import Refusal, Wish, checked, offer_of
from cascade.addresses import Listener, Networks, networks_of
from cascade.as_upper.questions import Asker
from cascade.as_upper.registrar import Registrar
from cascade.model.commands.broadcast import BROADCAST
from cascade.peers import LowerPeer
from cascade.sdp import voices_of
from sip.events import Event


class Callers:
    """Those of one face; `shown` is the id in our answers, `networks` those where media may go."""

    def __init__(
        self, registrar: Registrar, asker: Asker, networks: Callable[[LowerPeer], Networks], shown: str
    ) -> None:
        self._registrar = registrar
        self._asker = asker
        self._networks = networks
        self._shown = shown

    def awaited(self, event: Event) -> bool:
        """May the sender of this INVITE call us now?"""
        lease = self._registrar.lease_of(event.from_user, event.source)
        return lease is not None and lease.online and self._asker.calls(lease.peer.id)

    def wish(self, event: Event) -> Wish | Refusal:
        """The voice that an INVITE is to bring its sender, or why it gets nothing."""
        lease = self._registrar.lease_of(event.from_user, event.source)
        if lease is None or not self.awaited(event):
            return Refusal(403, "no voice was announced to it")
        peer = lease.peer
        read = offer_of(event, "audio")
        fit = (
            read
            if isinstance(read, Refusal)
            else checked(event, read, self._networks(peer), peer.media_target)
        )
        if isinstance(fit, Refusal):
            return fit
        encodings = voices_of(fit)
        if not encodings:
            return Refusal(488, "no voice in a format that we carry", "G.711 is offered here")
        subject = (event.header("Subject") or "").replace(",", ":").split(":")
        found = self._asker.called(peer.id, {event.from_user, event.to_user, *map(str.strip, subject)})
        if found is None:
            return Refusal(403, "no voice was announced to it")
        return Wish(
            channel=found.target,
            peer=peer.id,
            offer=fit,
            shown=self._shown,
            action=BROADCAST,
            invitation=found.correlation,
            encodings=encodings,
        )


def media_networks(listeners: Sequence[Listener]) -> Callable[[LowerPeer], Networks]:
    """Where the media of each peer may come from: not from sockets of our own."""
    own = tuple(listeners)
    return lambda peer: networks_of(peer.media_networks or peer.networks, own)
