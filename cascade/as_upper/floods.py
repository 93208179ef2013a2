"""How much one peer may tell in a minute: what is beyond is refused before anybody reads it. Pure."""

from typing import Final

from cascade.model.ids import PlatformId

MINUTE: Final = 60.0


class Floods:
    """A bucket for each peer, which are configured and so few: full at first, refilled evenly."""

    def __init__(self) -> None:
        self._left: dict[PlatformId, tuple[float, float]] = {}  # how many, and when that was so

    def admits(self, peer: PlatformId, most: int, now: float) -> bool:
        """May it tell one more? `most` a minute, and as many at once."""
        left, since = self._left.get(peer, (float(most), now))
        left = min(float(most), left + (now - since) * most / MINUTE)
        admitted = left >= 1.0
        self._left[peer] = (left - admitted, now)
        return admitted
