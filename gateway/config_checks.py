"""What the types of the configuration cannot say: what its parts have to do with each other."""

import os
import stat
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from itertools import chain, combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cascade.model.ids import GbId, PeerName
from gateway.chamber.codec import payloads
from gateway.chamber.policy import ANY, CATALOG_ROWS, RESERVED, Rule, matches
from gateway.config_reading import Problem

if TYPE_CHECKING:
    from gateway.config import Config, LowerConfig, Secrets, SideConfig, UpperConfig

ACTIONS: Final = frozenset({CATALOG_ROWS, "media.live", *(command.action for command in payloads())})
"""What rules can be about."""

Finding = tuple[str, str, str]
"""Key, what is wrong, what to write."""


def check(config: "Config", path: Path) -> list[Problem]:
    """Everything wrong or odd in a document whose types fit."""
    sides = (("outer", config.outer), ("inner", config.inner))
    wrong = chain(
        _check_state(Path(config.gateway.state)),
        *(_check_side(name, side) for name, side in sides),
        *(_check_peers(name, side) for name, side in sides),
        _check_sides_together(config.outer, config.inner),
        _check_rules(config),
    )
    odd = chain(
        _odd_rules(config.rule),
        _odd_sides(config),
    )
    return [Problem(str(path), *finding) for finding in wrong] + [
        Problem(str(path), *finding, warning=True) for finding in odd
    ]


def check_secrets(config: "Config", secrets: "Secrets", path: Path) -> list[Problem]:
    """Each peer has a password, and nobody else can read them."""
    problems = []
    for name, side, given in (
        ("outer", config.outer, secrets.outer),
        ("inner", config.inner, secrets.inner),
    ):
        wanted = [str(peer.id) for _, peer in side.peers()]
        for peer in wanted:
            if peer not in given:
                key = f'{name}.passwords."{peer}"'
                remedy = f'Add the line "{peer}" = "…" under [{name}.passwords].'
                problems.append(Problem(str(path), key, f"Peer {peer} has no password.", remedy))
        for peer in given:
            if peer not in wanted:
                key = f'{name}.passwords."{peer}"'
                what = f"No peer of {name} has the id {peer}."
                problems.append(Problem(str(path), key, what, "Correct the id, or remove the line.", True))
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        what = "Other users of this machine can read the passwords."
        problems.append(Problem(str(path), "", what, f"Run: chmod 600 {path}", True))
    return problems


def _check_state(folder: Path) -> Iterator[Finding]:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not existing.is_dir():
        yield "gateway.state", f"{existing} is a file.", "Write the path of a folder."
    elif not os.access(existing, os.W_OK | os.X_OK):
        yield (
            "gateway.state",
            f"{existing} cannot be written by this user.",
            "Write another, or mend its rights.",
        )


def _check_side(name: str, side: "SideConfig") -> Iterator[Finding]:
    yield from _check_id(f"{name}.id", side.id)
    if side.domain and not side.domain.isprintable():
        yield (
            f"{name}.domain",
            "It has characters that cannot be shown.",
            "Write ten digits or a domain name.",
        )
    if side.civil_code and not (
        side.civil_code.isascii() and side.civil_code.isdigit() and len(side.civil_code) in {2, 4, 6, 8}
    ):
        yield f"{name}.civil_code", f'"{side.civil_code}" is no division.', "Write 2, 4, 6 or 8 digits."
    yield from _check_address(f"{name}.address", side.address)
    if side.media_address:
        yield from _check_address(f"{name}.media_address", side.media_address)
    low, high = side.media_ports
    if not 1024 <= low < high:
        yield (
            f"{name}.media_ports",
            f"{low} to {high} is no range.",
            "Write [first, last], from 1,024 upward.",
        )
    elif low <= side.port <= high and (side.media_address or side.address) == side.address:
        remedy = "Write a range without it, or another port."
        yield f"{name}.media_ports", f"The range holds the signalling port {side.port}.", remedy
    yield from _check_networks(f"{name}.networks", side.networks)


def _check_id(key: str, digits: str) -> Iterator[Finding]:
    try:
        well = GbId(digits).kind is not None
    except ValueError:
        well = False
    if not well:
        yield key, f'"{digits}" is no id of a platform.', "Write 20 digits, such as 34020000002000000001."


