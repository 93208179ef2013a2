"""Who has a secret by the configuration: for which user and realm, and whether the one that is kept fits."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cascade.credential import Credential
from certs.identities import SideName
from gateway.config_admit import rule_for
from gateway.config_lowers import pairs
from gateway.credentials.store import Holder, Place, read
from gateway.credentials.table import Table
from gateway.words import Saying, saying

if TYPE_CHECKING:
    from gateway.config import Config, SideConfig

SIDES: Final[tuple[SideName, SideName]] = ("outer", "inner")

Kept = Mapping[str, Credential]
"""By the id of the peer."""


class SideSecrets(Struct, frozen=True):
    """Of one side: by what those below prove themselves to us, and we to those above."""

    below: Kept = {}
    above: Kept = {}


class Secrets(Struct, frozen=True):
    """Of both sides."""

    outer: SideSecrets = SideSecrets()
    inner: SideSecrets = SideSecrets()

    def of(self, side: SideName) -> SideSecrets:
        return self.outer if side == "outer" else self.inner

    def ids(self) -> dict[SideName, Iterable[str]]:
        """Who below us has one, by side."""
        return {"outer": self.outer.below, "inner": self.inner.below}


class Expected(Struct, frozen=True):
    """What the secret of one peer has to be for. `user` is "" where the secret itself says it."""

    holder: Holder
    user: str
    realm: str
    usual_user: str = ""

    def misfit(self, kept: Credential | None) -> Saying | None:
        """Why it cannot be used, and what to do; None where it can."""
        peer = self.holder.peer
        if kept is None:
            return saying("config.no_secret", peer=peer)
        if kept.realm != self.realm:
            return saying("config.secret_realm", peer=peer, kept=kept.realm, realm=self.realm)
        if self.user and kept.user != self.user:
            return saying("config.secret_user", peer=peer, kept=kept.user, user=self.user)
        return None


def place_of(config: "Config") -> Place:
    return Place(Path(config.secrets.store), Path(config.secrets.key))


def expected(config: "Config", here: SideName | None = None) -> Iterator[Expected]:
    """Every peer of the sides that run on this host. `here`: that one alone does."""
    for name in SIDES:
        if here not in {None, name}:
            continue
        side = config.outer if name == "outer" else config.inner
        for peer, _ in pairs(side.lower):
            yield _below(name, side, peer)
        for upper, above in zip(side.upper, side.uppers().values(), strict=True):
            yield Expected(Holder(name, True, str(above.id)), upper.username, above.realm, above.username)


def admissible(config: "Config", name: str, here: SideName | None = None) -> Iterator[Expected]:
    """The same for an id that a rule would admit if it had a secret."""
    for side in SIDES:
        own = config.outer if side == "outer" else config.inner
        if here in {None, side} and rule_for(own, name) is not None:
            yield _below(side, own, name)


def _below(name: SideName, side: "SideConfig", peer: str) -> Expected:
    user = str(peer)
    return Expected(Holder(name, False, user), user, side.domain or side.id[:10], user)


def by_side(kept: Mapping[Holder, Credential]) -> Secrets:
    """The same, as each side takes them."""

    def of(side: SideName, above: bool) -> Table:
        rows = kept.items()
        return Table((one.peer, own) for one, own in rows if (one.side, one.above) == (side, above))

    outer, inner = (SideSecrets(of(side, False), of(side, True)) for side in SIDES)
    return Secrets(outer, inner)


def load_secrets(config: "Config") -> Secrets:
    """All that are kept. Raises SecretsUnusable."""
    return by_side(read(place_of(config)))
