"""Controls from the other side on their way to those below us: who is there to be told, and what has to be
stopped.

What turns is noted twice: in `Movements`, which ends a movement that nobody renews, and in `Moving`, which
outlives this process.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from cascade.as_upper.movements import Movements
from cascade.as_upper.moving import Moving
from cascade.as_upper.questions import Asker
from cascade.as_upper.standing import Standing
from cascade.limits import Bounds
from cascade.model.commands import Control
from cascade.model.commands.device_control import ControlPtz, Movement
from cascade.model.ids import ChannelId, PlatformId
from cascade.ports import Store

log = logging.getLogger(__name__)

STOPPED: Final = Movement()


class Controls:
    """Of one face. `knows` says whether a channel is one of ours; `plan` is called when deadlines changed."""

    def __init__(
        self,
        *,
        asker: Asker,
        standing: Standing,
        knows: Callable[[ChannelId], bool],
        store: Store,
        moving_seconds: float,
        time: Callable[[], float],
        counts: Counter[str],
        plan: Callable[[], None],
        bounds: Bounds,
    ) -> None:
        self._asker = asker
        self._standing = standing
        self._knows = knows
        self._counts = counts
        self._plan = plan
        self._moving = Moving(store, self._tell, time, bounds)
        self.movements = Movements(moving_seconds, time, self.take, counts)

    async def restore(self, peers: Iterable[PlatformId]) -> None:
        """Take up what an earlier process left moving."""
        await self._moving.restore(peers)

    def take(self, control: Control) -> None:
        """Pass it on; a first movement once it is written that its camera moves."""
        if isinstance(control, ControlPtz):
            self._moving.pass_on(control)
        else:
            self._tell(control)

    def stop_owed(self) -> None:
        """Cameras that an earlier process left moving, or whose peer was away when they had to stop."""
        for camera in self._moving.owed():
            if self._standing.reachable(camera.peer) is not None:
                self._counts["ptz_stopped"] += 1
                log.info("ptz.stopped_late", extra={"peer": camera.peer, "channel": str(camera)})
                self.take(ControlPtz(target=camera, movement=STOPPED))

    def halt(self) -> None:
        """Nobody is beyond who could stop a camera, or we are going: all that move stop now."""
        self._moving.halt()
        self.movements.halt()

    async def settled(self) -> None:
        """Return once nothing waits to be told any more."""
        await self._moving.settled()

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        deadlines = (self.movements.deadline, self._moving.deadline)
        return min((each for each in deadlines if each is not None), default=None)

    def advance(self, now: float) -> None:
        """End what nobody renews; tell again what was not answered."""
        self.movements.advance(now)
        if self._moving.deadline is not None and self._moving.deadline <= now:
            self.stop_owed()

    def _tell(self, control: Control) -> bool:
        """Tell the peer whose channel it is; without a lease it is too late to."""
        target = control.target
        lease = self._standing.reachable(target.peer) if self._knows(target) else None
        if lease is None:
            self._counts["controls_dropped"] += 1
            log.info("control.dropped", extra={"peer": target.peer, "action": control.action})
            return False
        over = self.movements.note(control)

        def told(answered: bool) -> None:
            over()
            if isinstance(control, ControlPtz):
                self._moving.told(control, answered=answered)

        self._asker.control(control, lease.peer, lease.address, told)
        self._plan()
        return True
