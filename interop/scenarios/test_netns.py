"""Namespaces as the demo and the scenarios use them: apart, joined by wires, and gone with their process."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from interop.netns import Namespace, wire

ONE, OTHER = "192.0.2.1", "192.0.2.2"

HOLDER = """
import subprocess, sys, time
from interop.netns import Namespace, wire
from interop.tied import tied
one, other = Namespace(), Namespace()
wire("w", (one, "192.0.2.1/30"), (other, "192.0.2.2/30"))
with one.entered():
    child = subprocess.Popen(tied(["sleep", "1000"]))
print(one.inode, other.inode, child.pid, flush=True)
time.sleep(1000)
"""


@pytest.fixture
def joined() -> Iterator[tuple[Namespace, Namespace]]:
    with closing(Namespace()) as one, closing(Namespace()) as other:
        wire("w", (one, f"{ONE}/30"), (other, f"{OTHER}/30"))
        yield one, other


def udp(namespace: Namespace, address: str) -> socket.socket:
    with namespace.entered():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, 0))
    made.settimeout(10.0)
    return made


def test_a_wire_carries_between_its_ends_and_nothing_leads_out(joined: tuple[Namespace, Namespace]) -> None:
    one, other = joined
    before = Path("/proc/self/ns/net").readlink()
    with udp(one, ONE) as near, udp(other, OTHER) as far:
        near.sendto(b"over", far.getsockname())
        assert far.recvfrom(10) == (b"over", near.getsockname())
        with pytest.raises(OSError, match="unreachable"):
            near.sendto(b"out", ("198.51.100.1", 9))
    assert Path("/proc/self/ns/net").readlink() == before


def test_a_wire_that_is_down_is_down_at_both_ends(joined: tuple[Namespace, Namespace]) -> None:
    one, other = joined
    with udp(one, ONE) as near, udp(other, OTHER) as far:
        one.ip("link", "set", "w", "down")
        with pytest.raises(OSError, match="unreachable"):
            near.sendto(b"gone", far.getsockname())
        one.ip("link", "set", "w", "up")
        near.sendto(b"back", far.getsockname())
        assert far.recv(10) == b"back"


def test_what_ip_says_is_told() -> None:
    with closing(Namespace()) as alone, pytest.raises(OSError, match=r'ip link set nobody up: .*"nobody"'):
        alone.ip("link", "set", "nobody", "up")


def inside(inode: int) -> list[str]:
    """Processes in a namespace."""
    found = []
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            if link.stat().st_ino == inode:
                found.append(link.parts[2])
        except OSError:
            continue
    return found


def test_whoever_is_killed_leaves_neither_a_process_nor_a_namespace() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        one, other, child = map(int, holder.stdout.readline().split())
        assert inside(one) == [str(child)]
        descriptor = os.pidfd_open(child)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    gone(descriptor)
    assert inside(one) == inside(other) == []


def gone(descriptor: int) -> None:
    """Return once the process of that descriptor is."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(60_000)
    os.close(descriptor)
