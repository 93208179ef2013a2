"""Voices announced below, and who may call for them: each lower for what was announced to it (5.11).

The device invites us, under whatever name it likes (Q94), before or after it has answered. Several
loudspeakers of one device may call for the same voice. Time is an argument.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from cascade.limits import Bounds
from cascade.model.ids import ChannelId, PlatformId
from cascade.questions import Questions

CALL_SECONDS: Final = 20.0
"""How long a device may call for a voice: ten seconds for its answer, ten more for its INVITE."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """Somebody above wants to speak to `target`; `sn` is ours, under which the device was told."""

    correlation: int
    target: ChannelId
    sn: int


class Announcements:
    """The open announcements of one face, by correlation."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._open: Questions[int, Announcement] = Questions(bounds)
        self._called: set[int] = set()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, announcement: Announcement, *, now: float) -> None:
        self._open.ask(announcement.correlation, announcement, due=now + CALL_SECONDS)

    def close(self, correlation: int) -> None:
        """The device will not listen; again, or for another question, does nothing."""
        if correlation in self._open:
            self._open.take(correlation)
        self._called.discard(correlation)

    def for_peer(self, peer: PlatformId) -> bool:
        return any(each.target.peer == peer for each in self._open)

    def call(self, peer: PlatformId, names: Collection[str]) -> Announcement | None:
        """What a call of `peer` is for: an announcement to one of `names` before any other of its peer.

        Of several the oldest that nobody has called for, then the newest, for one more loudspeaker of it.
        """
        mine = [each for each in self._open if each.target.peer == peer]
        named = [each for each in mine if each.target.name in names]
        found = self._next(named) or self._next(mine)
        if found is not None:
            self._called.add(found.correlation)
        return found

    def _next(self, among: Sequence[Announcement]) -> Announcement | None:
        waiting = [each for each in among if each.correlation not in self._called]
        return waiting[0] if waiting else among[-1] if among else None

    @property
    def deadline(self) -> float | None:
        return self._open.deadline

    def advance(self, now: float) -> None:
        """Forget what nobody called for in time."""
        for late in self._open.advance(now):
            self._called.discard(late.correlation)
