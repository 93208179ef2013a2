"""How an end of the link gets its connections: TCP sockets here, something in memory in tests."""

import asyncio
from collections.abc import Callable
from typing import Protocol

Make = Callable[[], asyncio.Protocol]


class Listening(Protocol):
    def close(self) -> None: ...


class Plug(Protocol):
    """One host's place on the wire between the two."""

    async def listen(self, make: Make) -> Listening:
        """Make a protocol for each connection that comes in. Raises OSError: the address is not to be had."""
        ...

    async def dial(self, make: Make) -> None:
        """Connect to the other host. Raises OSError."""
        ...


class TcpPlug:
    """`own` and `other` are the two hosts' addresses; the one port is where either of them listens.

    We dial from our own address, so that the other end can tell us by it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, own: str, other: str, port: int) -> None:
        self._loop = loop
        self._own = own
        self._other = other
        self._port = port

    async def listen(self, make: Make) -> Listening:
        return await self._loop.create_server(make, self._own, self._port)

    async def dial(self, make: Make) -> None:
        await self._loop.create_connection(make, self._other, self._port, local_addr=(self._own, 0))
