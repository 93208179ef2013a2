"""The real gateway as a process of its own, between whatever programs a scenario puts on either side.

Every scenario has loopback addresses of its own, chosen anew each time, so that runs beside each
other do not meet. All signalling is on port 5060, as in the field.
"""

import asyncio
import json
import random
import socket
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final

from interop.scenarios.programs import PATIENCE, Program, running, until
from interop.sim.catalog import Tree
from interop.sim.lower import LowerPlatform
from interop.sim.membership import Server
from interop.sim.net import RealNet
from interop.sim.queries import CatalogReport
from interop.sim.upper import UpperPlatform
from sip._native import Engine
from sip.aio.calls import Calls
from sip.aio.driver import UdpDriver
from sip.endpoint import Endpoint, Party

SIP: Final = 5060
LOWER_ID: Final = "44010600002000000001"
OUTER_ID: Final = "44010000002000000001"
INNER_ID: Final = "44010000002000000002"
UPPER_ID: Final = "44000000002000000001"
PASSWORD: Final = "open-sesame-2026"
KEPT: Final = "44010600001320000003"
"""The one camera that no rule shares."""

CONFIG: Final = """\
[gateway]
state = "state"

[log]
form = "json"

[media]
linger_seconds = 0.2

[outer]
id = "{outer_id}"
address = "{cast.outer}"
media_ports = [30000, 30198]
networks = ["127.0.1.0/24"]

[[outer.lower]]
id = "{lower_id}"

[inner]
id = "{inner_id}"
address = "{cast.inner}"
media_ports = [31000, 31198]
networks = ["127.0.2.0/24"]

[[inner.upper]]
id = "{upper_id}"
host = "{next_hop}"
media_networks = ["{cast.upper}"]
keepalive_seconds = 2.0
retry_seconds = 0.5
retry_jitter = 0.0

[[rule]]
id = "kept"
reason = "That camera stays on the public network."
direction = "inward"
action = "catalog.rows"
channels = ["id:{kept}"]
verdict = "deny"

[[rule]]
id = "show-the-rest"
reason = "Everything else may be seen."
direction = "inward"
action = "catalog.rows"
channels = ["*"]
verdict = "allow"

[[rule]]
id = "presence"
reason = "The upper platform must know which cameras are online."
direction = "inward"
action = "notice.presence"
channels = ["*"]
verdict = "allow"

[[rule]]
id = "ask-and-watch"
reason = "The upper platform may ask and watch what it sees."
direction = "outward"
action = "query.*"
channels = ["*"]
verdict = "allow"

[[rule]]
id = "live"
reason = "The upper platform may watch live what it sees."
direction = "outward"
action = "media.live"
channels = ["*"]
verdict = "allow"
"""


@dataclass(frozen=True, slots=True)
class Cast:
    """Addresses: the gateway's two, one for each platform, and more for whoever else is there."""

    outer: str
    lower: str
    more_below: tuple[str, ...]
    inner: str
    upper: str
    proxy: str

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.outer, self.lower, *self.more_below, self.inner, self.upper, self.proxy


def cast() -> Cast:
    """Addresses on which nobody has the SIP port now."""
    outer, lower, *more = _free("127.0.1", 4)
    return Cast(outer, lower, tuple(more), *_free("127.0.2", 3))


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

    async def settled(self, cast: Cast) -> None:
        """Return once nothing is open but the two signalling sockets: no orphans."""
        signalling = {f"{cast.outer}:{SIP}", f"{cast.inner}:{SIP}"}
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
async def lockgate(folder: Path, cast: Cast, *, next_hop: str = "") -> AsyncIterator[Lockgate]:
    """Write both files as an administrator would, and run them. `next_hop`: what the upper is reached by."""
    config, secrets = folder / "gateway.toml", folder / "secrets.toml"
    config.write_text(
        CONFIG.format(
            cast=cast,
            outer_id=OUTER_ID,
            inner_id=INNER_ID,
            lower_id=LOWER_ID,
            upper_id=UPPER_ID,
            next_hop=next_hop or cast.upper,
            kept=KEPT,
        )
    )
    secrets.touch(mode=0o600)
    secrets.write_text(
        f'[outer.passwords]\n"{LOWER_ID}" = "{PASSWORD}"\n\n[inner.passwords]\n"{UPPER_ID}" = "{PASSWORD}"\n'
    )
    command = [sys.executable, "-m", "gateway", "run", "--config", str(config)]
    async with running("lockgate", command, folder) as program:
        gateway = Lockgate(program, folder)
        await gateway.event("gateway.ready")
        yield gateway


@asynccontextmanager
async def upper_platform(cast: Cast, workers: Executor) -> AsyncIterator[UpperPlatform]:
    """Our simulator, above."""
    async with AsyncExitStack() as held:
        calls = await _calls(held, Party(UPPER_ID, UPPER_ID[:10]), cast.upper, "127.0.2.0/24")
        yield UpperPlatform(
            endpoint=calls.endpoint,
            calls=calls,
            net=RealNet(),
            media_host=cast.upper,
            passwords={INNER_ID: PASSWORD},
            workers=workers,
        )


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
async def lower_platform(cast: Cast, tree: Tree, workers: Executor) -> AsyncIterator[Below]:
    """Our simulator, below; it stays registered until it is stopped, or the context ends."""
    async with AsyncExitStack() as held:
        calls = await _calls(held, Party(LOWER_ID, LOWER_ID[:10]), cast.lower, "127.0.1.0/24")
        below = Below(
            LowerPlatform(
                endpoint=calls.endpoint,
                calls=calls,
                net=RealNet(),
                server=Server(OUTER_ID, OUTER_ID[:10], (cast.outer, SIP)),
                password=PASSWORD,
                media_host=cast.lower,
                name=tree.name,
                cameras=tree.cameras,
                branches=tree.branches,
                workers=workers,
            )
        )
        try:
            yield below
        finally:
            await below.stop()


async def catalog(upper: UpperPlatform, channels: int) -> CatalogReport:
    """What the gateway shows above, asked for until it has so many channels."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = await upper.catalog(INNER_ID)
            if shown.complete and len(shown.channels()) == channels:
                return shown
            await asyncio.sleep(0.1)


async def _calls(held: AsyncExitStack, me: Party, host: str, network: str) -> Calls:
    engine = Engine((host, SIP), me.host, [network], token_bytes(32))
    held.callback(engine.close)
    endpoint = Endpoint(engine, me, user_agent="Lockgate simulator")
    held.enter_context(UdpDriver(engine, endpoint))
    return await held.enter_async_context(Calls(endpoint))
