"""Both networks in virtual time: the product's own composition over cores, with simulators around it.

Nothing here is a stand-in for product code but the network, the clock and the stores; the same
scenarios run over the plain memory link and over one that encodes, decodes and compares.
"""

import asyncio
import copy
import json
import random
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from cascade.ports import Store
from gateway import config
from gateway.app import Gateway, SideName, Surroundings
from gateway.chamber import chain
from gateway.chamber.audit import Audit
from gateway.chamber.link import LinkEnd
from gateway.chamber.link.encoded import encoded_link
from gateway.chamber.link.memory import memory_link
from gateway.config import SideConfig
from gateway.credentials.holders import load_secrets
from gateway.store.memory import MemoryStore
from gateway.transports import Transports, connected
from interop.demo.cast import CONFIG, KEPT, KEPT_BRANCH, SHARED
from interop.demo.sealing import seal
from interop.sim.camera import FakeFrames, FakeScreen
from interop.sim.catalog import Tree, sample_tree
from interop.sim.lower import LowerPlatform
from interop.sim.membership import Server, Terms
from interop.sim.tasks import Tasks
from interop.sim.upper import UpperPlatform
from media.link import MediaLink
from media.relay import TrunkPlane
from sip.aio.calls import Calls
from sip.aio.streams import Tls
from sip.endpoint import Endpoint, Party, Stack
from tests.gateway.relays import TwoRelays, opened, relay_for, two_hosts
from tests.media.plane import CorePlane
from tests.sip.network import EVERYWHERE, Network, VirtualStack

OUTER: Final = "203.0.113.20"
INNER: Final = "198.51.100.20"
LOWER: Final = "203.0.113.30"
UPPER: Final = "198.51.100.10"
LOWER_ID: Final = "44010600002000000001"
OUTER_ID: Final = "44010000002000000001"
INNER_ID: Final = "44010000002000000002"
UPPER_ID: Final = "44000000002000000001"
PASSWORD: Final = "open-sesame"
WALL: Final = 1_772_352_000.0  # 2026-03-01 08:00 UTC

Link = Callable[[asyncio.AbstractEventLoop], tuple[LinkEnd, LinkEnd]]
LINKS: Final[dict[str, Link]] = {"memory": memory_link, "encoded": encoded_link, "hosts": two_hosts}
"""The last one with a relay on each side, and media between them sealed."""


class Life:
    """The gateway from one start to its stop or its sudden death; what it stored outlives it."""

    def __init__(
        self,
        network: Network,
        folder: Path,
        link: Link,
        stores: dict[SideName, MemoryStore],
        number: int,
        wire: Network | None = None,
    ) -> None:
        self.plane = relay_for(link, network, wire)
        self._network = network
        self._folder = folder
        self._link = link
        self._stores = stores
        self._random = random.Random(number)
        self._stacks: list[VirtualStack] = []
        self._audits: list[Audit] = []
        self._opened: asyncio.Future[Gateway] = network.loop.create_future()
        self._stop = asyncio.Event()
        self._task = network.loop.create_task(self._live())

    async def opened(self) -> Gateway:
        """Both sides, once they are up. Raises what kept them from it."""
        self._task.add_done_callback(self._failed)
        return await self._opened

    def _failed(self, task: "asyncio.Task[None]") -> None:
        if not self._opened.done():
            error = None if task.cancelled() else task.exception()
            self._opened.set_exception(error or RuntimeError("the gateway ended before it was open"))

    async def stop(self) -> None:
        """As by SIGTERM; of one that died, wait for what is left of its tasks."""
        self._stop.set()
        with suppress(asyncio.CancelledError):
            await self._task

    def die(self) -> None:
        """As by SIGKILL: from now on it says nothing, hears nothing, writes nothing and holds no address."""
        for stack in self._stacks:
            stack.close()
            self._network.wires.die(stack.local[0])
        for audit in self._audits:
            audit.close()
        self.plane.close()
        for side, store in self._stores.items():
            self._stores[side] = copy.deepcopy(store)
        self._task.cancel()

    async def _live(self) -> None:
        written = config.load(self._folder / "gateway.toml")
        secrets = load_secrets(written)
        ends = self._link(self._network.loop)
        async with opened(self.plane, written, secrets, self._around, ends) as gateway:
            self._opened.set_result(gateway)
            await self._stop.wait()

    def _around(self, plane: TrunkPlane, media: MediaLink | None = None) -> Surroundings:
        return Surroundings(
            loop=self._network.loop,
            wall=lambda: WALL + self._network.loop.time(),
            random=self._random,
            stack=self._stack,
            attach=attached,
            plane=plane,
            media=media,
            store=self._store,
            audit=self._audit,
        )

    def _stack(self, _name: SideName, own: SideConfig) -> Stack:
        stack = self._network.stack(
            (own.address, own.port), own.domain or own.id[:10], own.networks, own.listeners()
        )
        self._stacks.append(stack)
        return stack

    def _store(self, name: SideName) -> Store:
        return self._stores.setdefault(name, MemoryStore())

    def _audit(self, side: SideName) -> Audit:
        audit = Audit(self._folder / f"{side}.jsonl", monotonic=self._network.loop.time)
        self._audits.append(audit)
        return audit


