"""What a running side takes of another configuration: its peers, their secrets, its limits."""

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import asdict

from cascade.credential import Credential
from gateway.config_lowers import ANYBODY, pairs
from gateway.credentials.holders import Kept, SideSecrets
from gateway.side.side import Described, Limits, Side
from gateway.tls import TlsFiles
from sip.endpoint import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from certs.identities import SideName
    from gateway.config import Config, SideConfig
    from gateway.config_peers import LowerConfig
    from gateway.transports import Transports
    from sip.algorithms import Algorithm, Qop


class Offer(NamedTuple):
    """What whoever bears a name is asked for, and whether anything proves it."""

    proves: bool
    algorithms: "tuple[Algorithm, ...]"
    qop: "Qop"


class Credentials:
    """The secrets of one side's peers: those below prove theirs to the engine, those above see ours."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._above: Kept = {}
        self._below: Kept = {}
        self._lower: Sequence[LowerConfig] = ()  # and these were told to the engine

    def take(self, own: "SideConfig", secrets: SideSecrets) -> None:
        """Each counts from the next REGISTER on; who is registered stays so."""
        kept, before = secrets.below, self._below
        told = dict(_offered(self._lower, before))
        for user, offer in _offered(own.lower, kept):
            credential = kept.get(user) if offer.proves else None
            if told.pop(user, None) != offer or (offer.proves and before.get(user) != credential):
                nothing = [(algorithm, None) for algorithm in offer.algorithms]
                keys = credential.keys(offer.algorithms) if credential else nothing
                self._stack.set_credentials(user, keys, offer.qop)
        for user in told:
            self._stack.set_credentials(user, ())
        self._above, self._below, self._lower = secrets.above, kept, own.lower

    def ours(self, peer: str) -> Credential | None:
        """By what we prove ourselves to one above us."""
        return self._above.get(peer)


def _offered(lower: "Sequence[LowerConfig]", kept: Kept) -> "Iterator[tuple[str, Offer]]":
    """Each name that somebody below may have; an alias is asked like its peer, and proves nothing."""
    for peer, alike in pairs(lower):
        for alias in alike.aliases:
            yield alias, Offer(False, alike.digest, alike.digest_qop)
        if peer in kept:
            yield peer, Offer(True, alike.digest, alike.digest_qop)


def described(own: "SideConfig") -> Described:
    """What displays need of it."""
    tables: frozenset[str] = frozenset()
    if own.admit:  # else nobody is any rule's
        tables = frozenset(peer for peer, alike in pairs(own.lower) if alike.id != ANYBODY)
    return Described(asdict(own.limits), own.admit, tables)


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
