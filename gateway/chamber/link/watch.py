"""What the log says of the link: that it is down and why, certificates that end soon, clocks that jump.

The same trouble again is told every ten minutes at most; the end counts each.
"""

import logging
from collections.abc import Callable
from typing import Final

from certs.ca import at
from certs.identities import SideName
from certs.trust import Certified
from gateway.chamber.link.why import Why

log: Final = logging.getLogger("gateway.chamber.link")

TOLD_AGAIN_SECONDS: Final = 600.0
JUMP_SECONDS: Final = 60.0
WARNED_DAYS: Final = (1, 7, 30)


class Watch:
    """`clock` is monotonic, `wall` the wall clock, both in seconds."""

    def __init__(self, side: SideName, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self.jumps = 0
        self._side: Final = side
        self._clock = clock
        self._wall = wall
        self._offset = wall() - clock()
        self._told: dict[str, float] = {}
        self._warned: set[tuple[int, int]] = set()
        self._certificates: tuple[Certified, ...] = ()

    def down(self, why: Why) -> None:
        """The connection that was there is over."""
        self._told[why.counted] = self._clock()
        log.warning(
            "link.down",
            extra={"side": self._side, "kind": why.counted, "reason": why.said, "remedy": why.remedy},
        )

    def failed(self, why: Why) -> None:
        """One that was tried did not come about."""
        now = self._clock()
        if now - self._told.get(why.counted, -TOLD_AGAIN_SECONDS) >= TOLD_AGAIN_SECONDS:
            self._told[why.counted] = now
            log.warning(
                "link.not_up",
                extra={"side": self._side, "kind": why.counted, "reason": why.said, "remedy": why.remedy},
            )

    def certificates(self, *certificates: Certified) -> None:
        """Those of the connection that is there now."""
        self._certificates = certificates
        self._judge()

    def clocks(self) -> None:
        """Look whether the wall clock went another way than time: certificates are judged by it."""
        offset = self._wall() - self._clock()
        if abs(offset - self._offset) >= JUMP_SECONDS:
            self.jumps += 1
            log.warning("clock.jumped", extra={"side": self._side, "seconds": round(offset - self._offset)})
        self._offset = offset
        self._judge()

    def _judge(self) -> None:
        """Warn 30, 7 and 1 days before a certificate ends, once each."""
        now = at(self._wall())
        for certified in self._certificates:
            left = (certified.until - now).total_seconds() / 86_400
            near = next((days for days in WARNED_DAYS if left <= days), None)
            if near is not None and (certified.serial, near) not in self._warned:
                self._warned.add((certified.serial, near))
                log.warning(
                    "link.certificate_ends",
                    extra={
                        "side": self._side,
                        "certificate": str(certified.identity),
                        "days": max(0, int(left)),
                    },
                )
