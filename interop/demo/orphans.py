"""What the operating system says is still open: descriptors, and UDP sockets by /proc/net."""

import ipaddress
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from msgspec import Struct


class Held(Struct, frozen=True):
    """Of some processes, at one moment. A socket is `address:port#inode`: no other can be taken for it."""

    descriptors: int
    sockets: frozenset[str]


def held(
    others: Iterable[int] = (),
    networks: Iterable[Callable[[], AbstractContextManager[None]]] = (nullcontext,),
) -> Held:
    """Count the descriptors of this process and of `others`, and name those that are UDP sockets.

    `networks` are how to enter those in which the sockets are. A process that has ended holds nothing.
    """
    links = [link for process in ("self", *map(str, others)) for link in _descriptors(process)]
    inodes = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}
    names: list[str] = []
    for entered in networks:
        with entered():
            names += _udp()
    return Held(len(links), frozenset(name for name in names if name.rpartition("#")[2] in inodes))


def still_there(sockets: Iterable[str]) -> list[str]:
    """Which of `sockets` exist on this machine, whoever holds them now."""
    return sorted({*sockets} & {*_udp()})


def inside(namespaces: Iterable[int]) -> list[str]:
    """Processes in these network namespaces (the inodes of /proc/PID/ns/net)."""
    wanted = {*namespaces}
    return sorted(
        f"pid {link.parts[2]}" for link in Path("/proc").glob("[0-9]*/ns/net") if _inode(link) in wanted
    )


def _inode(link: Path) -> int | None:
    try:
        return link.stat().st_ino
    except OSError:  # it has ended meanwhile, or is none of ours
        return None


def _descriptors(process: str) -> list[str]:
    links = []
    try:
        for entry in Path(f"/proc/{process}/fd").iterdir():
            try:
                links.append(str(entry.readlink()))
            except OSError:  # the descriptor of the listing itself
                continue
    except OSError:  # it has ended
        return []
    return links


def _udp() -> list[str]:
    """Every IPv4 UDP socket of the calling thread's network namespace."""
    names = []
    for line in Path("/proc/thread-self/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        host, _, port = fields[1].partition(":")
        address = ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(host), "little"))
        names.append(f"{address}:{int(port, 16)}#{fields[9]}")
    return names
