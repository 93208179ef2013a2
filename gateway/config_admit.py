"""Peers below that are admitted by a rule: no table each, but a password each.

Every id that has a password on a side, that no `[[SIDE.lower]]` describes and that a `[[SIDE.admit]]` fits
is a peer with the terms of that rule; the first rule that fits counts. They are found when the
configuration is read, so that whoever comes after that sees a peer like any other.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta
from msgspec.structs import fields, replace

from cascade.model.ids import PlatformId
from certs.identities import SideName
from gateway.config_lowers import ANYBODY, Lowers, pairs
from gateway.config_peers import LowerConfig, LowerTerms
from gateway.words import Saying, saying

if TYPE_CHECKING:
    from gateway.config import Config, SideConfig

ID_DIGITS: Final = 20
LONGEST_REGION: Final = 10
TERMS: Final = tuple(field.name for field in fields(LowerTerms))

Finding = tuple[str, Saying]


class AdmitConfig(LowerTerms, frozen=True, kw_only=True):
    """Devices and platforms below us that need no table of their own: by id, and by having a password."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    """What this rule is called where something is said of it."""
    region: str = ""
    """Up to ten digits with which its ids begin: division, station, industry. Default: any."""
    kinds: tuple[str, ...] = ()
    """Digits 11 to 13 of its ids: "111" to "199" are devices, "200" to "216" platforms. Default: any."""
    most: Annotated[int, Meta(ge=1, le=200_000)] = 10_000
    """So many peers by this rule; a configuration with more is not taken. Default 10,000."""

    def admits(self, name: str) -> bool:
        """Does an id fit? One of other than 20 digits has no kind."""
        if not name.startswith(self.region):
            return False
        regular = len(name) == ID_DIGITS and name.isascii() and name.isdigit()
        return not self.kinds or (regular and name[10:13] in self.kinds)

    def terms(self) -> dict[str, Any]:
        """What `LowerConfig` is given besides an id."""
        return {field: getattr(self, field) for field in TERMS}

    def peer(self, name: PlatformId) -> LowerConfig:
        return LowerConfig(id=name, **self.terms())


def rule_for(side: "SideConfig", name: str) -> AdmitConfig | None:
    """The first rule of a side that an id fits."""
    return next((rule for rule in side.admit if rule.admits(name)), None)


def admitted(
    config: "Config", known: Mapping[SideName, Iterable[str]], here: SideName | None = None
) -> tuple["Config", list[Finding]]:
    """With everybody who is admitted, and what is wrong with that. `known`: ids that have a password."""
    outer, wrong = _side("outer", config.outer, config.inner, known["outer"])
    inner, others = _side("inner", config.inner, config.outer, known["inner"])
    found = [
        finding
        for name, side in (("outer", wrong), ("inner", others))
        if here in {None, name}
        for finding in side
    ]
    return replace(config, outer=outer, inner=inner), found


def _side(
    name: SideName, side: "SideConfig", other: "SideConfig", known: Iterable[str]
) -> tuple["SideConfig", list[Finding]]:
    if not side.admit:
        return side, []
    described = {side.id, *(called for _, peer in side.peers() for called in (peer.id, *peer.aliases))}
    beyond = {*(peer for peer, _ in pairs(other.lower)), *(upper.id for upper in other.upper)}
    found: dict[str, list[PlatformId]] = {rule.name: [] for rule in side.admit}
    wrong: list[Finding] = []
    for text in known:
        rule = rule_for(side, text)
        if rule is None or text in described or (peer := _name(text)) is None:
            continue
        key = f"{name}.admit[#{side.admit.index(rule) + 1}]"
        if text in beyond:
            wrong.append((key, saying("config.on_both_sides", peer=text)))
            continue
        found[rule.name].append(peer)
    for number, rule in enumerate(side.admit, start=1):
        count = len(found[rule.name])
        if count > rule.most:
            what = saying("config.admits_more", rule=rule.name, count=count, most=rule.most)
            wrong.append((f"{name}.admit[#{number}].most", what))
    lower = Lowers(side.lower)
    for rule in side.admit:
        lower.add(rule.peer(ANYBODY), found[rule.name])
    return replace(side, lower=lower), wrong


def _name(text: str) -> PlatformId | None:
    if isinstance(text, PlatformId):
        return text
    try:
        name = PlatformId(text)
    except ValueError:
        return None
    return name if name == text else None


def check_admits(name: str, side: "SideConfig") -> Iterator[Finding]:
    """What is wrong with the rules themselves, but for what they share with every peer."""
    seen: set[str] = set()
    for number, rule in enumerate(side.admit, start=1):
        key = f"{name}.admit[#{number}]"
        if rule.name in seen:
            yield f"{key}.name", saying("config.admit_again", rule=rule.name)
        seen.add(rule.name)
        digits = rule.region.isascii() and rule.region.isdigit() and len(rule.region) <= LONGEST_REGION
        if rule.region and not digits:
            yield f"{key}.region", saying("config.admit_region", region=rule.region)
        for kind in rule.kinds:
            if not (len(kind) == 3 and kind.isascii() and kind.isdigit()):
                yield f"{key}.kinds", saying("config.admit_kind", kind=kind)
        if not rule.region and not rule.kinds:
            yield key, saying("config.admit_anybody", rule=rule.name)


def odd_admits(name: str, side: "SideConfig") -> Iterator[Finding]:
    """Rules that admit nobody. `side` holds those who are admitted already."""
    used: set[str] = set()
    for peer, alike in pairs(side.lower) if side.admit else ():
        rule = rule_for(side, peer)
        if rule is not None and rule.name not in used and rule.peer(alike.id) == alike:
            used.add(rule.name)
    for number, rule in enumerate(side.admit, start=1):
        if rule.name not in used:
            yield f"{name}.admit[#{number}]", saying("config.admits_nobody", rule=rule.name)
