"""What a running side takes of another configuration: its peers, their secrets, its limits."""

from typing import TYPE_CHECKING

from msgspec.structs import asdict

from cascade.credential import Credential
from gateway.credentials.holders import Kept, SideSecrets
from gateway.side.side import Described, Limits, Side
from gateway.tls import TlsFiles
from sip.algorithms import Algorithm, Qop
from sip.endpoint import Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from certs.identities import SideName
    from gateway.config import Config, SideConfig
    from gateway.transports import Transports


Known = dict[str, tuple[Credential | None, tuple[Algorithm, ...], Qop]]
"""What the engine was told of each name: by what it proves itself, if by anything, and what it is offered."""


class Credentials:
    """The secrets of one side's peers: those below prove theirs to the engine, those above see ours."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._above: Kept = {}
        self._known: Known = {}  # to the engine

    def take(self, own: "SideConfig", secrets: SideSecrets) -> None:
        """Each counts from the next REGISTER on; who is registered stays so."""
        self._above = secrets.above
        known: Known = {}
        for peer in own.lower:
            alike = (None, peer.digest, peer.digest_qop)  # whoever they are
            known.update(dict.fromkeys(peer.aliases, alike))
        kept = secrets.below
        known |= {
            peer.id: (kept[peer.id], peer.digest, peer.digest_qop) for peer in own.lower if peer.id in kept
        }
        for user in self._known.keys() - known.keys():
            self._stack.set_credentials(user, ())
        for user, told in known.items():
            if self._known.get(user) != told:
                credential, algorithms, qop = told
                nothing = [(algorithm, None) for algorithm in algorithms]
                keys = credential.keys(algorithms) if credential else nothing
                self._stack.set_credentials(user, keys, qop)
        self._known = known

    def ours(self, peer: str) -> Credential | None:
        """By what we prove ourselves to one above us."""
        return self._above.get(peer)


def described(own: "SideConfig") -> Described:
    """What displays need of it."""
    return Described(asdict(own.limits), own.admit)


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

    def take(self, config: "Config", secrets: SideSecrets, files: TlsFiles) -> None:
        """From now on it is as this says; all of it fits, as it was checked."""
        name: SideName = "outer" if self._side.name == "outer" else "inner"
        own = config.outer if name == "outer" else config.inner
        self._transports.take(own, files)
        self._credentials.take(own, secrets)
        self._agree(own)
        self._side.endpoint.stack.set_networks(own.networks)
        self._side.bounds.limits = own.limits.above()
        self._side.described = described(own)
        self._side.as_upper.adopt(own.lowers(name), config.ptz.terms(), config.alarms.quota())
        self._side.as_lower.adopt(own.uppers(), config.ptz.terms(), config.alarms.quota())
        self._limits.linger_seconds = config.media.linger_seconds
        self._limits.max_bits_per_second = config.media.max_bits_per_second
        self.on_taken(config)


def _nothing(_config: "Config") -> None:
    """In one process nothing joins the sides."""
