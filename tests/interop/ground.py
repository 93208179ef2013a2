"""A lower and an upper simulator face to face on a network in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from interop.sim.camera import FakeFrames, FakeScreen
from interop.sim.catalog import Tree, sample_tree
from interop.sim.lower import LowerPlatform
from interop.sim.membership import Server, Terms
from interop.sim.upper import UpperPlatform
from sip.aio.calls import Calls
from sip.endpoint import Endpoint, Party
from sip.events import Address
from tests.clock import run
from tests.sip.network import Network, VirtualStack

UPPER: Final = Party("44000000002000000001", "4400000000")
LOWER: Final = Party("44010600002000000001", "4401060000")
AT_UPPER: Final[Address] = ("198.51.100.10", 5060)
AT_LOWER: Final[Address] = ("198.51.100.30", 5060)
PASSWORD: Final = "Pu-2026"
START: Final = 1_767_225_600.0
"""The wall clock when a scenario begins: 2026-01-01T08:00:00 Beijing time."""

TERMS: Final = Terms(expires=600, keepalive=60.0, retry=60.0)


@dataclass(frozen=True, slots=True)
class Pair:
    """Both simulators; `running` is the lower one's work."""

    network: Network
    lower: LowerPlatform
    upper: UpperPlatform
    lower_calls: Calls
    upper_calls: Calls
    running: "asyncio.Task[None]"


def play(scenario: Callable[[Network], Awaitable[None]], *, loss: float = 0.0, jitter: float = 0.0) -> None:
    """Run a scenario in virtual time on a network of its own."""

    async def outer() -> None:
        await scenario(Network(asyncio.get_running_loop(), loss=loss, jitter=jitter))

    run(outer())


def attach(network: Network, me: Party, at: Address) -> tuple[Endpoint, VirtualStack]:
    stack = network.stack(at, me.host)
    endpoint = Endpoint(stack, me)
    stack.attach(endpoint)
    return endpoint, stack


@asynccontextmanager
async def pair(
    network: Network,
    *,
    tree: Tree | None = None,
    password: str = PASSWORD,
    known: Sequence[str] = (LOWER.user,),
    **options: Any,
) -> AsyncIterator[Pair]:
    """Both running, with fake pictures; on exit both have left. `options` go to the lower one."""
    tree = tree or sample_tree(LOWER.user, "County", 6)
    loop = asyncio.get_running_loop()
    above, upper_stack = attach(network, UPPER, AT_UPPER)
    below, lower_stack = attach(network, LOWER, AT_LOWER)

    def wall() -> float:
        return START + loop.time()

    async with Calls(above) as upper_calls, Calls(below) as lower_calls:
        upper = UpperPlatform(
            endpoint=above,
            calls=upper_calls,
            net=network,
            media_host=AT_UPPER[0],
            passwords=dict.fromkeys(known, PASSWORD),
            open_screen=FakeScreen,
            wall=wall,
        )
        lower = LowerPlatform(
            endpoint=below,
            calls=lower_calls,
            net=network,
            server=Server(UPPER.user, UPPER.host, AT_UPPER),
            password=password,
            media_host=AT_LOWER[0],
            name=tree.name,
            cameras=tree.cameras,
            branches=tree.branches,
            speakers=tree.speakers,
            open_source=FakeFrames,
            wall=wall,
            **{"terms": TERMS, **options},
        )
        running = loop.create_task(lower.run())
        try:
            yield Pair(network, lower, upper, lower_calls, upper_calls, running)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    lower_stack.close()
    upper_stack.close()
    assert network.bound() == []
