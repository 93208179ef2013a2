"""Two sides, a device below and an upper above: where the tests of both faces play."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cascade.crossing import Notice
from cascade.manscdp import catalog
from cascade.model.commands.presence import Presence
from tests.cascade.ground import (
    AT_INNER,
    AT_OUTER,
    LOWER_PEER,
    NVR,
    UPPER,
    UPPER_PEER,
    OneSide,
    Peer,
    Shelf,
    join,
    nvr,
    page,
    upper,
)
from tests.clock import run
from tests.sip.network import Network


@dataclass
class Stage:
    network: Network
    outer: OneSide
    inner: OneSide
    nvr: Peer
    upper: Peer

    async def stock(self, ids: list[str]) -> None:
        """Register the device and let it answer the first catalog query."""
        assert (await self.nvr.register("down")).status == 200
        await asyncio.sleep(0.1)
        _, head = self.nvr.of("Catalog")[-1]
        for start in range(0, len(ids), 3):
            assert await self.nvr.tell(page(head.sn, len(ids), ids[start : start + 3])) == 200
        await asyncio.sleep(0.1)

    async def ask(self, text: str, seconds: float = 1.0) -> int:
        status = await self.upper.tell(text)
        await asyncio.sleep(seconds)
        return status


@asynccontextmanager
async def stage(
    *, outer_store: Shelf | None = None, inner_store: Shelf | None = None
) -> AsyncIterator[Stage]:
    network = Network(asyncio.get_running_loop(), 7)
    outer = OneSide(network, AT_OUTER, lowers=[LOWER_PEER], passwords={NVR: "down"}, store=outer_store)
    inner = OneSide(network, AT_INNER, uppers=[UPPER_PEER], passwords={UPPER: "up"}, store=inner_store)
    join(outer, inner)
    peers = nvr(network), upper(network)
    tasks = [asyncio.create_task(side.run()) for side in (outer, inner)]
    await asyncio.sleep(0.1)
    try:
        yield Stage(network, outer, inner, *peers)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def play(
    scenario: Callable[[Stage], Awaitable[None]],
    *,
    outer_store: Shelf | None = None,
    inner_store: Shelf | None = None,
) -> None:
    async def whole() -> None:
        async with stage(outer_store=outer_store, inner_store=inner_store) as on:
            await scenario(on)

    run(whole())


def shown(on: Stage) -> list[str]:
    """The ids the upper received in answers to catalog queries, in order."""
    return [
        name
        for event, _ in on.upper.of("Catalog", "Response")
        for name in catalog.read(event.body).rows.ids()
    ]


def presence(side: OneSide) -> list[bool]:
    return [
        state.online
        for crossing in side.door.sent
        if isinstance(crossing, Notice) and isinstance(crossing.payload, Presence)
        for state in crossing.payload.states
    ]
