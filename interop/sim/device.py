"""Many single cameras on one endpoint: each registers with an id of its own and is its own channel."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Final

from interop.sim.answers import Answers
from interop.sim.camera import CameraSpec, SourceFactory, open_source
from interop.sim.catalog import Tree
from interop.sim.listening import Listeners
from interop.sim.membership import Membership, Server, Terms
from interop.sim.net import Net
from interop.sim.sending import Senders, StreamRecord
from interop.sim.tasks import Tasks
from sip.aio.calls import Calls
from sip.endpoint import Endpoint, Party
from sip.events import Kind

WINDOW: Final = 64
"""Exchanges at once: a stock receive buffer overflows at some 90 datagrams."""


class Devices:
    """`run` registers all and keeps them alive until cancelled; then all unregister.

    Their domain is that of `endpoint.me`. One password for all, as a site would have it.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        calls: Calls,
        net: Net,
        server: Server,
        password: str,
        media_host: str,
        cameras: Sequence[CameraSpec],
        terms: Terms | None = None,
        charset: str = "GB2312",
        window: int = WINDOW,
        open_source: SourceFactory = open_source,
        workers: Executor | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        domain = self._domain = endpoint.me.host
        self._next_ssrc = 0
        self._tasks = Tasks()
        self._up = 0
        self._all_up = asyncio.Event()
        slots = asyncio.Semaphore(window)
        self.memberships = tuple(
            Membership(
                endpoint,
                Party(camera.id, domain),
                password,
                server,
                terms or Terms(),
                charset=charset,
                window=slots,
                on_change=self._changed,
            )
            for camera in cameras
        )
        trees = {camera.id: Tree(camera.id, camera.name, (), (camera,), own_item=False) for camera in cameras}
        self.answers = Answers(endpoint, server, trees, domain, self._tasks, charset=charset, wall=wall)
        self.senders = Senders(
            {camera.id: camera for camera in cameras},
            net,
            media_host,
            self._tasks,
            open_source=open_source,
            workers=workers,
            wall=wall,
            own_ssrc=self._own_ssrc,
        )
        self.listeners = Listeners(
            endpoint,
            calls,
            net,
            media_host,
            server,
            self._tasks,
            lambda target: (target,) if target in trees else (),
            device=lambda outlet: outlet,
            charset=charset,
            own_ssrc=self._own_ssrc,
        )
        self.answers.on_broadcast = self.listeners.notified
        endpoint.handle(Kind.MESSAGE, self.answers.decide)
        calls.on_invite = self.senders.invited

    @property
    def registered(self) -> int:
        """How many are registered now."""
        return self._up

    async def all_registered(self) -> None:
        await self._all_up.wait()

    async def run(self) -> None:
        """Keep all registered until cancelled; then end the streams, unregister all, and return."""
        try:
            async with self._tasks, asyncio.TaskGroup() as group:
                for membership in self.memberships:
                    group.create_task(membership.run())
        finally:
            await asyncio.gather(*(membership.leave() for membership in self.memberships))

    def records(self) -> tuple[StreamRecord, ...]:
        return self.senders.records()

    def _changed(self, registered: bool) -> None:
        self._up += 1 if registered else -1
        if self._up == len(self.memberships):
            self._all_up.set()
        else:
            self._all_up.clear()

    def _own_ssrc(self) -> int:
        """Where we choose y=: 0, five digits of our domain, four that count (annex C.1, 5.5)."""
        self._next_ssrc = self._next_ssrc % 9999 + 1
        return int(f"0{self._domain[3:8]}{self._next_ssrc:04d}")
