"""Tasks with an owner that outlives them."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from sip.errors import InviteOver

log = logging.getLogger(__name__)

T = TypeVar("T")


async def until(over: "asyncio.Future[T]", work: Coroutine[Any, Any, None]) -> None:
    """Run `work` beside, and stop it when `over` is decided. That it fails is logged, and ends nothing."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(over)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, InviteOver):
            log.error("sim.task_failed", exc_info=error, extra={"task": task.get_name()})


class Tasks:
    """What is started here is cancelled and awaited on exit. A task that fails is logged, not fatal."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._open = False

    def __len__(self) -> int:
        return len(self._running)

    async def __aenter__(self) -> "Tasks":
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def start(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run it; False, and nothing started, once the owner has left."""
        if not self._open:
            work.close()
            return False
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("sim.task_failed", exc_info=error, extra={"task": task.get_name()})
