"""A lower platform: registers above, shows a catalog, sends pictures when invited, fetches voices."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from interop.sim.alarms import AlarmBell
from interop.sim.answers import PAGE_ITEMS, Answers
from interop.sim.camera import CameraSpec, SourceFactory, open_source
from interop.sim.catalog import Branch, Speaker, Tree
from interop.sim.listening import Listeners
from interop.sim.membership import Membership, Server, Terms
from interop.sim.net import Net
from interop.sim.notifying import Notifier
from interop.sim.sending import Senders, StreamRecord
from interop.sim.tasks import Tasks
from sip.aio.calls import Calls
from sip.endpoint import Endpoint
from sip.events import Kind


class LowerPlatform:
    """Takes MESSAGE and INVITE of its endpoint for itself. `run` does everything until cancelled.

    Who it is stands in `endpoint.me`. `media_host` is the address of its media. `workers`
    runs what blocks (encoders); None takes the loop's own executor. `wall` is seconds since 1970.
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
        name: str = "Lower platform",
        cameras: Sequence[CameraSpec] = (),
        branches: Sequence[Branch] = (),
        speakers: Sequence[Speaker] = (),
        terms: Terms | None = None,
        charset: str = "GB2312",
        page_items: int = PAGE_ITEMS,
        open_source: SourceFactory = open_source,
        workers: Executor | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        me = endpoint.me
        self.tree = Tree(me.user, name, tuple(branches), tuple(cameras), speakers=tuple(speakers))
        self._tasks = Tasks()
        self._next_ssrc = 0
        self.membership = Membership(endpoint, me, password, server, terms or Terms(), charset=charset)
        self.answers = Answers(
            endpoint,
            server,
            {me.user: self.tree},
            me.host,
            self._tasks,
            charset=charset,
            page_items=page_items,
            wall=wall,
        )
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
            self.tree.outlets,
            device=lambda _outlet: me.user,
            charset=charset,
            own_ssrc=self._own_ssrc,
        )
        self.answers.on_broadcast = self.listeners.notified
        self.bell = AlarmBell(endpoint, server, charset, wall)
        self.answers.on_alarm_answer = self.bell.hear
        self.notifier = Notifier(endpoint, server, self._tasks, charset)
        endpoint.handle(Kind.MESSAGE, self.answers.decide)
        endpoint.handle(Kind.REQUEST, self.notifier.decide, methods=["SUBSCRIBE"])
        calls.on_invite = self.senders.invited

    @property
    def controls(self) -> tuple[tuple[str, str], ...]:
        """Controls that came: id, and PTZCmd ("" for another kind)."""
        return tuple(self.answers.controls)

    @property
    def registered(self) -> asyncio.Event:
        return self.membership.registered

    async def run(self) -> None:
        """Stay registered until cancelled; then end the streams, unregister, and return."""
        try:
            async with self._tasks:
                await self.membership.run()
        finally:
            await self.membership.leave()

    def records(self) -> tuple[StreamRecord, ...]:
        return self.senders.records()

    async def pause_streams(self) -> tuple[StreamRecord, ...]:
        """Let every camera finish its frame and stop sending; the dialogs stay. What was sent in all."""
        return await self.senders.pause_streams()

    def _own_ssrc(self) -> int:
        """Where we choose y=: 0, five digits of our domain, four that count (annex C.1, 5.5)."""
        self._next_ssrc = self._next_ssrc % 9999 + 1
        return int(f"0{self.tree.owner[3:8]}{self._next_ssrc:04d}")
