"""Cameras below that were told to move, and not yet to stop: none goes on for ever (3.4).

Whoever stands behind a movement may be gone: its platform, its right, the link. So the side of the camera
keeps account of it, asks nobody, and stops what nobody has spoken of for too long. Nor may a movement
that the network lost, and we repeat, come after its stop: then the stop is told once more.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from cascade.model.commands import Control
from cascade.model.commands.device_control import ControlPtz, Movement
from cascade.model.ids import ChannelId, PlatformId

log = logging.getLogger(__name__)

REPEATED_SECONDS: Final = 0.4
"""What was answered sooner went out once: its first repetition comes after T1, 0.5 s (RFC 3261 17.1.2)."""


@dataclass(slots=True)
class _Told:
    """What a camera was told last, and how many messages to it have no answer yet."""

    newest: ControlPtz
    open: int = 0


class Movements:
    """By camera, in the order in which they are due. `tell` sends a control below; `counts` is the face's."""

    def __init__(
        self,
        seconds: float,
        time: Callable[[], float],
        tell: Callable[[ControlPtz], None],
        counts: Counter[str],
    ) -> None:
        self._seconds = seconds
        self._time = time
        self._tell = tell
        self._counts = counts
        self._due: dict[ChannelId, float] = {}
        self._told: dict[ChannelId, _Told] = {}

    def __len__(self) -> int:
        return len(self._due)

    def note(self, control: Control) -> Callable[[], None]:
        """It goes to its camera now. The result is called once its message was answered, or given up."""
        if not isinstance(control, ControlPtz):
            return _nothing
        sent, camera = self._time(), control.target
        self._due.pop(camera, None)
        if not control.movement.stop:
            self._due[camera] = sent + self._seconds
        told = self._told.setdefault(camera, _Told(control))
        told.newest = control
        told.open += 1

        def over() -> None:
            told.open -= 1
            if not told.open:
                del self._told[camera]
            if told.newest != control and self._time() - sent >= REPEATED_SECONDS:
                self._counts["ptz_told_again"] += 1
                self._tell(told.newest)

        return over

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        return next(iter(self._due.values()), None)

    def advance(self, now: float) -> None:
        """Stop what has gone on for too long."""
        self._stop([channel for channel, due in self._due.items() if due <= now])

    def halt(self, peer: PlatformId | None = None) -> None:
        """All that move stop now, or those of one peer."""
        self._stop([channel for channel in self._due if peer in {None, channel.peer}])

    def adopt(self, seconds: float) -> None:
        """Whatever is told to move from now on may for so long."""
        self._seconds = seconds

    def _stop(self, channels: Iterable[ChannelId]) -> None:
        for channel in channels:
            del self._due[channel]  # also where the peer is gone, and cannot be told
            self._counts["ptz_stopped"] += 1
            log.info("ptz.stopped", extra={"peer": channel.peer, "channel": str(channel)})
            self._tell(ControlPtz(target=channel, movement=Movement()))


def _nothing() -> None:
    return
