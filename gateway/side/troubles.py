"""What goes wrong at a side's socket, as one line now and then; the packet path itself only counts."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from gateway.words import saying

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0

TROUBLES: Final = {
    "foreign_source": saying("trouble.foreign_source"),
    "malformed": saying("trouble.malformed"),
    "strangers": saying("trouble.strangers"),
    "overload": saying("trouble.overload"),
    "unanswered": saying("trouble.unanswered"),
    "undelivered": saying("trouble.undelivered"),
    "late_replies": saying("trouble.late_replies"),
    "nonces_full": saying("trouble.nonces_full"),
}


class Troubles:
    """Compares counters of the engine and the router with those of the last look."""

    def __init__(self, side: str, counters: Callable[[], Mapping[str, int]]) -> None:
        self._side = side
        self._counters = counters
        self._seen: dict[str, int] = {}

    async def run(self) -> None:
        """Look until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                self.look()
        finally:
            self.look()

    def look(self) -> None:
        counters = self._counters()
        for name, what in TROUBLES.items():
            count = counters.get(name, 0)
            if count > self._seen.get(name, 0):
                log.warning(
                    "sip.trouble",
                    extra={
                        "side": self._side,
                        "counter": name,
                        "new": count - self._seen.get(name, 0),
                        "total": count,
                        "what": what,
                    },
                )
                self._seen[name] = count