def _check_address(key: str, text: str) -> Iterator[Finding]:
    try:
        address = ip_address(text)
    except ValueError:
        yield key, f'"{text}" is no IP address.', "Write the address itself; names are not looked up here."
        return
    if address.version != 4:
        yield key, f"{text} is IPv6, which is not spoken yet.", "Write an IPv4 address."
    elif address.is_unspecified:
        remedy = "Write the address of the one interface that lies in this network."
        yield key, f"{text} would listen in every network.", remedy


def _check_networks(key: str, networks: Sequence[str]) -> Iterator[Finding]:
    for text in networks:
        try:
            ip_network(text)
        except ValueError:
            try:
                meant = str(ip_network(text, strict=False))
            except ValueError:
                meant = "10.1.0.0/16 or 10.1.2.3"
            yield (
                key,
                f'"{text}" is no network.',
                f'Write "{meant}".' if "or" not in meant else f"Write one such as {meant}.",
            )


def _check_peers(name: str, side: "SideConfig") -> Iterator[Finding]:
    taken: dict[str, str] = {side.id: f"{name}.id"}
    for place, peer in side.peers():
        key = f"{name}.{place}"
        for called in (peer.id, *peer.aliases):
            if called in taken:
                what = f"{called} is already the id or alias at {taken[called]}."
                yield f"{key}.id", what, "Give each peer of a side an id of its own."
            taken.setdefault(called, key)
        yield from _check_networks(f"{key}.networks", peer.networks)
        yield from _check_networks(f"{key}.media_networks", peer.media_networks)
    for number, lower in enumerate(side.lower, start=1):
        yield from _check_lower(f"{name}.lower[#{number}]", lower)
    for number, upper in enumerate(side.upper, start=1):
        yield from _check_upper(f"{name}.upper[#{number}]", upper, side)


def _check_lower(key: str, lower: "LowerConfig") -> Iterator[Finding]:
    if lower.min_expires > lower.max_expires:
        what = f"min_expires {lower.min_expires} is more than max_expires {lower.max_expires}."
        yield f"{key}.min_expires", what, "Write a smaller one."


def _check_upper(key: str, upper: "UpperConfig", side: "SideConfig") -> Iterator[Finding]:
    wrong = list(_check_address(f"{key}.host", upper.host))
    yield from wrong
    if not wrong and not any(_holds(network, upper.host) for network in side.networks):
        what = f"{upper.host} is in none of the side's networks, so its answers would be dropped."
        yield f"{key}.host", what, f'Add "{upper.host}" to the networks of this side.'
    if not wrong and upper.networks and not any(_holds(network, upper.host) for network in upper.networks):
        what = f"{upper.host} itself is not among them."
        yield f"{key}.networks", what, f'Add "{upper.host}".'
    if upper.retry_seconds > upper.retry_max:
        what = f"retry_seconds {upper.retry_seconds:g} is more than retry_max {upper.retry_max:g}."
        yield f"{key}.retry_seconds", what, "Write a smaller one."


