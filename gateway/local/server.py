"""The local socket of a running gateway: a Unix socket of mode 0600, asked by nobody but its owner and root.

Each request is answered from what is there (`gateway.trace.desk`), how things stand in several turns of the
loop. Nobody who asks
can disturb the gateway: few at once, short requests, bounded answers, and who does not read is dropped.
"""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Final, Protocol, assert_never

import msgspec

from gateway.local.messages import (
    MAX_REQUEST,
    MAX_RESPONSE,
    Misunderstood,
    OnePeer,
    PeerStanding,
    Registration,
    Registrations,
    Reload,
    Reloaded,
    Request,
    Response,
    Standing,
    Status,
    Trace,
    Traced,
    encode,
    read_request,
)
from gateway.local.place import reachable
from gateway.words.system import reason

log = logging.getLogger(__name__)

MAX_CLIENTS: Final = 8
IDLE_SECONDS: Final = 60.0
READ_SECONDS: Final = 10.0
"""How long an answer may take to leave."""
REST: Final = 4.0
"""So many times as long as an answer took to make, the next one waits: who asks has a fifth of the loop."""

LENGTH: Final = struct.Struct("!I")
CREDENTIALS: Final = struct.Struct("3i")


class Answers(Protocol):
    """`gateway.trace.desk.Desk`."""

    def trace(self, wanted: Trace) -> Traced: ...
    def standing(self, wanted: Status) -> Generator[None, None, Standing]:
        """Made in parts: it yields between them."""
        ...

    def peer(self, wanted: OnePeer) -> PeerStanding: ...
    def registrations(self, wanted: Registration) -> Registrations: ...


Asked = Trace | Status | Registration | OnePeer

Reloads = Callable[[Reload], Awaitable[Reloaded]]
"""`gateway.keeper.Keeper.answer`."""


@asynccontextmanager
async def serving(desk: Answers, path: Path, reload: Reloads | None = None) -> AsyncIterator[None]:
    """Answer at `path` until the context ends. Where that cannot be, say so and go on without.

    Without `reload` nobody can ask for one here.
    """
    try:
        listening = _listen(path)
    except OSError as error:
        log.warning("local.unavailable", extra={"place": str(path), "reason": reason(error)})
        yield
        return
    clients: set[asyncio.Task[None]] = set()
    turns = Turns(asyncio.get_running_loop().time)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        clients.add(task)
        try:
            if len(clients) <= MAX_CLIENTS and _may_ask(writer):
                await _converse(desk, reload, turns, reader, writer)
        except (OSError, EOFError, TimeoutError):
            pass  # who asked has gone, says nothing or does not read
        except asyncio.CancelledError:
            pass  # we are leaving
        except Exception:
            log.exception("local.failed")
        finally:
            clients.discard(task)
            writer.transport.abort()

    server = await asyncio.start_unix_server(serve, sock=listening, limit=MAX_REQUEST)
    try:
        yield
    finally:
        server.close()
        for client in list(clients):
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        _remove(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _listen(path: Path) -> socket.socket:
    """Bind with the mode from the start: there is no moment at which others may connect.

    Raises:
        OSError: a gateway answers there already, or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listening.fileno(), 0o600)
        with reachable(path) as name:
            if path.exists() and _is_dead(name):
                path.unlink()
            listening.bind(name)
        listening.listen(MAX_CLIENTS)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _is_dead(name: str) -> bool:
    """Is this the socket of a process that has gone?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
        tried.settimeout(1.0)
        try:
            tried.connect(name)
        except ConnectionRefusedError:
            return True
    return False


def _may_ask(writer: asyncio.StreamWriter) -> bool:
    """The mode says so already; a folder may have been copied with other rights."""
    given: socket.socket = writer.get_extra_info("socket")
    raw = given.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, user, _ = CREDENTIALS.unpack(raw)
    return user in {0, os.geteuid()}


class Turns:
    """One answer at a time, with a rest after each, however many ask."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()

    async def take(self, desk: Answers, request: Asked) -> bytes:
        async with self._lock:
            parts = _answered(desk, request)
            taken = 0.0
            while True:
                began = self._clock()
                try:
                    next(parts)
                except StopIteration as end:
                    answer = encode(end.value)
                    taken += self._clock() - began
                    break
                taken += self._clock() - began
                await asyncio.sleep(0)
            await asyncio.sleep(REST * taken)
        return answer


def _answered(desk: Answers, request: Asked) -> Generator[None, None, Response]:
    match request:
        case Trace():
            return desk.trace(request)
        case Status():
            return (yield from desk.standing(request))
        case Registration():
            return desk.registrations(request)
        case OnePeer():
            return desk.peer(request)
        case _:
            assert_never(request)


async def _converse(
    desk: Answers,
    reload: Reloads | None,
    turns: Turns,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    while True:
        async with asyncio.timeout(IDLE_SECONDS):
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            if length > MAX_REQUEST:
                return
            asked = await reader.readexactly(length)
        answer = await _answer(desk, reload, turns, asked)
        if len(answer) > MAX_RESPONSE:
            return
        async with asyncio.timeout(READ_SECONDS):
            writer.write(LENGTH.pack(len(answer)) + answer)
            await writer.drain()


async def _answer(desk: Answers, reload: Reloads | None, turns: Turns, asked: bytes) -> bytes:
    try:
        request: Request = read_request(asked)
    except msgspec.MsgspecError:
        return encode(Misunderstood(version=metadata.version("lockgate")))
    response: Response
    match request:
        case Trace() | Status() | Registration() | OnePeer():
            return await turns.take(desk, request)
        case Reload():
            if reload is None:
                return encode(Misunderstood(version=metadata.version("lockgate")))
            response = await reload(request)
        case _:
            assert_never(request)
    return encode(response)
