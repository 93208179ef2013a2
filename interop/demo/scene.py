"""The demo's stage: two networks on loopback, a gateway between them, a platform on either side."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, Final, Protocol

from gateway import config
from gateway.app import open_gateway, real_surroundings
from gateway.credentials.holders import Secrets
from gateway.transports import CannotListen
from interop.demo.cast import (
    INNER_ID,
    INNER_NETWORK,
    KEPT,
    KEPT_BRANCH,
    LOWER,
    LOWER_ID,
    OUTER_ID,
    OUTER_NETWORK,
    SHARED,
    UPPER_ID,
    free_port,
    write_config,
)
from interop.demo.faults import WELL, Fault
from interop.demo.orphans import Held, held
from interop.demo.ringing import Ringing
from interop.demo.speech import Speech
from interop.demo.watched import OneProcess, Watched, cameras_shared
from interop.sim.catalog import Tree, sample_tree
from interop.sim.lower import LowerPlatform
from interop.sim.membership import Server
from interop.sim.net import Address, Net, RealNet
from interop.sim.playing import Playing
from interop.sim.queries import CatalogReport
from interop.sim.tasks import Tasks
from interop.sim.upper import UpperPlatform
from sip._native import Engine
from sip.aio.calls import Calls
from sip.aio.driver import Driver
from sip.endpoint import Endpoint, Party

if TYPE_CHECKING:
    from interop.demo.hosts import Hosts

PORT_TRIES: Final = 4


class Sent(Protocol):
    """What one camera has sent; `sha256` is over the PS bytes, hex."""

    @property
    def camera(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def frames_sent(self) -> int: ...
    @property
    def packets_sent(self) -> int: ...
    @property
    def bytes_sent(self) -> int: ...
    @property
    def sha256(self) -> str: ...


class Lower(Protocol):
    """A lower platform as the play needs it: our simulator, or another program that is watched."""

    @property
    def registered(self) -> asyncio.Event: ...

    @property
    def controls(self) -> Sequence[object]:
        """Commands that reached it."""
        ...

    async def pause_streams(self) -> Sequence[Sent]:
        """Send nothing more; what was sent in all."""
        ...


class Upper(Protocol):
    """An upper platform as the play needs it; the methods are those of `UpperPlatform`."""

    def registered(self) -> Sequence[object]: ...
    async def wait_registered(self, platform: str, /) -> object: ...
    async def catalog(
        self, *, quiet_seconds: float, on_page: Callable[[int, int], None]
    ) -> CatalogReport: ...
    async def control(self, channel: str, ptz: str, /) -> int: ...
    def play(
        self,
        channel: str,
        *,
        camera: int | None = None,
        snapshot: Path | None = None,
        recording: Path | None = None,
    ) -> AbstractAsyncContextManager[Playing]: ...
    async def drained(self, sent: Mapping[str, int], /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Scene:
    """Everybody, up and running. `live`: pictures carry the moment at which they were filmed.

    `speech` is None where nobody can speak or nobody can listen, `ringing` where nobody can raise or hear an
    alarm, `hosts` where the gateway is one process.
    """

    gateway: Watched
    lower: Lower
    upper: Upper
    tree: Tree
    audits: Sequence[Path]
    live: bool = True
    speech: Speech | None = None
    hosts: "Hosts | None" = None
    ringing: Ringing | None = None

    def held(self) -> Held:
        """What this process holds open, and the gateway where it is not in here."""
        return held() if self.hosts is None else self.hosts.held()

    def cameras(self) -> list[str]:
        """Ids of the cameras that the rules share."""
        return cameras_shared(self.tree)

    def kept(self) -> list[str]:
        return [camera.id for camera in self.tree.cameras if camera.parent == KEPT_BRANCH]


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a platform stands: who may speak to it, and in which network of this machine its sockets are."""

    network: str
    entered: Callable[[], AbstractContextManager[None]] = nullcontext
    net: Net = field(default_factory=RealNet)


OUTER_GROUND: Final = Ground(OUTER_NETWORK)
INNER_GROUND: Final = Ground(INNER_NETWORK)


@dataclass(frozen=True, slots=True)
class Platforms:
    """The two simulators, on sockets of their own."""

    lower: LowerPlatform
    upper: UpperPlatform
    tree: Tree

    def number(self, channel: str) -> int | None:
        """Of the camera that should be seen there."""
        camera = self.tree.camera(channel)
        return None if camera is None else camera.number


@asynccontextmanager
async def upper_platform(
    at: Address,
    password: str,
    workers: Executor,
    ground: Ground = INNER_GROUND,
) -> AsyncIterator[UpperPlatform]:
    """Our simulator, above."""
    async with AsyncExitStack() as held:
        calls = await _calls(held, Party(UPPER_ID, UPPER_ID[:10]), at, ground)
        yield UpperPlatform(
            endpoint=calls.endpoint,
            calls=calls,
            net=ground.net,
            media_host=at[0],
            passwords={INNER_ID: password},
            workers=workers,
        )


