"""What the types of the configuration cannot say: what its parts have to do with each other."""

import os
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cascade.model.ids import GbId, PeerName
from certs.identities import SideName
from gateway.chamber.codec import payloads
from gateway.chamber.coverage import covered
from gateway.chamber.policy import CATALOG_ROWS, RESERVED
from gateway.chamber.rules import ANY, Rule, matches
from gateway.chamber.shadows import Shadowed, shadowed
from gateway.chamber.tickets import PREFIX
from gateway.config_admit import check_admits, odd_admits, rule_for
from gateway.config_link import check_link, odd_link
from gateway.config_lowers import ANYBODY, pairs
from gateway.config_reading import Problem
from gateway.credentials.holders import SIDES, Secrets, expected
from gateway.credentials.store import Holder
from gateway.words import Saying, saying
from sip.errors import MalformedMessage
from sip.uri import host_port, parse_uri

if TYPE_CHECKING:
    from gateway.config import Config, SideConfig
    from gateway.config_peers import LowerConfig, UpperConfig

ACTIONS: Final = frozenset({CATALOG_ROWS, "media.live", *(command.action for command in payloads())})
"""What rules can be about."""

OLD_SECRETS: Final = "secrets.toml"
"""Where versions before the sealed store had passwords, in clear."""

MAX_SHADOWS: Final = 100
"""Pairs of rules that one check warns of."""
MAX_OWNER: Final = 256
"""Characters of an Owner that a selector can name."""

Finding = tuple[str, Saying]
"""Key, and what is wrong with it."""


def check(config: "Config", path: Path, here: SideName | None = None) -> list[Problem]:
    """Everything wrong or odd in a document whose types fit. `here`: the one side that runs on this host."""
    sides = (("outer", config.outer), ("inner", config.inner))
    ours = [(name, side) for name, side in sides if here in {None, name}]
    theirs = [(name, side) for name, side in sides if here not in {None, name}]
    wrong = chain(
        _check_state(Path(config.gateway.state)),
        *(_check_side(name, side) for name, side in ours),
        *(_check_peers(name, side) for name, side in ours),
        *(_check_id(f"{name}.id", side.id) for name, side in theirs),
        _check_sides_together(config.outer, config.inner) if here is None else (),
        _check_names_together(config.outer, config.inner),
        _check_rules(config),
        check_link(config, here),
    )
    odd = chain(
        odd_rules(config.rule),
        _odd_sides(config, ours),
        odd_link(config, here),
    )
    return [Problem(str(path), key, what) for key, what in wrong] + [
        Problem(str(path), key, what, warning=True) for key, what in odd
    ]


def check_admitted(config: "Config", path: Path, here: SideName | None = None) -> list[Problem]:
    """What is odd about the rules by which peers are admitted, once it is known who is."""
    sides = [("outer", config.outer), ("inner", config.inner)]
    found = chain(*(odd_admits(name, side) for name, side in sides if here in {None, name}))
    return [Problem(str(path), key, what, warning=True) for key, what in found]


def check_secrets(
    config: "Config", secrets: Secrets, path: Path, here: SideName | None = None
) -> list[Problem]:
    """Each peer of a side that runs here has a secret that fits, and nobody else has one."""
    problems, wanted = [], set()
    for one in expected(config, here):
        side, peer = one.holder.side, one.holder.peer
        wanted.add(one.holder)
        kept = secrets.of(side).above if one.holder.above else secrets.of(side).below
        if what := one.misfit(kept.get(peer)):
            problems.append(Problem(str(path), side, what))
    for side in SIDES:
        for above, kept in ((False, secrets.of(side).below), (True, secrets.of(side).above)):
            for peer in kept:
                if here not in {None, side}:
                    what = saying("config.secret_of_other_host", peer=peer, side=side)
                elif Holder(side, above, peer) not in wanted:
                    what = saying("config.secret_of_nobody", peer=peer, side=side)
                else:
                    continue
                problems.append(Problem(str(path), side, what, warning=True))
    return problems + [
        Problem(str(file), "", saying("config.old_secrets", file=str(file)), warning=True)
        for file in [path.resolve().parent / OLD_SECRETS]
        if file.exists()
    ]


def _check_state(folder: Path) -> Iterator[Finding]:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not existing.is_dir():
        yield "gateway.state", saying("config.state_is_file", place=str(existing))
    elif not os.access(existing, os.W_OK | os.X_OK):
        yield "gateway.state", saying("config.state_unwritable", place=str(existing))


