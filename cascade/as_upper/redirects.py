"""Whom we lead to another server by 302 (GB/T 28181-2022 9.1). Pure: time is an argument.

Only who has proved who it is hears where else it may go, and nobody who is leaving. One that comes back soon
was taken by nobody there, and is taken here until it registers the next time.
"""

from collections import Counter
from typing import TYPE_CHECKING, Final

from cascade.peers import LowerPeer

if TYPE_CHECKING:
    from cascade.model.ids import PlatformId

RETURN_SECONDS: Final = 600.0
KNOWS: Final = 3.0
"""X-GB-Ver of the edition that has this."""


class Redirects:
    """Of one registrar; its peers are configured, so they are few. `counts` is the registrar's."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._led: dict[PlatformId, float] = {}

    def places(self, peer: LowerPeer, version: str | None, now: float) -> tuple[str, ...]:
        """The Contact values of its 302; none where it is to register here."""
        if not peer.redirect or not (peer.redirect_any or _knows(version)):
            return ()
        led = self._led.get(peer.id)
        if led is not None and now - led < RETURN_SECONDS:
            self._counts["redirect_returned"] += 1
            return ()
        self._led[peer.id] = now
        self._counts["redirected"] += 1
        steps = len(peer.redirect)
        return tuple(
            f"<sip:{place}>;q={(steps - number) / steps:.2f}" for number, place in enumerate(peer.redirect)
        )


def _knows(version: str | None) -> bool:
    try:
        return version is not None and float(version.strip()[:8]) >= KNOWS
    except ValueError:
        return False
