"""What the operating system says is still open: descriptors, and UDP sockets by /proc/net."""

import ipaddress
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct


class Held(Struct, frozen=True):
    """Of this process, at one moment. A socket is `address:port#inode`: no other can be taken for it."""

    descriptors: int
    sockets: frozenset[str]


def held() -> Held:
    """Count this process's descriptors, and name those that are UDP sockets in /proc/net."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(entry.readlink()))
        except OSError:  # the descriptor of the listing itself
            continue
    inodes = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}
    return Held(len(links), frozenset(name for name in _udp() if name.rpartition("#")[2] in inodes))


def still_there(sockets: Iterable[str]) -> list[str]:
    """Which of `sockets` exist on this machine, whoever holds them now."""
    return sorted({*sockets} & {*_udp()})


def _udp() -> list[str]:
    """Every IPv4 UDP socket of this network namespace."""
    names = []
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        host, _, port = fields[1].partition(":")
        address = ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(host), "little"))
        names.append(f"{address}:{int(port, 16)}#{fields[9]}")
    return names