def _check_side(name: str, side: "SideConfig") -> Iterator[Finding]:
    yield from _check_id(f"{name}.id", side.id)
    if side.domain and not side.domain.isprintable():
        yield f"{name}.domain", saying("config.domain")
    if side.civil_code and not (
        side.civil_code.isascii() and side.civil_code.isdigit() and len(side.civil_code) in {2, 4, 6, 8}
    ):
        yield f"{name}.civil_code", saying("config.civil_code", code=side.civil_code)
    yield from _check_address(f"{name}.address", side.address)
    yield from _check_listeners(name, side)
    if side.media_address:
        yield from _check_address(f"{name}.media_address", side.media_address)
    low, high = side.media_ports
    if not 1024 <= low < high:
        yield f"{name}.media_ports", saying("config.port_range", low=low, high=high)
    elif low <= side.port <= high and (side.media_address or side.address) == side.address:
        yield f"{name}.media_ports", saying("config.own_port_in_range", port=side.port)
    yield from _check_networks(f"{name}.networks", side.networks)


def _check_listeners(name: str, side: "SideConfig") -> Iterator[Finding]:
    seen = {("udp", side.address, side.port)}
    for number, listener in enumerate(side.listeners(), start=1):
        transport, address, port = listener
        key = f"{name}.listen[#{number}]"
        yield from _check_address(f"{key}.address", address)
        if listener in seen:
            yield key, saying("config.listen_again", transport=transport, address=host_port(address, port))
        seen.add(listener)
    wants = [f"{name}.listen[#{n}]" for n, more in enumerate(side.listen, 1) if more.transport == "tls"]
    wants += [f"{name}.upper[#{n}]" for n, upper in enumerate(side.upper, 1) if upper.transport == "tls"]
    for key in wants:
        if not side.tls.certificate:
            yield f"{key}.transport", saying("config.tls_certificate", side=name)
    offered = {transport for transport, _, _ in side.listeners()} | {"udp", "any"}
    for number, lower in enumerate(side.lower, start=1):
        key = f"{name}.lower[#{number}]"
        if lower.transport not in offered:
            yield f"{key}.transport", saying("config.not_listened", transport=lower.transport, side=name)
        if lower.certificate and not (side.tls.authority and "tls" in offered):
            yield f"{key}.certificate", saying("config.no_authority", side=name)


def _check_id(key: str, digits: str) -> Iterator[Finding]:
    try:
        well = GbId(digits).kind is not None
    except ValueError:
        well = False
    if not well:
        yield key, saying("config.id", id=digits)


def _check_address(key: str, text: str) -> Iterator[Finding]:
    try:
        address = ip_address(text)
    except ValueError:
        yield key, saying("config.address", text=text)
        return
    if address.is_unspecified:
        yield key, saying("config.every_network", text=text)


def _check_networks(key: str, networks: Sequence[str]) -> Iterator[Finding]:
    for text in networks:
        try:
            ip_network(text)
        except ValueError:
            try:
                meant = str(ip_network(text, strict=False))
            except ValueError:
                yield key, saying("config.network", text=text)
            else:
                yield key, saying("config.network_meant", text=text, meant=meant)


def _check_peers(name: str, side: "SideConfig") -> Iterator[Finding]:
    ours = {side.id: f"{name}.id"}
    below, above = dict(ours), dict(ours)  # one box may be both (Q98)
    for place, peer in side.peers():
        key = f"{name}.{place}"
        taken = below if place.startswith("lower") else above
        for called in (peer.id, *peer.aliases):
            if called in taken:
                yield f"{key}.id", saying("config.taken", name=called, place=taken[called])
            taken.setdefault(called, key)
        yield from _check_networks(f"{key}.networks", peer.networks)
        yield from _check_networks(f"{key}.media_networks", peer.media_networks)
        yield from _check_media_target(f"{key}.media_target", peer, side)
        yield from _check_digest(key, peer)
    for number, lower in enumerate(side.lower, start=1):
        yield from _check_lower(f"{name}.lower[#{number}]", lower)
        if lower.dial:
            yield from _check_dial(f"{name}.lower[#{number}].dial", lower, side)
    for number, rule in enumerate(side.admit, start=1):
        yield from _check_terms(name, f"{name}.admit[#{number}]", rule.peer(ANYBODY), side)
    yield from check_admits(name, side)
    for number, upper in enumerate(side.upper, start=1):
        yield from _check_upper(f"{name}.upper[#{number}]", upper, side)


def _check_terms(name: str, key: str, peer: "LowerConfig", side: "SideConfig") -> Iterator[Finding]:
    """Of a peer that a rule makes."""
    yield from _check_networks(f"{key}.networks", peer.networks)
    yield from _check_networks(f"{key}.media_networks", peer.media_networks)
    yield from _check_media_target(f"{key}.media_target", peer, side)
    yield from _check_digest(key, peer)
    yield from _check_lower(key, peer)
    if peer.transport not in {"any", "udp", *(transport for transport, _, _ in side.listeners())}:
        yield f"{key}.transport", saying("config.not_listened", transport=peer.transport, side=name)


