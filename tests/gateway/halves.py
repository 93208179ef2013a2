"""The two sides as two processes in virtual time: each lives, dies and starts again by itself.

What joins them is a link that breaks when either dies and is made anew when both are there. Their
relays are one, as if media found its way: between hosts it has none yet.
"""

import asyncio
import copy
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cascade.ports import Store
from gateway import config
from gateway.app import Open, SideName, Surroundings, open_side
from gateway.chamber import chain
from gateway.chamber.audit import Audit
from gateway.chamber.link.encoded import encoded_link
from gateway.chamber.link.rejoining import RejoiningEnd
from gateway.config import SideConfig
from gateway.store.memory import MemoryStore
from interop.sim.catalog import Tree
from interop.sim.lower import LowerPlatform
from interop.sim.tasks import Tasks
from interop.sim.upper import UpperPlatform
from media.relay import Close, DropViewer
from sip.aio.calls import Calls
from sip.endpoint import Stack
from tests.gateway.world import LOWER_ID, WALL, attach, open_lower, open_upper, sample, settings_in
from tests.media.plane import CorePlane
from tests.sip.network import Network, VirtualStack

OTHER: Final[dict[SideName, SideName]] = {"outer": "inner", "inner": "outer"}


class Half:
    """One side from a start to its stop or its sudden death."""

    def __init__(self, here: "Halves", side: SideName, number: int) -> None:
        self.link = RejoiningEnd()
        self.open: Open | None = None
        self._here = here
        self._side = side
        self._number = number
        self._stacks: list[VirtualStack] = []
        self._audits: list[Audit] = []
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._task = here.network.loop.create_task(self._live())

    async def opened(self) -> Open:
        await self._ready.wait()
        assert self.open is not None
        return self.open

    async def stop(self) -> None:
        self._stop.set()
        with suppress(asyncio.CancelledError):
            await self._task

    def die(self) -> None:
        """As by SIGKILL; its relay goes with it, and the other side's end of the link hears nothing more."""
        for stack in self._stacks:
            stack.close()
        for audit in self._audits:
            audit.close()
        stores = self._here.stores
        stores[self._side] = copy.deepcopy(stores[self._side])
        self._task.cancel()

    async def _live(self) -> None:
        here = self._here
        loop = here.network.loop
        around = Surroundings(
            loop=loop,
            wall=lambda: WALL + loop.time(),
            random=random.Random(self._number),
            stack=self._stack,
            attach=attach,
            plane=here.plane,
            store=self._store,
            audit=self._audit,
        )
        written = config.load(here.folder / "gateway.toml")
        secrets = config.load_secrets(here.folder / "secrets.toml")
        passwords = secrets.outer if self._side == "outer" else secrets.inner
        async with open_side(self._side, written, passwords, self.link, around) as opened:
            self.open = opened
            self.link.on_linked = opened.linked
            self._ready.set()
            await self._stop.wait()

    def _stack(self, _name: SideName, own: SideConfig) -> Stack:
        made = self._here.network.stack((own.address, own.port), own.domain or own.id[:10], own.networks)
        self._stacks.append(made)
        return made

    def _store(self, name: SideName) -> Store:
        return self._here.stores.setdefault(name, MemoryStore())

    def _audit(self, side: SideName) -> Audit:
        audit = Audit(self._here.folder / f"{side}.jsonl", monotonic=self._here.network.loop.time)
        self._audits.append(audit)
        return audit


@dataclass(slots=True)
class Halves:
    """Who is there."""

    network: Network
    folder: Path
    plane: CorePlane
    tree: Tree
    upper: UpperPlatform
    upper_calls: Calls
    lower: LowerPlatform
    lower_calls: Calls
    stores: dict[SideName, MemoryStore] = field(default_factory=dict)
    live: dict[SideName, Half] = field(default_factory=dict)
    dead: list[Half] = field(default_factory=list)
    lives: int = 0

    async def start(self, side: SideName) -> None:
        """Start that side, and join it with the other one if that is there."""
        self.lives += 1
        self.live[side] = half = Half(self, side, self.lives)
        await half.opened()
        other = self.live.get(OTHER[side])
        if other is not None:
            one, two = encoded_link(self.network.loop)
            half.link.join(one)
            other.link.join(two)

    def kill(self, side: SideName) -> None:
        """kill -9 of that side; the other one sees its end of the connection close."""
        half = self.live.pop(side)
        half.die()
        self.dead.append(half)
        if side == "outer":
            for stream in list(self.plane._receiving):
                self.plane.tell(Close(stream=stream))
        else:
            for stream, viewer in list(self.plane._sending):
                self.plane.tell(DropViewer(stream=stream, viewer=viewer))
        other = self.live.get(OTHER[side])
        if other is not None and other.link._end is not None:
            other.link.part(other.link._end)

    def side(self, name: SideName) -> Open:
        opened = self.live[name].open
        assert opened is not None
        return opened

    def orphans(self) -> int:
        return sum(self.side(name).side.tables().orphans for name in self.live)

    def playable(self) -> list[str]:
        ids = self.side("inner").side.shared.rows(LOWER_ID).ids()
        return sorted(name for name in ids if name[10:13] == "132")

    async def playable_are(self, cameras: list[str]) -> None:
        """Return once the inner side may show just these."""
        sent = asyncio.Event()
        self.network.taps.append(lambda *_: sent.set())
        while self.playable() != cameras:
            sent.clear()
            await sent.wait()

    def trails_whole(self) -> bool:
        return all(chain.verify(self.folder / f"{side}.jsonl").whole for side in OTHER)

    async def close(self) -> None:
        for half in (*self.live.values(), *self.dead):
            await half.stop()


@asynccontextmanager
async def halves(*, cameras: int = 8) -> AsyncIterator[Halves]:
    """Both sides and both platforms up and running; on leaving nothing may be bound any more."""
    network = Network(asyncio.get_running_loop(), 1)
    with settings_in() as folder:
        async with AsyncExitStack() as held:
            upper, upper_calls = await open_upper(held, network)
            tree = sample(cameras)
            lower, lower_calls = await open_lower(held, network, tree)
            plane = CorePlane(network.loop, network.datagrams)
            here = Halves(network, folder, plane, tree, upper, upper_calls, lower, lower_calls)
            held.push_async_callback(here.close)
            background = await held.enter_async_context(Tasks())
            await here.start("inner")
            await here.start("outer")
            background.start(lower.run())
            yield here
        assert network.bound() == [], "addresses are still bound after everybody has left"
