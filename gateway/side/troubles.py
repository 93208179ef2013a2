"""What goes wrong at a side's socket, as one line now and then; the packet path itself only counts."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from gateway.words import saying

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0

TROUBLES: Final = {
    "foreign_source": {
        "what": saying("trouble.foreign_source.what"),
        "remedy": saying("trouble.foreign_source.remedy"),
    },
    "malformed": {"what": saying("trouble.malformed.what"), "remedy": saying("trouble.malformed.remedy")},
    "strangers": {"what": saying("trouble.strangers.what"), "remedy": saying("trouble.strangers.remedy")},
    "overload": {"what": saying("trouble.overload.what"), "remedy": saying("trouble.overload.remedy")},
    "unanswered": {"what": saying("trouble.unanswered.what"), "remedy": saying("trouble.unanswered.remedy")},
    "undelivered": {
        "what": saying("trouble.undelivered.what"),
        "remedy": saying("trouble.undelivered.remedy"),
    },
    "late_replies": {
        "what": saying("trouble.late_replies.what"),
        "remedy": saying("trouble.late_replies.remedy"),
    },
    "nonces_full": {
        "what": saying("trouble.nonces_full.what"),
        "remedy": saying("trouble.nonces_full.remedy"),
    },
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
        for name, told in TROUBLES.items():
            count = counters.get(name, 0)
            if count > self._seen.get(name, 0):
                log.warning(
                    "sip.trouble",
                    extra={
                        "side": self._side,
                        "counter": name,
                        "new": count - self._seen.get(name, 0),
                        "total": count,
                        **told,
                    },
                )
                self._seen[name] = count
