"""Calls between two ends of ours on a virtual network: for tests of `sip.aio.calls`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sip.aio.calls import Call, Calls, Incoming
from sip.endpoint import Endpoint
from sip.errors import InviteOver
from sip.request import Outgoing
from tests.clock import run
from tests.sip.ground import (
    AT_CAMERA,
    CAMERA,
    GATEWAY,
    both,
)
from tests.sip.network import Network

OFFER = b"v=0\r\ns=Play\r\n"
ANSWER = b"v=0\r\ns=Play\r\ny=0100000001\r\n"
FROM_CAMERA = f"From: <{CAMERA.uri}>;tag=n1\nTo: <{GATEWAY.uri}>;tag=%s\nCall-ID: %s\nCSeq: %d %s\n"


def play(scenario: Callable[[Network], Awaitable[None]], seed: int = 0, *, loss: float = 0.0) -> None:
    async def outer() -> None:
        await scenario(Network(asyncio.get_running_loop(), seed, loss=loss))

    run(outer())


def invite(gateway: Endpoint) -> Outgoing:
    return gateway.request("INVITE", CAMERA, AT_CAMERA, body=OFFER, content_type="application/sdp")


class Camera:
    """Accepts every INVITE after `delay` seconds and holds the call until it is over or let go."""

    def __init__(self, calls: Calls, *, delay: float = 0.0) -> None:
        self.calls = calls
        self.delay = delay
        self.held: list[Call] = []
        self.why: list[str] = []
        self.let_go: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.tasks: list[asyncio.Task[None]] = []
        calls.on_invite = lambda incoming: self.tasks.append(asyncio.create_task(self._hold(incoming)))

    async def _hold(self, incoming: Incoming) -> None:
        try:
            await asyncio.sleep(self.delay)
            async with incoming.accept(ANSWER) as call:
                self.held.append(call)
                await asyncio.wait({call.ended, self.let_go}, return_when=asyncio.FIRST_COMPLETED)
            self.why.append(call.ended.result())
        except InviteOver:
            self.why.append("over")


@asynccontextmanager
async def two(network: Network, *, delay: float = 0.0) -> AsyncIterator[tuple[Calls, Camera]]:
    """The gateway's calls and a camera; at the end nothing of either may be left."""
    ends = both(network)
    async with Calls(ends[0]) as gateway, Calls(ends[1]) as calls:
        yield gateway, Camera(calls, delay=delay)
    assert [gateway.active, calls.active] == [0, 0]
    assert [end.pending for end in ends] == [0, 0]
