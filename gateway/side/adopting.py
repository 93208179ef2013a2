"""What a running side takes of another configuration: its peers, their passwords, its limits."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cascade.model.secret import Secret
from gateway.side.side import Limits, Side
from gateway.tls import TlsFiles
from sip._native import ha1
from sip.endpoint import Stack
from sip.events import Algorithm

if TYPE_CHECKING:
    from certs.identities import SideName
    from gateway.config import Config, SideConfig
    from gateway.transports import Transports


class Credentials:
    """The passwords of one side's peers: those below prove theirs to the engine, those above see ours."""

    def __init__(self, stack: Stack, realm: str) -> None:
        self._stack = stack
        self._realm = realm
        self._passwords: dict[str, Secret] = {}
        self._known: dict[str, tuple[Secret | None, tuple[Algorithm, ...]]] = {}  # to the engine

    def take(self, own: "SideConfig", passwords: Mapping[str, Secret]) -> None:
        """Each counts from the next REGISTER on; who is registered stays so."""
        self._passwords = dict(passwords)
        known: dict[str, tuple[Secret | None, tuple[Algorithm, ...]]] = {}
        for peer in own.lower:
            known.update(dict.fromkeys(peer.aliases, (None, peer.digest)))  # asked alike, whoever they are
        known |= {peer.id: (passwords[peer.id], peer.digest) for peer in own.lower if peer.id in passwords}
        for user in self._known.keys() - known.keys():
            self._stack.set_credentials(user, ())
        for user, (secret, algorithms) in known.items():
            if self._known.get(user) != (secret, algorithms):
                given = [(algorithm, self._ha1(user, secret, algorithm)) for algorithm in algorithms]
                self._stack.set_credentials(user, given)
        self._known = known

    def _ha1(self, user: str, secret: Secret | None, algorithm: Algorithm) -> str | None:
        return None if secret is None else ha1(user, self._realm, secret.reveal(), algorithm)

    def reveal(self, peer: str) -> str | None:
        secret = self._passwords.get(peer)
        return None if secret is None else secret.reveal()


class Adopting:
    """Of one side. Whatever is not another is not touched."""

    def __init__(
        self,
        side: Side,
        credentials: Credentials,
        limits: Limits,
        agree: "Callable[[SideConfig], None]",
        transports: "Transports",
    ) -> None:
        """`agree` tells the engine how each peer is reached."""
        self._side = side
        self._agree = agree
        self._credentials = credentials
        self._limits = limits
        self._transports = transports
        self.on_taken: Callable[[Config], None] = _nothing
        """Told too: whatever joins this side with the other host."""

    def certificates(self) -> str:
        """The mark of those that count here (`TlsFiles.mark`)."""
        return self._transports.mark

    def take(self, config: "Config", passwords: Mapping[str, Secret], files: TlsFiles) -> None:
        """From now on it is as this says; all of it fits, as it was checked."""
        name: SideName = "outer" if self._side.name == "outer" else "inner"
        own = config.outer if name == "outer" else config.inner
        self._transports.take(own, files)
        self._credentials.take(own, passwords)
        self._agree(own)
        self._side.endpoint.stack.set_networks(own.networks)
        self._side.as_upper.adopt(own.lowers(name), config.ptz.terms(), config.alarms.quota())
        self._side.as_lower.adopt(own.uppers(), config.ptz.terms(), config.alarms.quota())
        self._limits.linger_seconds = config.media.linger_seconds
        self._limits.max_bits_per_second = config.media.max_bits_per_second
        self.on_taken(config)


def _nothing(_config: "Config") -> None:
    """In one process nothing joins the sides."""
