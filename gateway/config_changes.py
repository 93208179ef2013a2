"""What differs between the configuration that counts and another: what is taken at once, and what waits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from cascade.as_lower.adoption import ADDRESS, NAMES
from cascade.model.ids import PlatformId
from certs.identities import SideName
from gateway.config_diff import RuleChanges, changed_rules
from gateway.config_lowers import pairs
from gateway.credentials.holders import Kept, Secrets, SideSecrets
from gateway.words import Saying, Words, saying

if TYPE_CHECKING:
    from gateway.config import Config, SideConfig
    from gateway.config_peers import LowerConfig, UpperConfig

TAKEN: Final = (
    "media.",
    "ptz.",
    "alarms.",
    "link.certs",
    "link.alive_seconds",
    "link.unheard_bytes",
    "secrets.",
    *(f"{side}.{key}" for side in ("outer", "inner") for key in ("networks", "tls.", "limits.")),
)
"""How the keys begin that count without a start, besides those of rules and peers."""

BELOW: Final = "lower"
ABOVE: Final = "upper"
ADMITTED: Final = "admit"


class Other(Struct, frozen=True):
    """A peer of which these keys are others. `anew`: we register there once more."""

    peer: str
    keys: tuple[str, ...]
    anew: bool = False


class PeerChanges(Struct, frozen=True):
    """Of the peers of one side that stand below us, or above."""

    side: SideName
    above: bool
    added: tuple[str, ...]
    removed: tuple[str, ...]
    others: tuple[Other, ...]
    passwords: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        return bool(self.added or self.removed or self.others or self.passwords)


class Changes(Struct, frozen=True):
    """`limits` are keys that count at once, `later` those that count from the next start on; `certificates`
    are the sides of which the files of `[SIDE.tls]` say something else."""

    rules: RuleChanges
    peers: tuple[PeerChanges, ...]
    limits: tuple[str, ...]
    later: tuple[str, ...]
    certificates: tuple[SideName, ...] = ()

    @property
    def sides(self) -> bool:
        """Is there anything for the sides, besides the rules?"""
        return bool(self.peers or self.limits or self.certificates)

    @property
    def any(self) -> bool:
        return self.rules.any or self.sides


def changes_of(
    before: "Config",
    after: "Config",
    known: Secrets | None = None,
    given: Secrets | None = None,
    here: SideName | None = None,
) -> Changes:
    """From the one to the other. `known` and `given` are their secrets; `here`: the side that runs."""
    keys = list(_keys(before, after))
    found = []
    for side in _sides(here):
        own, new = _side(before, side), _side(after, side)
        was, now = (SideSecrets() if one is None else one.of(side) for one in (known, given))
        lower = dict(pairs(own.lower)), dict(pairs(new.lower))
        upper = _by_id(own.upper), _by_id(new.upper)
        found.append(_peers(side, False, *lower, _others(was.below, now.below)))
        found.append(_peers(side, True, *upper, _others(was.above, now.above)))
    return Changes(
        changed_rules(before.rule, after.rule),
        tuple(each for each in found if each.any),
        tuple(key for key in keys if key.startswith(TAKEN)),
        tuple(key for key in keys if not key.startswith(TAKEN)),
    )


def in_force(before: "Config", after: "Config") -> "Config":
    """What counts once `after` was taken by what ran with `before`: what waits for a start is as it was."""
    given = after.link
    link = replace(
        before.link,
        certs=given.certs,
        alive_seconds=given.alive_seconds,
        unheard_bytes=given.unheard_bytes,
    )
    return replace(
        before,
        secrets=after.secrets,
        media=after.media,
        ptz=after.ptz,
        alarms=after.alarms,
        link=link,
        outer=_side_in_force(before.outer, after.outer),
        inner=_side_in_force(before.inner, after.inner),
        rule=after.rule,
    )


def _side_in_force(before: "SideConfig", after: "SideConfig") -> "SideConfig":
    taken = replace(before, admit=after.admit, lower=after.lower, upper=after.upper)
    return replace(taken, limits=after.limits, networks=after.networks, tls=after.tls)


def _sides(here: SideName | None) -> tuple[SideName, ...]:
    return ("outer", "inner") if here is None else (here,)


def _side(config: "Config", side: SideName) -> "SideConfig":
    return config.outer if side == "outer" else config.inner


def _keys(before: "Config", after: "Config") -> Iterator[str]:
    """Those that differ, but of rules and peers."""
    for name, old in asdict(before).items():
        if name != "rule":
            yield from _differing(name, old, getattr(after, name))


def _differing(key: str, old: object, new: object) -> Iterator[str]:
    if type(old) is type(new) and isinstance(old, Struct):
        for name, value in asdict(old).items():
            if name not in {BELOW, ABOVE, ADMITTED}:
                yield from _differing(f"{key}.{name}", value, getattr(new, name))
    elif old != new:
        yield key


def _others(known: Kept, given: Kept) -> tuple[str, ...]:
    """The peers that have another than they had."""
    if known == given:
        return ()
    return tuple(peer for peer in known if peer in given and known[peer] != given[peer])


def _by_id(peers: "Sequence[UpperConfig]") -> "dict[PlatformId, UpperConfig]":
    return {peer.id: peer for peer in peers}


def _peers(
    side: SideName,
    above: bool,
    old: Mapping[PlatformId, "LowerConfig | UpperConfig"],
    new: Mapping[PlatformId, "LowerConfig | UpperConfig"],
    passwords: Sequence[str],
) -> PeerChanges:
    """Of those by the ids of either, each id with somebody who is described alike."""
    others = []
    compared: dict[tuple[int, int], tuple[str, ...]] = {}
    for name, was in old.items():
        peer = new.get(name)
        if peer is None:
            continue
        pair = id(was), id(peer)
        if pair not in compared:
            differing = (key.removeprefix(".") for key in _differing("", was, peer))
            compared[pair] = tuple(key for key in differing if key != "id")
        if keys := compared[pair]:
            others.append(Other(str(name), keys, above and not {*ADDRESS, *NAMES}.isdisjoint(keys)))
    return PeerChanges(
        side,
        above,
        added=tuple(str(name) for name in new if name not in old),
        removed=tuple(str(name) for name in old if name not in new),
        others=tuple(others),
        passwords=tuple(str(name) for name in passwords if name in old and name in new),
    )


def told(changes: Changes, words: Words, some: Callable[[Sequence[str]], str]) -> Iterator[str]:
    """What is not about rules, for a person: what becomes of each peer, and which limits count."""
    for peers in changes.peers:
        for text in _of_peers(peers, some):
            yield words.render(text)
    if changes.limits:
        yield words.say("change.limits", keys=some(changes.limits))
    for side in changes.certificates:
        yield words.say("change.tls", side=_named(side))
    if "link.certs" in changes.limits:
        yield words.say("change.certificates")


def _named(side: SideName) -> Saying:
    return saying("side.outer") if side == "outer" else saying("side.inner")


def _of_peers(peers: PeerChanges, some: Callable[[Sequence[str]], str]) -> Iterator[Saying]:
    side = _named(peers.side)
    if peers.added and peers.above:
        yield saying("change.upper_new", side=side, peers=some(peers.added))
    elif peers.added:
        yield saying("change.lower_new", side=side, peers=some(peers.added))
    if peers.removed and peers.above:
        yield saying("change.upper_gone", side=side, peers=some(peers.removed))
    elif peers.removed:
        yield saying("change.lower_gone", side=side, peers=some(peers.removed))
    for other in peers.others:
        keys = some(other.keys)
        if other.anew:
            yield saying("change.upper_anew", side=side, peer=other.peer, keys=keys)
        else:
            yield saying("change.peer_other", side=side, peer=other.peer, keys=keys)
    if peers.passwords:
        yield saying("change.passwords", side=side, peers=some(peers.passwords))


def noted(changes: Changes, some: Callable[[Sequence[str]], str]) -> dict[str, str]:
    """The same for an audit record."""
    details: dict[str, str] = {}
    for peers in changes.peers:
        place = f"{peers.side}_{ABOVE if peers.above else BELOW}"
        found = {
            "added": some(peers.added),
            "removed": some(peers.removed),
            "changed": some([other.peer for other in peers.others]),
            "passwords": some(peers.passwords),
        }
        details |= {f"{place}_{what}": names for what, names in found.items() if names}
    if changes.limits:
        details["limits"] = some(changes.limits)
    if changes.certificates:
        details["certificates"] = some(changes.certificates)
    return details