@asynccontextmanager
async def lower_platform(
    at: Address,
    above: Address,
    password: str,
    tree: Tree,
    workers: Executor,
    ground: Ground = OUTER_GROUND,
) -> AsyncIterator[LowerPlatform]:
    """Our simulator, below; `run()` is the caller's to start."""
    async with AsyncExitStack() as held:
        calls = await _calls(held, Party(LOWER_ID, LOWER_ID[:10]), at, ground)
        yield LowerPlatform(
            endpoint=calls.endpoint,
            calls=calls,
            net=ground.net,
            server=Server(OUTER_ID, OUTER_ID[:10], above),
            password=password,
            media_host=at[0],
            name=tree.name,
            cameras=tree.cameras,
            branches=tree.branches,
            speakers=tree.speakers,
            workers=workers,
        )


@asynccontextmanager
async def open_platforms(
    written: config.Config,
    password: str,
    cameras: int,
    workers: Executor,
    fault: Fault = WELL,
    *,
    lower_at: Address | None = None,
    grounds: tuple[Ground, Ground] = (OUTER_GROUND, INNER_GROUND),
) -> AsyncIterator[Platforms]:
    """Open both platforms for the gateway of that configuration. `lower.run()` is the caller's to start.

    `lower_at` is the demo's own place where None; `grounds` are the lower platform's and the upper one's.
    """
    tree = sample_tree(LOWER_ID, "County platform", cameras, branches=(SHARED, KEPT), speakers=1)
    has = replace(tree, cameras=tuple(fault.cameras(tree.cameras)))
    outer, (above,) = written.outer, written.inner.upper
    low, high = grounds
    async with (
        upper_platform(
            (above.host, above.port), password, workers, ground=replace(high, net=fault.above(high.net))
        ) as upper,
        lower_platform(
            lower_at or (LOWER, free_port(LOWER)),
            (outer.address, outer.port),
            password,
            has,
            workers,
            ground=replace(low, net=fault.below(low.net)),
        ) as lower,
    ):
        platforms = Platforms(lower, upper, tree)
        fault.begin(platforms)
        yield platforms


@asynccontextmanager
async def open_scene(
    folder: Path, cameras: int, workers: Executor, fault: Fault = WELL
) -> AsyncIterator[Scene]:
    """Start everybody, the upper platform first; leaving ends them, the gateway before the platforms.

    Another demo may take a port between our look and our bind: then all of it is tried again.
    """
    async with AsyncExitStack() as held:
        for left in reversed(range(PORT_TRIES)):
            try:
                scene = await held.enter_async_context(_open_scene(folder, cameras, workers, fault))
                break
            except (OSError, CannotListen):
                if not left:
                    raise
        yield scene


@asynccontextmanager
async def _open_scene(folder: Path, cameras: int, workers: Executor, fault: Fault) -> AsyncIterator[Scene]:
    password = token_bytes(12).hex()
    written, secrets = write_config(folder, password, fault)
    async with (
        open_platforms(written, password, cameras, workers, fault) as platforms,
        gateway_between(
            written,
            secrets,
            platforms.lower,
            platforms.upper,
            platforms.tree,
            speech=Speech(platforms.upper, platforms.lower, platforms.tree.speakers[0].id),
            ringing=Ringing(platforms.lower, platforms.upper),
        ) as scene,
        Tasks() as background,
    ):
        background.start(platforms.lower.run())
        yield scene


@asynccontextmanager
async def gateway_between(
    written: config.Config,
    secrets: Secrets,
    lower: Lower,
    upper: Upper,
    tree: Tree,
    *,
    live: bool = True,
    speech: Speech | None = None,
    ringing: Ringing | None = None,
) -> AsyncIterator[Scene]:
    """The product between two platforms of whatever kind; `tree` is what the lower one says it has.

    `live` is False where pictures don't say when they were filmed, `speech` None where nobody speaks,
    `ringing` where nobody raises alarms.
    """
    async with (
        real_surroundings(written) as around,
        open_gateway(written, secrets, around) as gateway,
    ):
        audits = [Path(written.gateway.state) / side / "audit.jsonl" for side in ("outer", "inner")]
        yield Scene(OneProcess(gateway, tree), lower, upper, tree, audits, live, speech, ringing=ringing)


async def _calls(held: AsyncExitStack, me: Party, address: Address, ground: Ground) -> Calls:
    with ground.entered():
        engine = Engine(address, me.host, [ground.network], token_bytes(32))
    held.callback(engine.close)
    endpoint = Endpoint(engine, me, user_agent="Lockgate simulator")
    held.enter_context(Driver(engine, endpoint))
    return await held.enter_async_context(Calls(endpoint))
