"""Which addresses a peer may speak from, and which its SDP may name.

An address in an SDP aims somebody's media: unchecked, it lets a peer flood any host or look into
our networks. What a peer's configured networks do not contain is refused, and some are always.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

LOWEST_MEDIA_PORT = 1024

MAX_SEEN = 1 << 17
"""Hosts whose answer is remembered: as many as there may be peers."""

Listener = tuple[str, int, int]
"""Sockets of our own: a host, and its first and last port."""


class Networks:
    """CIDR strings, or single hosts, as one set of addresses: `"203.0.113.7" in networks`.

    `listeners` are sockets of our own within them: no media of a peer belongs there.

    Raises:
        ValueError: one of them is neither.
    """

    def __init__(self, networks: Iterable[str], listeners: Sequence[Listener] = ()) -> None:
        self._listeners = tuple(listeners)
        self._networks = tuple(ip_network(text, strict=False) for text in networks)
        self._seen: dict[str, bool] = {}  # hosts repeat with every message; bounded below

    def __contains__(self, host: str) -> bool:
        known = self._seen.get(host)
        if known is None:
            if len(self._seen) >= MAX_SEEN:
                self._seen.clear()
            known = self._seen[host] = self._holds(host)
        return known

    def listens(self, host: str, port: int) -> bool:
        """Is that a socket of our own? Two of them would talk to each other."""
        return any(host == mine and first <= port <= last for mine, first, last in self._listeners)

    def _holds(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


@lru_cache(maxsize=1024)
def networks_of(networks: tuple[str, ...], listeners: tuple[Listener, ...] = ()) -> Networks:
    """One set for all who have the same: there may be as many peers as a province has cameras."""
    return Networks(networks, listeners)


def media_host(target: str, named: str, source: str) -> str:
    """Where a peer's media is (Q51): `named` in its SDP, else the packet's own `source`.

    `target`, the peer's `media_target`, overrides that: "source", or an address that is always meant.
    """
    if target == "sdp":
        return named or source
    return source if target == "source" else target


def media_objection(host: str, port: int, networks: Networks) -> str | None:
    """Why media must not go to or come from there, or None when it may.

    `networks` decide first, loopback included: whoever lists it has one machine, or a test. A host
    name is refused: what it means to somebody else is not ours to look up.
    """
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return f"{host[:64]!r} is not an address"
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    broadcast = isinstance(address, IPv4Address) and int(address) == 0xFFFFFFFF
    if mapped or broadcast or address.is_link_local or address.is_multicast or address.is_unspecified:
        return f"{host} is never an address of media"
    if host not in networks:
        return f"{host} is outside the networks of this peer"
    if not LOWEST_MEDIA_PORT <= port <= 65_535:
        return f"{port} is not a port of media"
    if networks.listens(host, port):
        return f"{host}:{port} is a socket of our own"
    return None
