"""The two sides on two hosts in virtual time: the composition of `lockgate run --side`, over a cable.

Everything is the product's own but the sockets, the clocks and the stores.
"""

import asyncio
import copy
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cascade.ports import Store
from gateway import config
from gateway.app import Open, SideName, Surroundings, open_host
from gateway.chamber import chain
from gateway.chamber.audit import Audit
from gateway.chamber.link.hosts import HostsEnd
from gateway.config import SideConfig
from gateway.credentials.holders import load_secrets
from gateway.store.memory import MemoryStore
from interop.demo.halves import half
from interop.demo.sealing import seal
from interop.sim.catalog import Tree
from interop.sim.lower import LowerPlatform
from interop.sim.tasks import Tasks
from interop.sim.upper import UpperPlatform
from sip.aio.calls import Calls
from sip.endpoint import Stack
from tests.gateway.cable import HOST, OTHER, Cable, Certificates
from tests.gateway.world import (
    LOWER_ID,
    PASSWORD,
    UPPER_ID,
    WALL,
    attached,
    open_lower,
    open_upper,
    sample,
    settings_in,
    text,
)
from tests.media.plane import CorePlane
from tests.sip.network import Network, VirtualStack

LINK: Final = f"""
[link]
outer = "{HOST["outer"]}"
inner = "{HOST["inner"]}"
dials = "DIALS"
"""


class Host:
    """One side from a start to its stop or its sudden death."""

    def __init__(self, here: "Hosts", side: SideName, number: int) -> None:
        self.open: Open | None = None
        self.plane = CorePlane(here.network.loop, here.network.datagrams)
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

    @property
    def link(self) -> HostsEnd:
        assert self.open is not None
        link = self.open.gate._link
        assert isinstance(link, HostsEnd)
        return link

    async def stop(self) -> None:
        self._stop.set()
        with suppress(asyncio.CancelledError):
            await self._task

    def die(self) -> None:
        """As by SIGKILL: it says nothing, writes nothing and holds no address; its kernel closes the link."""
        here = self._here
        for stack in self._stacks:
            stack.close()
        for audit in self._audits:
            audit.close()
        self.plane.close()
        self.link._closed = True
        if self.link._dialling is not None:
            self.link._dialling.cancel()
        here.cable.unplug(HOST[self._side])
        here.stores[self._side] = copy.deepcopy(here.stores[self._side])
        self._task.cancel()

    async def _live(self) -> None:
        here = self._here
        loop = here.network.loop
        around = Surroundings(
            loop=loop,
            wall=lambda: WALL + loop.time(),
            random=random.Random(self._number),
            stack=self._stack,
            attach=attached,
            plane=self.plane,
            store=self._store,
            audit=self._audit,
        )
        written = config.load(here.folder / f"{self._side}.toml", self._side)
        secrets = load_secrets(written).of(self._side)
        plug = here.cable.plug(self._side)
        async with open_host(self._side, written, secrets, around, plug) as opened:
            self.open = opened
            self._ready.set()
            await self._stop.wait()
        self.plane.close()

    def _stack(self, _name: SideName, own: SideConfig) -> Stack:
        made = self._here.network.stack(
            (own.address, own.port), own.domain or own.id[:10], own.networks, own.listeners()
        )
        self._stacks.append(made)
        return made

    def _store(self, name: SideName) -> Store:
        return self._here.stores.setdefault(name, MemoryStore())

    def _audit(self, side: SideName) -> Audit:
        audit = Audit(self._here.folder / f"{side}.jsonl", monotonic=self._here.network.loop.time)
        self._audits.append(audit)
        return audit


@dataclass(slots=True)
class Hosts:
    """Who is there."""

    network: Network
    cable: Cable
    folder: Path
    tree: Tree
    upper: UpperPlatform
    upper_calls: Calls
    lower: LowerPlatform
    lower_calls: Calls
    stores: dict[SideName, MemoryStore] = field(default_factory=dict)
    live: dict[SideName, Host] = field(default_factory=dict)
    dead: list[Host] = field(default_factory=list)
    lives: int = 0

    async def start(self, side: SideName) -> Open:
        self.lives += 1
        self.live[side] = host = Host(self, side, self.lives)
        return await host.opened()

    async def stop(self, side: SideName) -> None:
        await self.live.pop(side).stop()

    def kill(self, side: SideName) -> None:
        """kill -9 of that side; the other one sees the connection close."""
        host = self.live.pop(side)
        host.die()
        self.dead.append(host)

    def side(self, name: SideName) -> Open:
        opened = self.live[name].open
        assert opened is not None
        return opened

    def link(self, name: SideName) -> HostsEnd:
        return self.live[name].link

    def orphans(self) -> int:
        return sum(self.side(name).side.tables().orphans for name in self.live)

    def playable(self) -> list[str]:
        ids = self.side("inner").side.shared.rows(LOWER_ID).ids()
        return sorted(name for name in ids if name[10:13] == "132")

    async def playable_are(self, cameras: list[str]) -> None:
        """Return once the inner side may show just these."""
        arrived = asyncio.Event()
        self.side("inner").gate.observe(lambda _direction, _crossing: arrived.set())
        while self.playable() != sorted(cameras):
            arrived.clear()
            await arrived.wait()

    def shared(self) -> list[str]:
        return sorted(
            camera.id for camera in self.tree.cameras if camera.parent == self.tree.cameras[0].parent
        )

    def trails_whole(self) -> bool:
        return all(chain.verify(self.folder / f"{side}.jsonl").whole for side in OTHER)

    async def close(self) -> None:
        for host in (*self.live.values(), *self.dead):
            await host.stop()


def write_hosts(folder: Path, dials: str) -> None:
    """Both hosts' files beside each other in one folder."""
    whole = (folder / "gateway.toml").read_text() + LINK.replace("DIALS", dials)
    for side in OTHER:
        file = folder / f"{side}.toml"
        own = f'[secrets]\nstore = "{side}.sealed"\nkey = "{side}.key"\n'
        file.write_text(half(whole, side).replace("[gateway]\n", f"{own}\n[gateway]\n"))
        seal(file, {LOWER_ID: PASSWORD, UPPER_ID: PASSWORD}, side)


@asynccontextmanager
async def hosts(
    *, cameras: int = 8, dials: str = "inner", written: str | None = None
) -> AsyncIterator[Hosts]:
    """Both hosts and both platforms up and running; on leaving nothing may be bound any more."""
    loop = asyncio.get_running_loop()
    network, cable = Network(loop, 1), Cable(loop)
    with settings_in(text() if written is None else written) as folder:
        write_hosts(folder, dials)
        Certificates(folder / "certs", WALL)
        async with AsyncExitStack() as held:
            upper, upper_calls = await open_upper(held, network)
            tree = sample(cameras)
            lower, lower_calls = await open_lower(held, network, tree)
            settings: dict[str, Any] = {"upper_calls": upper_calls, "lower_calls": lower_calls}
            here = Hosts(network, cable, folder, tree, upper, lower=lower, **settings)
            held.push_async_callback(here.close)
            background = await held.enter_async_context(Tasks())
            await here.start("inner")
            await here.start("outer")
            background.start(lower.run())
            yield here
        assert network.bound() == [], "addresses are still bound after everybody has left"
        assert cable.open() == []
        assert cable.ears == {}
