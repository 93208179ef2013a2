"""What every simulator of the command line stands on: an engine, its endpoint, signals, status lines."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from interop.sim.net import Address, RealNet
from interop.sim.reasons import system
from interop.sim.telling import as_json, as_words
from interop.words import Saying, Words
from sip._native import Engine
from sip.aio.calls import Calls
from sip.aio.driver import Driver
from sip.endpoint import Endpoint, Party

EVERYBODY: Final = ("0.0.0.0/0", "::/0")
_WORKERS: Final = 4

Status = Callable[[], dict[str, Any]]
"""What a status line says now: plain values by name."""


@dataclass(frozen=True, slots=True)
class Station:
    """One address of ours with everything that speaks from it."""

    endpoint: Endpoint
    calls: Calls
    net: RealNet
    workers: ThreadPoolExecutor


@asynccontextmanager
async def station(listen: Address, me: Party, realm: str) -> AsyncIterator[Station]:
    """Bind and drive; leaving ends what calls there are. Raises OSError when the address can't be had."""
    engine = Engine(listen, realm, EVERYBODY, os.urandom(32))
    try:
        endpoint = Endpoint(engine, me, user_agent="lockgate-sim/0.1")
        with Driver(engine, endpoint), ThreadPoolExecutor(_WORKERS, "sim-media") as workers:
            async with Calls(endpoint) as calls:
                yield Station(endpoint, calls, RealNet(), workers)
    finally:
        engine.close()


def address(text: str) -> Address:
    """`host:port`, `[v6]:port`, or a host alone with port 5060. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, "5060"
    host = host.strip("[]")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"{text!r} is no address")
    return host, int(port)


def own_host(server: Address) -> str:
    """The address of ours that packets to `server` leave from."""
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(server)
        return str(probe.getsockname()[0])


class Reporter:
    """Writes a status line each `every` seconds to stdout: JSON, or words for people."""

    def __init__(self, words: Words, *, as_json: bool, every: float) -> None:
        self._words = words
        self._json = as_json
        self._every = every

    def say(self, event: str, **values: object) -> None:
        """One line at once."""
        print(as_json(event, values) if self._json else as_words(event, values, self._words), flush=True)

    async def run(self, status: Status) -> None:
        while True:
            await asyncio.sleep(self._every)
            self.say("status", **status())


async def until_stopped(
    work: Coroutine[Any, Any, object], status: Status, reporter: Reporter, *, seconds: float | None
) -> None:
    """Run `work` until it ends, `seconds` are over, or Ctrl-C or SIGTERM comes; then cancel and await it.

    A second Ctrl-C does not wait for answers any more.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    me = asyncio.current_task()

    def signalled() -> None:
        if stop.is_set() and me is not None:
            me.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    working = loop.create_task(work)
    reporting = loop.create_task(reporter.run(status))
    stopping = loop.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reporting, stopping, working):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        await asyncio.gather(reporting, stopping, return_exceptions=True)
        reporter.say("ended", **status())


def run(main: Coroutine[Any, Any, Iterable[Saying]], words: Words) -> None:
    """Run a simulator; exit code 1 with a sentence for all its user can mend, 130 for a second Ctrl-C."""
    try:
        troubles = [words.render(trouble) for trouble in asyncio.run(main)]
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit(130)
    except OSError as error:
        troubles = [words.say("never.bound", reason=system(error))]
    for trouble in troubles:
        print(trouble, file=sys.stderr)
    if troubles:
        sys.exit(1)
