"""What goes wrong at a side's socket, as one line now and then; the packet path itself only counts."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from gateway.config_limits import costly
from gateway.words import saying
from gateway.words.limits import LIMITS

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0

TROUBLES: Final = {
    "registrations_put_off": {
        "what": saying("trouble.put_off.what"),
        "remedy": saying("trouble.put_off.remedy"),
    },
    "registrar_refused_contested": {
        "what": saying("trouble.contested.what"),
        "remedy": saying("trouble.contested.remedy"),
    },
    "foreign_source": {
        "what": saying("trouble.foreign_source.what"),
        "remedy": saying("trouble.foreign_source.remedy"),
    },
    "malformed": {"what": saying("trouble.malformed.what"), "remedy": saying("trouble.malformed.remedy")},
    "strangers": {"what": saying("trouble.strangers.what"), "remedy": saying("trouble.strangers.remedy")},
    "unanswered": {"what": saying("trouble.unanswered.what"), "remedy": saying("trouble.unanswered.remedy")},
    "undelivered": {
        "what": saying("trouble.undelivered.what"),
        "remedy": saying("trouble.undelivered.remedy"),
    },
    "late_replies": {
        "what": saying("trouble.late_replies.what"),
        "remedy": saying("trouble.late_replies.remedy"),
    },
    "streams_timed_out": {
        "what": saying("trouble.streams_timed_out.what"),
        "remedy": saying("trouble.streams_timed_out.remedy"),
    },
    "streams_excluded": {
        "what": saying("trouble.streams_excluded.what"),
        "remedy": saying("trouble.streams_excluded.remedy"),
    },
}


LEG_TROUBLES: Final = {
    "not_trunk": {"what": saying("trouble.not_sealed.what"), "remedy": saying("trouble.not_sealed.remedy")},
    "foreign_source": {
        "what": saying("trouble.not_other_host.what"),
        "remedy": saying("trouble.not_other_host.remedy"),
    },
    "unknown_epoch": {
        "what": saying("trouble.unknown_key.what"),
        "remedy": saying("trouble.unknown_key.remedy"),
    },
    "replayed": {"what": saying("trouble.replayed.what"), "remedy": saying("trouble.replayed.remedy")},
    "bad_tag": {"what": saying("trouble.forged.what"), "remedy": saying("trouble.forged.remedy")},
    "lost": {"what": saying("trouble.lost_between.what"), "remedy": saying("trouble.lost_between.remedy")},
    "unsealed": {"what": saying("trouble.no_key.what"), "remedy": saying("trouble.no_key.remedy")},
    "unsent": {"what": saying("trouble.not_taken.what"), "remedy": saying("trouble.not_taken.remedy")},
}
"""Of the leg to another host, where there is one."""


class Troubles:
    """Compares counters of the engine, the router and the leg to another host with those of the last look."""

    def __init__(
        self,
        side: str,
        counters: Callable[[], Mapping[str, int]],
        leg: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._side = side
        self._counters = counters
        self._leg = leg
        self._seen: dict[str, int] = {}
        self._seen_of_leg: dict[str, int] = {}
        self._seen_of_limits: dict[str, int] = {}

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
        for name, new, total in _risen(counters, self._seen):
            if name in TROUBLES:
                log.warning("sip.trouble", extra={**self._fact(name, new, total), **TROUBLES[name]})
        for name, new, total in _risen(costly(counters), self._seen_of_limits):
            log.warning("limit.met", extra={**self._fact(name, new, total), **LIMITS[name]})
        for name, new, total in _risen(self._leg(), self._seen_of_leg):
            if name in LEG_TROUBLES:
                log.warning("leg.trouble", extra={**self._fact(name, new, total), **LEG_TROUBLES[name]})

    def _fact(self, name: str, new: int, total: int) -> dict[str, object]:
        return {"side": self._side, "counter": name, "new": new, "total": total}


def _risen(counters: Mapping[str, int], seen: dict[str, int]) -> Iterator[tuple[str, int, int]]:
    """Name, by how much it rose since it was seen, and the total; from then on that is seen."""
    for name, total in counters.items():
        new = total - seen.get(name, 0)
        if new > 0:
            seen[name] = total
            yield name, new, total
