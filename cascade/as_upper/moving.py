"""Which cameras move under us, kept so that the next start stops them if this process dies meanwhile.

A movement leaves only once it is written that its camera moves; what is for that camera meanwhile stays
behind it. The record goes when a stop was answered. What could not be told to stop, since its peer was
away or we were dead, is owed: it is told as soon as its peer is there, and again where it does not answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from cascade.leg import KEPT_SECONDS
from cascade.limits import Bounds
from cascade.model.commands.device_control import ControlPtz
from cascade.model.ids import ChannelId, PlatformId
from cascade.ports import Store

AGAIN_SECONDS: Final = 20.0
"""After a stop that nobody answered, and which was repeated for 32 s, the next one."""


class Moving:
    """Of one face. `send` tells a camera now, or says that its peer is not there."""

    def __init__(
        self,
        store: Store,
        send: Callable[[ControlPtz], bool],
        time: Callable[[], float],
        bounds: Bounds | None = None,
    ) -> None:
        self._store = store
        self._send = send
        self._time = time
        self._bounds = bounds or Bounds()
        self.deadline: float | None = None
        """When `owed` is to be asked again: who is there did not answer."""
        self._kept: set[ChannelId] = set()
        self._newest: dict[ChannelId, ControlPtz] = {}  # of those that are kept, what they were told last
        self._lines: dict[ChannelId, deque[ControlPtz]] = {}  # what waits until the record is written
        self._writing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._kept)

    async def restore(self, peers: Iterable[PlatformId]) -> None:
        """Take up what an earlier process left behind, of these peers; forget the rest."""
        known = set(peers)
        for camera in await self._store.moving():
            if camera.peer in known:
                self._kept.add(camera)
            else:
                self._store.drop_moving(camera)

    def owed(self) -> list[ChannelId]:
        """Cameras that move as far as we know, and have to be told to stop."""
        self.deadline = None
        return sorted(self._kept - self._newest.keys() - self._lines.keys(), key=str)

    def pass_on(self, control: ControlPtz) -> None:
        """Send it, behind what is waiting for its camera; the first movement once that is written."""
        camera = control.target
        if (line := self._lines.get(camera)) is not None:
            line.append(control)
        elif control.movement.stop or camera in self._kept:
            self._tell(control)
        elif len(self._kept) >= self._bounds.limits.cameras_moving:
            self._bounds.meet("cameras_moving")  # it is told all the same
            self._tell(control)
        else:
            self._kept.add(camera)
            self._store.save_moving(camera)
            self._lines[camera] = deque([control])
            task = asyncio.get_running_loop().create_task(self._once_written(camera))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    def told(self, control: ControlPtz, *, answered: bool) -> None:
        """Its message was answered, or given up: then its stop is owed."""
        if control.movement.stop and self._newest.get(control.target) == control:
            if answered:
                self._forget(control.target)
            else:
                del self._newest[control.target]
                self.deadline = self._time() + AGAIN_SECONDS

    def halt(self) -> None:
        """No movement that still waits leaves any more."""
        for camera, line in self._lines.items():
            self._lines[camera] = deque(control for control in line if control.movement.stop)

    async def settled(self) -> None:
        """Return once nothing waits any more."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def _once_written(self, camera: ChannelId) -> None:
        with suppress(TimeoutError):  # a slow disk must not cost a movement
            async with asyncio.timeout(KEPT_SECONDS):
                await self._store.written()
        for control in self._lines.pop(camera):
            self._tell(control)
        if camera not in self._newest:  # it was told nothing: its peer is away, or we are stopping
            self._forget(camera)

    def _tell(self, control: ControlPtz) -> None:
        camera = control.target
        if self._send(control):
            if camera in self._kept:
                self._newest[camera] = control
        elif control.movement.stop:
            self._newest.pop(camera, None)

    def _forget(self, camera: ChannelId) -> None:
        self._newest.pop(camera, None)
        self._kept.discard(camera)
        self._store.drop_moving(camera)
