"""`[SIDE.limits]`: how much of anything a side holds or takes, one named limit each.

Each says who loses where it is met: strangers first, and of them the newest. Strangers are those at
whose address nobody is registered and no upper is. What the limits cost is counted under the name of
`COUNTERS`, in `lockgate status` and in the log.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import asdict

Held = Annotated[int, Meta(ge=64, le=4_194_304)]

COUNTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "requests": ("overload",),
    "answers": ("cached_evicted", "answers_unkept"),
    "events": ("events_full",),
    "nonces": ("nonces_full",),
    "connections": ("streams_displaced", "streams_refused"),
    "connections_of_source": ("streams_of_source",),
    "dialling": ("dialling_full",),
    "unsent_bytes": ("streams_slow",),
    "strangers_waiting": ("strangers_dropped", "strangers_curtly"),
    "strangers_a_second": ("strangers_a_second",),
    "strangers_of_source": ("strangers_of_source",),
}
"""What the engine counts at each limit; of `connections` the first holds those of `connections_of_source`."""


class LimitsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What this side holds and takes at most; the defaults are for a province."""

    requests: Held = 65_536
    """Requests that wait for our answer, calls until they end, and as many of our own. Who comes later is
    refused with 503; the last eighth is for known peers. Default 65,536."""
    answers: Held = 131_072
    """Answers kept for requests that are repeated. The oldest is forgotten; strangers' fill one half at
    most. Default 131,072."""
    events: Held = 65_536
    """What came and was not decided yet. Who comes later is refused with 503; the last eighth is for known
    peers. Default 65,536."""
    nonces: Held = 262_144
    """Nonces that were used and have not expired. Who comes later is challenged anew. Default 262,144."""
    connections: Annotated[int, Meta(ge=64, le=65_536)] = 16_384
    """Connections at once, as far as the process may open files. The oldest stranger goes for a newer one,
    a known peer never. Default 16,384."""
    connections_of_source: Annotated[int, Meta(ge=1, le=65_536)] = 8
    """Strangers' connections from one address at once; the oldest goes. Default 8."""
    dialling: Annotated[int, Meta(ge=1, le=65_536)] = 256
    """Messages that wait until a connection of ours is made; who comes later is undelivered. Default 256."""
    unsent_bytes: Annotated[int, Meta(ge=65_536, le=1 << 30)] = 4_194_304
    """Bytes that wait for one peer to read them; then it loses its connection. Default 4 MiB."""
    strangers_waiting: Annotated[int, Meta(ge=64, le=1_048_576)] = 4096
    """Datagrams of strangers that wait behind those of known peers, of 2 KiB on average. The newest is
    dropped. Where more than 512 wait, they get a challenge or 503 without a decision. Default 4,096."""
    strangers_a_second: Annotated[int, Meta(ge=10, le=10_000_000)] = 20_000
    """Messages of all strangers in a second; the others are dropped unread. Default 20,000."""
    strangers_of_source: Annotated[int, Meta(ge=10, le=10_000_000)] = 5000
    """The same of one address (of IPv6 one /64). Default 5,000."""
    retry_after: Annotated[int, Meta(ge=1, le=3600)] = 10
    """Seconds: the shortest Retry-After of a 503. Default 10 s."""
    retry_spread: Annotated[int, Meta(ge=0, le=3600)] = 20
    """Seconds: by chance up to so much is added, lest all peers come back at once. Default 20 s."""

    def engine(self) -> dict[str, int]:
        """By the names that the engine has for them."""
        return asdict(self)


def met(counters: Mapping[str, int]) -> dict[str, int]:
    """How often each limit was met, of those that were."""
    found = {name: sum(counters.get(each, 0) for each in names) for name, names in COUNTERS.items()}
    found["connections"] -= counters.get("streams_of_source", 0)
    return {name: count for name, count in found.items() if count > 0}
