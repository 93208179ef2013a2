"""How much one side holds and takes above its engine: one named limit each, and how often each was met.

The engine has those of messages, transactions and connections (native/sip-core/src/limits.rs); both stand
in one table of the configuration. Whoever owns a queue or a table reads its limit when it adds something,
so that a reload counts at once; what is held beyond a limit that was lowered leaves in its own time.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The defaults are for a province. Who loses at each is said in the configuration's own words
    (`gateway.config_limits`)."""

    questions: int = 4096
    unread_bytes: int = 64 * 1024 * 1024
    catalog_queries_a_second: int = 500
    catalog_notices_waiting: int = 256
    catalog_requests_of_upper: int = 8
    notices_a_minute: int = 60_000
    alarms_waiting: int = 1024
    alarms_known: int = 4096
    cameras_held: int = 20_000
    cameras_moving: int = 20_000
    guessers: int = 16_384
    tries_of_peers: int = 2048
    tries_of_strangers: int = 512
    tries_under_way: int = 256
    tries_a_second: int = 250
    crossings_open: int = 20_000
    crossings_held: int = 20_000
    retry_after: int = 10  # seconds, of a 503
    retry_spread: int = 20  # by chance up to so much more, lest those who were refused together come back so


LimitName = Literal[
    "questions",
    "unread_bytes",
    "catalog_queries_a_second",
    "catalog_notices_waiting",
    "catalog_requests_of_upper",
    "notices_a_minute",
    "alarms_waiting",
    "alarms_known",
    "cameras_held",
    "cameras_moving",
    "guessers",
    "tries_of_peers",
    "tries_of_strangers",
    "tries_under_way",
    "tries_a_second",
    "crossings_open",
    "crossings_held",
]

USUAL: Final = Limits()


class Bounds:
    """The limits of one side as they are in force, shared by all who keep to them."""

    __slots__ = ("_chance", "_met", "limits")

    def __init__(self, limits: Limits = USUAL, chance: Callable[[], float] = random.random) -> None:
        """`chance` gives a number from 0 to 1, which tells nobody anything."""
        self.limits = limits
        self._chance = chance
        self._met: Counter[LimitName] = Counter()

    def meet(self, name: LimitName) -> None:
        """Something was lost or put off at that limit."""
        self._met[name] += 1

    def later(self) -> tuple[tuple[str, str], ...]:
        """The header of a 503: when whoever was refused may come back."""
        seconds = self.limits.retry_after + int(self._chance() * (self.limits.retry_spread + 1))
        return (("Retry-After", f"{seconds}"),)

    def counters(self) -> dict[str, int]:
        """How often each was met; by the name of its counter, `limit_…`."""
        return {f"limit_{name}": count for name, count in self._met.items()}