@dataclass(frozen=True, slots=True)
class By:
    """By what a platform speaks to the gateway at `gateway`, and listens for it at `port`."""

    transport: Literal["tcp", "tls"]
    gateway: tuple[str, int]
    port: int
    tls: Tls | None = None


@dataclass(slots=True)
class World:
    """Who is there. What is restarted is replaced: `gateway` and `plane` by `restart`."""

    network: Network
    life: Life
    gateway: Gateway
    lower: LowerPlatform
    upper: UpperPlatform
    upper_calls: Calls
    lower_calls: Calls
    tree: Tree
    stores: dict[SideName, MemoryStore] = field(default_factory=dict)
    folder: Path = field(default_factory=Path)
    link: Link = memory_link
    lives: int = 1
    dead: list[Life] = field(default_factory=list)

    async def close(self) -> None:
        for life in (self.life, *self.dead):
            await life.stop()

    @property
    def plane(self) -> CorePlane | TwoRelays:
        return self.life.plane

    async def restart(self) -> None:
        """Start the gateway anew after it stopped or died, on what it has stored."""
        self.lives += 1
        self.life = Life(self.network, self.folder, self.link, self.stores, self.lives)
        self.gateway = await self.life.opened()

    async def kill(self, dead_seconds: float = 1.0) -> None:
        """kill -9 and a new start after a while."""
        self.life.die()
        self.dead.append(self.life)
        await asyncio.sleep(dead_seconds)
        await self.restart()

    def shared(self) -> list[str]:
        return [camera.id for camera in self.tree.cameras if camera.parent != KEPT_BRANCH]

    def kept(self) -> list[str]:
        return [camera.id for camera in self.tree.cameras if camera.parent == KEPT_BRANCH]

    def speakers(self) -> list[str]:
        """Those that the rules share by default; a broadcast is for one of them."""
        return [speaker.id for speaker in self.tree.speakers if speaker.parent != KEPT_BRANCH]

    def audit(self, side: SideName) -> list[dict[str, Any]]:
        """The side's audit records so far."""
        lines = (self.folder / f"{side}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def trails_whole(self) -> bool:
        return all(chain.verify(self.folder / f"{side}.jsonl").whole for side in ("outer", "inner"))

    async def shown(self, cameras: int | None = None) -> None:
        """Return once the inner side may show so many cameras (all that the rules share by default).

        Speakers too, if there are any.
        """
        expected = len(self.shared()) if cameras is None else cameras
        arrived = asyncio.Event()
        self.gateway.inner.gate.observe(lambda _direction, _crossing: arrived.set())
        while len(self.playable()) != expected or not set(self.speakers()) <= self.known():
            arrived.clear()
            await arrived.wait()

    def playable(self) -> list[str]:
        return sorted(name for name in self.known() if name[10:13] == "132")

    def known(self) -> set[str]:
        """Every id that the inner side has of the lower platform's."""
        return set(self.gateway.inner.side.shared.rows(LOWER_ID).ids())


def network_of(host: str) -> str:
    """That of everybody on its side."""
    return host.rpartition(":")[0] + ":/64" if ":" in host else host.rpartition(".")[0] + ".0/24"


def text(**replaced: str) -> str:
    """The demo's configuration at this world's addresses, with pieces replaced or appended to."""
    written = CONFIG.format(
        outer_network=network_of(OUTER),
        inner_network=network_of(INNER),
        outer=OUTER,
        outer_id=OUTER_ID,
        outer_port=5060,
        inner=INNER,
        inner_id=INNER_ID,
        inner_port=5060,
        upper=UPPER,
        upper_id=UPPER_ID,
        upper_port=5060,
        lower_id=LOWER_ID,
        kept=KEPT_BRANCH,
    )
    for old, new in replaced.items():
        written = written.replace(old, new)
    return written


@contextmanager
def settings_in(written: str | None = None, passwords: dict[str, str] | None = None) -> Iterator[Path]:
    """A folder with gateway.toml and its secrets."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "gateway.toml").write_text(text() if written is None else written)
        known = {LOWER_ID: PASSWORD} if passwords is None else passwords
        uppers = re.findall(r'\[\[inner\.upper\]\]\nid = "(\d+)"', (folder / "gateway.toml").read_text())
        with suppress(config.ConfigError):  # what cannot be read has no peers
            seal(folder / "gateway.toml", known | dict.fromkeys(uppers, PASSWORD))
        yield folder


def sample(cameras: int, speakers: int = 0) -> Tree:
    return sample_tree(LOWER_ID, "County platform", cameras, branches=(SHARED, KEPT), speakers=speakers)


@asynccontextmanager
async def world(
    link: Link = memory_link,
    *,
    cameras: int = 8,
    written: str | None = None,
    loss: float = 0.0,
    passwords: dict[str, str] | None = None,
    lower_password: str = PASSWORD,
    seed: int = 1,
    stores: dict[SideName, MemoryStore] | None = None,
    lower_runs: bool = True,
    speakers: int = 0,
    below: By | None = None,
    above: By | None = None,
) -> AsyncIterator[World]:
    """Everybody up and running in virtual time; on leaving nothing may be bound any more.

    `below`, `above`: by what the two platforms speak, where that is not UDP.
    """
    network = Network(asyncio.get_running_loop(), seed, loss=loss)
    kept: dict[SideName, MemoryStore] = {} if stores is None else stores

    with settings_in(written, passwords) as folder:
        tree = sample(cameras, speakers)
        async with AsyncExitStack() as held:
            upper, upper_calls = await open_upper(held, network, above)
            lower, lower_calls = await open_lower(held, network, tree, lower_password, below)
            life = Life(network, folder, link, kept, seed)
            gateway = await life.opened()
            here = World(
                network, life, gateway, lower, upper, upper_calls, lower_calls, tree, kept, folder, link, seed
            )
            held.push_async_callback(here.close)
            background = await held.enter_async_context(Tasks())
            if lower_runs:
                background.start(lower.run())
            yield here
        await asyncio.sleep(0.1)  # connections end at both ends
        assert network.bound() == [], "addresses are still bound after everybody has left"


async def open_upper(
    held: AsyncExitStack, network: Network, by: By | None = None
) -> tuple[UpperPlatform, Calls]:
    calls = await open_calls(held, network, Party(UPPER_ID, UPPER_ID[:10]), (UPPER, 5060), by=by)
    upper = UpperPlatform(
        endpoint=calls.endpoint,
        calls=calls,
        net=network,
        media_host=UPPER,
        passwords={INNER_ID: PASSWORD},
        open_screen=FakeScreen,
        wall=lambda: WALL + network.loop.time(),
    )
    return upper, calls


async def open_lower(
    held: AsyncExitStack, network: Network, tree: Tree, password: str = PASSWORD, by: By | None = None
) -> tuple[LowerPlatform, Calls]:
    calls = await open_calls(held, network, Party(LOWER_ID, LOWER_ID[:10]), (LOWER, 5060), by=by)
    lower = LowerPlatform(
        endpoint=calls.endpoint,
        calls=calls,
        net=network,
        server=Server(OUTER_ID, OUTER_ID[:10], by.gateway if by else (OUTER, 5060)),
        password=password,
        media_host=LOWER,
        name=tree.name,
        cameras=tree.cameras,
        branches=tree.branches,
        speakers=tree.speakers,
        terms=Terms(),
        open_source=FakeFrames,
        wall=lambda: WALL + network.loop.time(),
    )
    return lower, calls


async def open_calls(
    held: AsyncExitStack,
    network: Network,
    me: Party,
    address: tuple[str, int],
    allowed: Sequence[str] = (),
    *,
    by: By | None = None,
) -> Calls:
    listeners = [(by.transport, address[0], by.port)] if by else []
    stack = network.stack(address, me.host, allowed or EVERYWHERE, listeners)
    endpoint = Endpoint(stack, me)
    held.enter_context(attach(stack, endpoint))
    if by:
        stack.set_route(by.gateway, by.transport)
        await held.enter_async_context(stack.with_streams(by.tls))
    return await held.enter_async_context(Calls(endpoint))


@asynccontextmanager
async def attached(
    name: SideName, own: SideConfig, stack: Stack, endpoint: Endpoint
) -> AsyncIterator[Transports]:
    """What `gateway.transports.attached` is to an engine, its connections over the network's wires."""
    assert isinstance(stack, VirtualStack)
    with attach(stack, endpoint):
        async with connected(name, own, stack, stack.network.wires.plug()) as transports:
            stack.streams = transports.streams
            yield transports


@contextmanager
def attach(stack: Stack, endpoint: Endpoint) -> Iterator[None]:
    """What `Driver` is to an engine."""
    assert isinstance(stack, VirtualStack)
    stack.attach(endpoint)
    try:
        yield
    finally:
        stack.close()


class Wire:
    """SIP as it was sent between two hosts: (time, source host, destination host, text), in order."""

    def __init__(self, network: Network) -> None:
        self.sent: list[tuple[float, str, str, str]] = []
        network.taps.append(self._note)

    def between(self, source: str, destination: str, what: str) -> list[str]:
        """Texts of what began with `what` (a method, or `SIP/2.0 404`) on that way."""
        return [
            text
            for _, sender, receiver, text in self.sent
            if (sender, receiver) == (source, destination) and text.startswith(what)
        ]

    def _note(
        self, at: float, payload: bytes, source: tuple[str, int], destination: tuple[str, int], _arrives: bool
    ) -> None:
        if payload[:1].isalpha():  # RTP begins with 0x80
            self.sent.append((at, source[0], destination[0], payload.decode("gb18030", "replace")))


def header(message: str, name: str) -> str:
    """The first value of a header, "" if it is absent."""
    for line in message.partition("\r\n\r\n")[0].split("\r\n")[1:]:
        label, _, value = line.partition(":")
        if label.strip().lower() == name.lower():
            return value.strip()
    return ""
