"""Datagram ports for media: real sockets here, a network in virtual time in the tests."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, Protocol

Address = tuple[str, int]
OnDatagram = Callable[[bytes, Address], None]
"""What arrived, and from where."""

_PER_TURN: Final = 64  # datagrams taken before other callbacks of the loop get their turn
_MAX_DATAGRAM: Final = 65_535


class Port(Protocol):
    """A bound datagram port; close it to free its address."""

    @property
    def address(self) -> Address: ...
    def send(self, payload: bytes, destination: Address, /) -> None: ...
    def close(self) -> None: ...


class Net(Protocol):
    def datagrams(self, address: Address, on_datagram: OnDatagram, /) -> Port:
        """Bind; port 0 takes a free one. Raises OSError when the address can't be had."""
        ...


class RealNet:
    """UDP sockets on the running loop. `receive_buffer` is asked of the kernel, which may give less."""

    def __init__(self, *, receive_buffer: int = 4 << 20) -> None:
        self._receive_buffer = receive_buffer

    def datagrams(self, address: Address, on_datagram: OnDatagram, /) -> "UdpPort":
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            sock.bind(address)
        except OSError:
            sock.close()
            raise
        return UdpPort(sock, on_datagram, asyncio.get_running_loop())


class UdpPort:
    """`unsent` counts datagrams that the operating system did not take."""

    def __init__(self, sock: socket.socket, on_datagram: OnDatagram, loop: asyncio.AbstractEventLoop) -> None:
        name = sock.getsockname()
        self.address: Address = (name[0], name[1])
        self.unsent = 0
        self._socket = sock
        self._on_datagram = on_datagram
        self._loop = loop
        loop.add_reader(sock, self._receive)

    def send(self, payload: bytes, destination: Address, /) -> None:
        try:
            self._socket.sendto(payload, destination)
        except OSError:  # full buffer, or nobody there any more: for media both are a lost packet
            self.unsent += 1

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _receive(self) -> None:
        for _ in range(_PER_TURN):
            if self._socket.fileno() < 0:
                return
            try:
                payload, source = self._socket.recvfrom(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:  # what an earlier sending left behind (port unreachable)
                continue
            self._on_datagram(payload, (source[0], source[1]))