def _holds(network: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _check_sides_together(outer: "SideConfig", inner: "SideConfig") -> Iterator[Finding]:
    if (outer.address, outer.port) == (inner.address, inner.port) and outer.port:
        what = f"Both sides would listen on {inner.address}:{inner.port}."
        yield "inner.address", what, "Give each side the address of its own interface."
    one, two = outer.media_address or outer.address, inner.media_address or inner.address
    if one == two and max(outer.media_ports[0], inner.media_ports[0]) <= min(
        outer.media_ports[1], inner.media_ports[1]
    ):
        what = f"The range overlaps that of outer on {one}."
        yield "inner.media_ports", what, "Write ranges apart, or another media_address."
    for (name, side), (other_name, other) in (
        (("outer", outer), ("inner", inner)),
        (("inner", inner), ("outer", outer)),
    ):
        low, high = side.media_ports
        if (side.media_address or side.address) == other.address and low <= other.port <= high:
            what = f"The range holds the signalling port {other.port} of {other_name}."
            yield f"{name}.media_ports", what, "Write a range without it."
    outside = {peer.id for _, peer in outer.peers()}
    for place, peer in inner.peers():
        if peer.id in outside:
            what = f"{peer.id} is a peer of outer too."
            yield f"inner.{place}.id", what, "A peer is on one side; remove it from the other."


def _check_rules(config: "Config") -> Iterator[Finding]:
    seen: set[str] = set()
    here = {
        "inward": {peer.id for _, peer in config.outer.peers()},
        "outward": {peer.id for _, peer in config.inner.peers()},
    }
    for number, rule in enumerate(config.rule, start=1):
        key = f"rule[#{number}]"
        if rule.id in RESERVED:
            what = f'"{rule.id}" is the name of a decision without a rule.'
            yield f"{key}.id", what, "Write another."
        if rule.id in seen:
            yield f"{key}.id", f'Another rule is called "{rule.id}".', "Give each rule an id of its own."
        seen.add(rule.id)
        if rule.peer != ANY and rule.peer not in here[rule.direction]:
            side = "outer" if rule.direction == "inward" else "inner"
            what = (
                f"No peer of {side} has the id {rule.peer}, and {rule.direction} crossings come from {side}."
            )
            yield f"{key}.peer", what, f'Write the id of a peer of {side}, or "*".'
        if not any(matches(rule.action, action) for action in ACTIONS):
            yield (
                f"{key}.action",
                f'"{rule.action}" is no action.',
                f'Write one of {", ".join(sorted(ACTIONS))}, or "*".',
            )
        for selector in rule.channels:
            yield from _check_selector(f"{key}.channels", selector)


def _check_selector(key: str, selector: str) -> Iterator[Finding]:
    kind, colon, value = selector.partition(":")
    well = False
    match kind:
        case "*":
            well = not colon
        case "prefix":
            well = 1 <= len(value) <= 64 and value.isascii() and value.isdigit()
        case "id" | "branch":
            try:
                well = PeerName(value) == value
            except ValueError:
                well = False
    if not well:
        remedy = 'Write "*", "id:NAME", "prefix:DIGITS" or "branch:NAME".'
        yield key, f'"{selector}" selects nothing.', remedy


def _odd_rules(rules: Sequence[Rule]) -> Iterator[Finding]:
    if not rules:
        yield "rule", "There is no rule, so nothing may cross.", "Add a [[rule]] for what may."
    later = set()
    for (number, above), (place, below) in combinations(enumerate(rules, start=1), 2):
        if place not in later and _covered(below, above):
            later.add(place)
            what = f'Rule "{below.id}" never decides: "{above.id}" (rule[#{number}]) above it covers it.'
            yield f"rule[#{place}]", what, "Move it up, or remove it."


def _covered(below: Rule, above: Rule) -> bool:
    return (
        above.direction == below.direction
        and above.peer in {ANY, below.peer}
        and _wider(above.action, below.action)
        and all(any(_selects(wide, narrow) for wide in above.channels) for narrow in below.channels)
    )


def _wider(pattern: str, other: str) -> bool:
    """Does `pattern` match every action that `other` matches?"""
    return pattern == other or (pattern.endswith(ANY) and other.startswith(pattern[:-1]))


def _selects(wide: str, narrow: str) -> bool:
    """Does `wide` select whatever `narrow` selects?"""
    if wide in {ANY, narrow}:
        return True
    kind, _, digits = wide.partition(":")
    other, _, value = narrow.partition(":")
    if kind == "prefix":
        return other in {"prefix", "id"} and value.startswith(digits)
    return kind == "branch" and other == "id" and value == digits


def _odd_sides(config: "Config") -> Iterator[Finding]:
    if config.outer.address == config.inner.address:
        what = f"Both sides use {config.inner.address}, so the networks are not apart."
        yield "inner.address", what, "Give each side the address of its own interface."
    for name, side in (("outer", config.outer), ("inner", config.inner)):
        if not (side.lower or side.upper):
            yield name, "This side has no peer.", f"Add [[{name}.lower]] or [[{name}.upper]]."
        for place, peer in side.peers():
            if not (len(peer.id) == 20 and peer.id.isascii() and peer.id.isdigit()):
                remedy = "Leave it if the peer really registers so."
                yield f"{name}.{place}.id", f"{peer.id} is not 20 digits.", remedy
