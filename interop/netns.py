"""Network namespaces of Linux: hosts of their own on one machine, for whoever may make them (root).

A namespace here has no name, only a descriptor of this process. It ends, with the wires in it, when this
process and those that were started in it have: whatever happens, nothing is left for anybody to clear away.
"""

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from interop.sim.net import Address, Net, OnDatagram, Port
from interop.words import Saying, saying

CLONE_NEWNET: Final = 0x40000000

_libc: Final = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network without routers, that holds nothing but a loopback of its own."""

    def __init__(self) -> None:
        """Raises OSError where this process may not."""
        with _returning():
            _checked(_libc.unshare(CLONE_NEWNET))
            self._fd = os.open(_own(), os.O_RDONLY | os.O_CLOEXEC)
        self.ip("link", "set", "lo", "up")
        with self.entered():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("0")  # a new one may take after the machine's

    @property
    def inode(self) -> int:
        """As /proc/PID/ns/net of a process in it has it."""
        return os.fstat(self._fd).st_ino

    @property
    def path(self) -> str:
        """For programs that are told a namespace by its file, while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What the calling thread opens or starts meanwhile is in there. Not for anything that waits."""
        with _returning():
            _checked(_libc.setns(self._fd, CLONE_NEWNET))
            yield

    def ip(self, *arguments: str) -> None:
        """`ip ARGUMENTS` in there. Raises OSError with what it said."""
        with self.entered():
            done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class NetIn:
    """Sockets in a namespace, for whoever stands outside."""

    def __init__(self, namespace: Namespace, net: Net) -> None:
        self._namespace = namespace
        self._net = net

    def datagrams(self, address: Address, on_datagram: OnDatagram, /) -> Port:
        with self._namespace.entered():
            return self._net.datagrams(address, on_datagram)


def wire(name: str, one: tuple[Namespace, str], other: tuple[Namespace, str]) -> None:
    """A cable between two namespaces, `name` at both ends; each end with its address (ADDRESS/PREFIX)."""
    (near, _), (far, _) = one, other
    near.ip(*("link", "add", "name", name, "type", "veth", "peer", "name", name, "netns", far.path))
    for namespace, address in (one, other):
        namespace.ip("address", "add", address, "dev", name)
        namespace.ip("link", "set", name, "up")


def why_not() -> Saying | None:
    """What keeps this process from making namespaces with wires between them, and what to do about it."""
    if shutil.which("ip") is None:
        return saying("netns.no_ip")
    try:
        one, other = Namespace(), Namespace()
    except PermissionError:
        return saying("netns.forbidden")
    except OSError as error:
        return saying("netns.refused", reason=str(error))
    try:
        wire("trial", (one, "192.0.2.1/30"), (other, "192.0.2.2/30"))
    except OSError as error:
        return saying("netns.refused", reason=str(error))
    finally:
        one.close()
        other.close()
    return None


def _own() -> str:
    return f"/proc/self/task/{threading.get_native_id()}/ns/net"


@contextmanager
def _returning() -> Iterator[None]:
    """Whatever is done meanwhile, the calling thread comes back to where it was."""
    before = os.open(_own(), os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            _checked(_libc.setns(before, CLONE_NEWNET))
        finally:
            os.close(before)


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
