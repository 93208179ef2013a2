"""The real gateway as a process of its own, between whatever programs a scenario puts on either side.

Every scenario has loopback addresses of its own, chosen anew each time, so that runs beside each
other do not meet. All signalling is on port 5060, as in the field.
"""

import asyncio
import json
import random
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway import config
from gateway.credentials.holders import Secrets
from interop.demo.cast import INNER_ID, Cast, write_config
from interop.demo.play import Play, Wanted
from interop.demo.scene import Scene, lower_platform
from interop.demo.view import PlainView
from interop.scenarios.programs import PATIENCE, Program, running, until
from interop.sim.catalog import Tree
from interop.sim.lower import LowerPlatform
from interop.sim.queries import CatalogReport
from interop.sim.upper import UpperPlatform
from interop.words import ENGLISH

SIP: Final = 5060
PASSWORD: Final = "open-sesame-2026"

IMPATIENT: Final = ("keepalive_seconds = 2.0", "retry_seconds = 0.5", "retry_jitter = 0.0")
"""Of the upper platform, in every scenario's configuration; all else is the demo's."""


@dataclass(frozen=True, slots=True)
class People:
    """Hosts: the gateway's two, one for each platform, and more for whoever else is there."""

    outer: str
    lower: str
    more_below: tuple[str, ...]
    inner: str
    upper: str
    proxy: str

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.outer, self.lower, *self.more_below, self.inner, self.upper, self.proxy

    def configure(self, folder: Path, *, next_hop: str = "", more: str = "") -> tuple[config.Config, Secrets]:
        """Write the gateway's files. `next_hop`: what the upper platform is reached by."""
        hosts = (self.outer, self.lower, self.inner, next_hop or self.upper)
        cast = Cast(*((host, SIP) for host in hosts))
        lines = (f'media_networks = ["{self.upper}"]', *IMPATIENT)
        return write_config(folder, PASSWORD, cast=cast, upper_more=lines, more=more)


def people() -> People:
    """Hosts on which nobody has the SIP port now."""
    outer, lower, *more = _free("127.0.1", 4)
    return People(outer, lower, tuple(more), *_free("127.0.2", 3))


def _free(network: str, count: int) -> list[str]:
    found: list[str] = []
    for number in random.sample(range(10, 250), 240):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            try:
                trial.bind((f"{network}.{number}", SIP))
            except OSError:
                continue
        found.append(f"{network}.{number}")
        if len(found) == count:
            return found
    raise OSError(f"no {count} free addresses in {network}.0/24")


class Lockgate:
    """`lockgate run`, seen from outside: its log, its audit files, its sockets."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.audits = {side: folder / "state" / side / "audit.jsonl" for side in ("outer", "inner")}

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in map(json.loads, self.program.lines) if event["event"] == name]

    async def event(self, name: str) -> dict[str, Any]:
        """The first log line of that name, once it is there."""
        found: dict[str, Any] = json.loads(await self.program.line(lambda line: f'"event": "{name}"' in line))
        return found

    async def crossed(self, side: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first audit record of that side that is wanted, once it is there."""

        def look() -> dict[str, Any] | None:
            whole, _, _ = self.audits[side].read_text().rpartition("\n")
            return next(filter(wanted, map(json.loads, whole.splitlines())), None)

        return await until(look)

    async def settled(self, people: People) -> None:
        """Return once nothing is open but the two signalling sockets: no orphans."""
        signalling = {f"{people.outer}:{SIP}", f"{people.inner}:{SIP}"}
        await until(lambda: self.program.sockets() == signalling or None)

    async def stopped(self) -> None:
        """End it with SIGTERM: it must leave well, without trouble in its log, its audit whole."""
        code = await self.program.stop()
        assert code == 0, self.program.told()
        assert [e for e in map(json.loads, self.program.lines) if e["level"] == "error"] == []
        for audit in self.audits.values():
            done = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway",
                "audit",
                "verify",
                str(audit),
                stdout=asyncio.subprocess.DEVNULL,
            )
            assert await done.wait() == 0, audit


@asynccontextmanager
async def lockgate(folder: Path, people: People, *, next_hop: str = "") -> AsyncIterator[Lockgate]:
    """Write both files as an administrator would, and run them. `next_hop`: what the upper is reached by."""
    people.configure(folder, next_hop=next_hop, more='\n[log]\nform = "json"\n')
    command = [sys.executable, "-m", "gateway", "run", "--config", str(folder / "gateway.toml")]
    async with running("lockgate", command, folder) as program:
        gateway = Lockgate(program, folder)
        await gateway.event("gateway.ready")
        yield gateway


class Below:
    """Our simulator below, and the end of it before its time."""

    def __init__(self, platform: LowerPlatform) -> None:
        self.platform = platform
        self._running = asyncio.get_running_loop().create_task(platform.run())

    async def stop(self) -> None:
        """Hang up, unregister, and be gone."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)


@asynccontextmanager
async def below(people: People, tree: Tree, workers: Executor) -> AsyncIterator[Below]:
    """Our simulator, below; it stays registered until it is stopped, or the context ends."""
    at, above = (people.lower, SIP), (people.outer, SIP)
    async with lower_platform(at, above, PASSWORD, tree, workers) as platform:
        running = Below(platform)
        try:
            yield running
        finally:
            await running.stop()


async def play_through(scene: Scene, folder: Path, *, seconds: float = 4.0) -> Play:
    """The demo's own play with one camera, its picture and its stream saved in `folder`."""
    wanted = Wanted(seconds=seconds, plays=1, out=folder, record=True, started=time.time())
    play = Play(scene, PlainView(print, ENGLISH), wanted, asyncio.Event())
    async with asyncio.timeout(2 * PATIENCE):
        await play.run()
    return play


async def catalog(upper: UpperPlatform, channels: int) -> CatalogReport:
    """What the gateway shows above, asked for until it has so many channels."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = await upper.catalog(INNER_ID)
            if shown.complete and len(shown.channels()) == channels:
                return shown
            await asyncio.sleep(0.1)