def _check_media_target(key: str, peer: "LowerConfig | UpperConfig", side: "SideConfig") -> Iterator[Finding]:
    target = peer.media_target
    if target in {"sdp", "source"}:
        return
    try:
        ip_address(target)
    except ValueError:
        yield key, saying("config.media_target", text=target)
        return
    if not any(_holds(network, target) for network in peer.media_networks or peer.networks or side.networks):
        yield key, saying("config.target_outside", address=target)


def _check_digest(key: str, peer: "LowerConfig | UpperConfig") -> Iterator[Finding]:
    if not peer.digest or len(set(peer.digest)) < len(peer.digest):
        yield f"{key}.digest", saying("config.digest")


def _odd_digests(name: str, side: "SideConfig") -> Iterator[Finding]:
    """Where a weaker algorithm is offered before a stronger one: most devices answer the first one."""
    listed = [(f"{name}.lower[#{number}]", peer.digest) for number, peer in enumerate(side.lower, start=1)]
    listed += [(f"{name}.admit[#{number}]", rule.digest) for number, rule in enumerate(side.admit, start=1)]
    for key, digest in listed:
        if "MD5" in digest[:-1]:
            better = ", ".join(f'"{each}"' for each in (*(one for one in digest if one != "MD5"), "MD5"))
            yield f"{key}.digest", saying("config.weak_first", better=better)


def _check_lower(key: str, lower: "LowerConfig") -> Iterator[Finding]:
    if lower.min_expires > lower.max_expires:
        what = saying("config.expires", least=lower.min_expires, most=lower.max_expires)
        yield f"{key}.min_expires", what
    for text in lower.redirect:
        if not _is_server(text):
            yield f"{key}.redirect", saying("config.redirect", text=text)


def _check_dial(key: str, lower: "LowerConfig", side: "SideConfig") -> Iterator[Finding]:
    try:
        there = parse_uri(f"sip:{lower.dial}")
        ip_address(there.host)
    except (MalformedMessage, ValueError):
        yield key, saying("config.dial", text=lower.dial)
        return
    if there.port is None or there.user or there.parameters:
        yield key, saying("config.dial", text=lower.dial)
    elif not any(_holds(network, there.host) for network in lower.networks or side.networks):
        yield key, saying("config.dial_outside", host=there.host)


def _is_server(text: str) -> bool:
    """Is it an id of 20 digits, an address and a port: id@address:port?"""
    name, _, place = text.partition("@")
    host, _, port = place.rpartition(":")
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
        return GbId(name).kind is not None and 0 < int(port) < 65_536
    except ValueError:
        return False


def _check_upper(key: str, upper: "UpperConfig", side: "SideConfig") -> Iterator[Finding]:
    wrong = list(_check_address(f"{key}.host", upper.host))
    yield from wrong
    if not wrong and not any(_holds(network, upper.host) for network in side.networks):
        yield f"{key}.host", saying("config.host_outside", host=upper.host)
    ours = {side.address, *(address for _, address, _ in side.listeners())}
    if not wrong and not any((":" in address) == (":" in upper.host) for address in ours):
        yield f"{key}.host", saying("config.no_family", host=upper.host)
    if not wrong and upper.networks and not any(_holds(network, upper.host) for network in upper.networks):
        yield f"{key}.networks", saying("config.host_not_among", host=upper.host)
    yield from _check_networks(f"{key}.redirects", upper.redirects)
    if upper.retry_seconds > upper.retry_max:
        what = saying("config.retry", seconds=upper.retry_seconds, most=upper.retry_max)
        yield f"{key}.retry_seconds", what


