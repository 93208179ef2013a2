"""Looks now and then at what the relay measures of streams whose rates a quota limits."""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.chamber.rules import Quota
from gateway.chamber.under_way import Stream, UnderWay

MEASURE_SECONDS: Final = 5.0
"""From one look to the next, while such streams flow."""


class Metering:
    """`rates` are bits a second by the relay's name of a stream; `quotas` those of the rules that count;
    `later` calls back after so many seconds; `end` ends a stream that its rule has no room for."""

    def __init__(
        self,
        under_way: UnderWay,
        *,
        rates: Callable[[], Mapping[str, int]],
        quotas: Callable[[], Mapping[str, Quota]],
        later: Callable[[float, Callable[[], None]], object],
        end: Callable[[Stream], None],
    ) -> None:
        self._under_way = under_way
        self._rates = rates
        self._quotas = quotas
        self._later = later
        self._end = end
        self._waiting = False

    def watch(self) -> None:
        """Look in a while, if there is anything to look at."""
        if not self._waiting and any(map(self._limited, self._under_way.streams)):
            self._waiting = True
            self._later(MEASURE_SECONDS, self._look)

    def _limited(self, stream: Stream) -> bool:
        quota = self._quotas().get(stream.rule)
        return quota is not None and quota.bits_per_second > 0

    def _look(self) -> None:
        self._waiting = False
        self._under_way.measured(self._rates())
        quotas = self._quotas()
        for stream in reversed(self._under_way.streams):  # the youngest go first
            quota = quotas.get(stream.rule)
            if quota is not None and self._is_over(stream.rule, quota):
                self._end(stream)
        self.watch()

    def _is_over(self, rule: str, quota: Quota) -> bool:
        return quota.over == "end" and 0 < quota.bits_per_second < self._under_way.bits_of(rule)
