"""Who may turn a camera: one upper at a time, the one with the highest level (security, chapter 8 of 28181).

Pure, and all that is known of it: no upper is shown a channel of its own side, so those who contend for
one all come through this face. An upper holds a camera from its first movement until some seconds after
it stopped it. Whoever has a higher level takes it at once; an equal or lower one is told to wait.
"""

from dataclasses import dataclass, replace
from math import ceil

from cascade.limits import Bounds
from cascade.model.ids import ChannelId, PlatformId
from cascade.peers import PtzTerms


@dataclass(frozen=True, slots=True)
class Hold:
    """An upper has a camera until `until`. `moving`: it was told to, and not to stop."""

    upper: PlatformId
    level: int
    until: float
    moving: bool
    loser: PlatformId | None = None  # from whom it was taken


@dataclass(frozen=True, slots=True)
class Granted:
    """The command may go on, behind a stop where the camera moves for somebody else.

    `hold` is what it brought about (None: it needs none), `before` what was there.
    """

    hold: Hold | None
    before: Hold | None

    @property
    def taken_from(self) -> Hold | None:
        """The hold of another that this ended."""
        other = self.hold is not None and self.before is not None and self.hold.upper != self.before.upper
        return self.before if other else None


@dataclass(frozen=True, slots=True)
class Held:
    """No: `hold` is another's. `lost`: it took the camera from whoever asks now. `seconds`: for so long."""

    hold: Hold
    seconds: int
    lost: bool


class TooMany:
    """No: so many cameras are held that one more is not kept account of."""


class PtzLocks:
    """The holds of all cameras. Time is an argument; a hold that is over counts as none."""

    def __init__(self, terms: PtzTerms, bounds: Bounds | None = None) -> None:
        self.terms = terms
        self._bounds = bounds or Bounds()
        self._holds: dict[ChannelId, Hold] = {}

    def __len__(self) -> int:
        return len(self._holds)

    def hold(self, channel: ChannelId, now: float) -> Hold | None:
        """Who has a camera now."""
        found = self._holds.get(channel)
        return found if found is not None and now < found.until else None

    def holds(self, now: float) -> list[tuple[ChannelId, Hold]]:
        """All that are held now."""
        return [(channel, hold) for channel, hold in self._holds.items() if now < hold.until]

    def ask(
        self, channel: ChannelId, upper: PlatformId, level: int, *, stop: bool, now: float
    ) -> Granted | Held | TooMany:
        """Decide about one command, and take it as given if it may go on (`undo`, if it then could not)."""
        before = self.hold(channel, now)
        if before is None:
            if stop:  # it turns nothing: whatever moves the camera is none of ours
                return Granted(None, None)
            if not self._room(now):
                return TooMany()
        elif before.upper != upper and level <= before.level:
            return Held(before, ceil(before.until - now), lost=before.loser == upper)
        own = before if before is not None and before.upper == upper else None
        hold = Hold(
            upper,
            own.level if own is not None and stop else level,
            now + (self.terms.lock_seconds if stop else self.terms.moving_seconds),
            moving=not stop,
            loser=own.loser if own is not None else before.upper if before is not None else None,
        )
        self._holds[channel] = hold
        return Granted(hold, before)

    def undo(self, channel: ChannelId, granted: Granted) -> None:
        """It went nowhere: things are as they were, unless more has happened since."""
        if granted.hold is not None and self._holds.get(channel) is granted.hold:
            if granted.before is None:
                del self._holds[channel]
            else:
                self._holds[channel] = granted.before

    def release(self, upper: PlatformId, now: float) -> list[ChannelId]:
        """An upper is gone, and its holds with it: the cameras that move for it."""
        mine = [(channel, hold) for channel, hold in self._holds.items() if hold.upper == upper]
        for channel, _ in mine:
            del self._holds[channel]
        return [channel for channel, hold in mine if hold.moving and now < hold.until]

    def halt(self, channel: ChannelId, upper: PlatformId, now: float) -> bool:
        """Nobody at that upper watches any more: was it turning the camera? Then that ends as by a stop."""
        hold = self.hold(channel, now)
        if hold is None or hold.upper != upper or not hold.moving:
            return False
        self._holds[channel] = replace(hold, until=now + self.terms.lock_seconds, moving=False)
        return True

    def clear(self) -> None:
        """Forget all: nothing that is told from here on arrives."""
        self._holds.clear()

    def _room(self, now: float) -> bool:
        most = self._bounds.limits.cameras_held
        if len(self._holds) >= most:
            self._holds = dict(self.holds(now))
        if len(self._holds) < most:
            return True
        self._bounds.meet("cameras_held")
        return False