def _holds(network: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _check_sides_together(outer: "SideConfig", inner: "SideConfig") -> Iterator[Finding]:
    if (outer.address, outer.port) == (inner.address, inner.port) and outer.port:
        yield "inner.address", saying("config.both_listen", address=inner.address, port=inner.port)
    one, two = outer.media_address or outer.address, inner.media_address or inner.address
    if one == two and max(outer.media_ports[0], inner.media_ports[0]) <= min(
        outer.media_ports[1], inner.media_ports[1]
    ):
        yield "inner.media_ports", saying("config.ranges_overlap", address=one)
    for (name, side), (other_name, other) in (
        (("outer", outer), ("inner", inner)),
        (("inner", inner), ("outer", outer)),
    ):
        low, high = side.media_ports
        if (side.media_address or side.address) == other.address and low <= other.port <= high:
            what = saying("config.other_port_in_range", port=other.port, side=other_name)
            yield f"{name}.media_ports", what


def _check_names_together(outer: "SideConfig", inner: "SideConfig") -> Iterator[Finding]:
    outside = _ids(outer)
    for place, peer in inner.peers():
        if peer.id in outside:
            yield f"inner.{place}.id", saying("config.on_both_sides", peer=peer.id)


def _ids(side: "SideConfig") -> set[str]:
    return {*(peer for peer, _ in pairs(side.lower)), *(upper.id for upper in side.upper)}


def _check_rules(config: "Config") -> Iterator[Finding]:
    seen: set[str] = set()
    here = {
        "inward": _ids(config.outer),
        "outward": _ids(config.inner),
    }
    for number, rule in enumerate(config.rule, start=1):
        key = f"rule[#{number}]"
        if rule.id in RESERVED or rule.id.startswith(PREFIX):
            yield f"{key}.id", saying("config.rule_reserved", id=rule.id)
        if rule.id in seen:
            yield f"{key}.id", saying("config.rule_again", id=rule.id)
        seen.add(rule.id)
        own = config.outer if rule.direction == "inward" else config.inner
        is_there = rule.peer == ANY or rule.peer in here[rule.direction]
        if not is_there and rule_for(own, rule.peer) is None:
            side = "outer" if rule.direction == "inward" else "inner"
            what = saying("config.rule_peer", side=side, peer=rule.peer, direction=rule.direction)
            yield f"{key}.peer", what
        if not any(matches(rule.action, action) for action in ACTIONS):
            known = ", ".join(sorted(ACTIONS))
            yield f"{key}.action", saying("config.rule_action", action=rule.action, known=known)
        for selector in rule.channels:
            yield from _check_selector(f"{key}.channels", selector)
        if not _is_zone(rule.when.zone):
            yield f"{key}.when.zone", saying("config.zone", zone=rule.when.zone)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the last for a name that is a folder
        return False
    return True


def _check_selector(key: str, selector: str) -> Iterator[Finding]:
    kind, colon, value = selector.partition(":")
    well = False
    match kind:
        case "*":
            well = not colon
        case "prefix":
            well = 1 <= len(value) <= 64 and value.isascii() and value.isdigit()
        case "class":
            well = len(value) == 3 and value.isascii() and value.isdigit()
        case "owner":
            well = 1 <= len(value) <= MAX_OWNER and value.isprintable() and value == value.strip()
        case "id" | "branch":
            try:
                well = PeerName(value) == value
            except ValueError:
                well = False
    if not well:
        yield key, saying("config.selector", selector=selector)


def odd_rules(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Rules that can never decide, wholly or in part, and refusals that a permission above undoes."""
    if not rules:
        yield "rule", saying("config.no_rules")
    for found in covered(rules):
        what = saying("config.rule_covered", below=found.rule.id, above=found.by.id, number=found.above)
        yield f"rule[#{found.number}]", what
    for shadow in islice(shadowed(rules), MAX_SHADOWS):
        yield f"rule[#{shadow.number}]", _shadow(shadow)


def _shadow(found: Shadowed) -> Saying:
    below, above, number, selector = found.rule.id, found.by.id, found.above, found.selector
    if found.dead:
        return saying("config.rule_dead", below=below, above=above, number=number, selector=selector)
    return saying("config.rule_undone", below=below, above=above, number=number, selector=selector)


def _odd_sides(config: "Config", ours: Sequence[tuple[str, "SideConfig"]]) -> Iterator[Finding]:
    if config.outer.address == config.inner.address and len(ours) == 2:
        yield "inner.address", saying("config.sides_together", address=config.inner.address)
    for name, side in ours:
        if not (side.lower or side.upper or side.admit):
            yield name, saying("config.no_peer", side=name)
        offered = {transport for transport, _, _ in side.listeners()} | {"udp"}
        for number, upper in enumerate(side.upper, start=1):
            media = side.media_address or side.address
            if (":" in media) != (":" in upper.host):
                what = saying("config.media_family", host=upper.host, media=media)
                yield f"{name}.upper[#{number}].host", what
            for transport in upper.transport.split("+"):
                if transport not in offered:
                    what = saying("config.not_heard", transport=transport, side=name)
                    yield f"{name}.upper[#{number}].transport", what
        yield from _odd_digests(name, side)
        for place, peer in side.peers():
            if not (len(peer.id) == 20 and peer.id.isascii() and peer.id.isdigit()):
                yield f"{name}.{place}.id", saying("config.odd_id", id=peer.id)
