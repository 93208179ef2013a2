"""`[SIDE.limits]`: how much of anything a side holds or takes, one named limit each.

Each says who loses where it is met: in the engine strangers first, and of them the newest. Strangers are
those at whose address nobody is registered and no upper is. What the limits cost is counted under the name
of `COUNTERS`, in `lockgate status` and in the log. All of them: docs/operations/limits.md.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Final

from msgspec import Meta, Struct

from cascade.limits import Limits

Held = Annotated[int, Meta(ge=64, le=4_194_304)]

OF_ENGINE: Final[Mapping[str, tuple[str, ...]]] = {
    "requests": ("overload",),
    "answers": ("cached_evicted", "answers_unkept"),
    "answer_bytes": ("answers_too_long",),
    "events": ("events_full",),
    "nonces": ("nonces_full",),
    "connections": ("streams_displaced", "streams_refused"),
    "connections_of_source": ("streams_of_source",),
    "dialling": ("dialling_full",),
    "unsent_bytes": ("streams_slow",),
    "strangers_waiting": ("strangers_dropped", "strangers_curtly"),
    "strangers_a_second": ("strangers_a_second",),
    "strangers_of_source": ("strangers_of_source",),
    "failures_of_source": ("failures_curtly",),
}
"""What the engine counts at each limit; of `connections` the first holds those of `connections_of_source`."""

ABOVE: Final = tuple(field.name for field in fields(Limits) if not field.name.startswith("retry_"))
"""The limits above the engine (`cascade.limits`)."""

RETRY: Final = ("retry_after", "retry_spread")
"""Of a 503, in the engine and above it."""

COUNTERS: Final[Mapping[str, tuple[str, ...]]] = {
    **OF_ENGINE,
    **{name: (f"limit_{name}",) for name in ABOVE},
}

HARMLESS: Final = frozenset(
    {
        "catalog_queries_a_second",
        "alarms_known",
        "tries_of_peers",
        "tries_of_strangers",
        "tries_under_way",
        "tries_a_second",
    }
)
"""What is put off or forgotten at these costs nobody more than a line of `lockgate explain`, or that an alarm
is told twice: counted, and no trouble."""


class LimitsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What this side holds and takes at most; the defaults are for a province."""

    requests: Held = 65_536
    """Requests that wait for our answer, calls until they end, and as many of our own. Who comes later is
    refused with 503; the last eighth is for known peers. Default 65,536."""
    answers: Held = 131_072
    """Answers kept for requests that are repeated. The oldest is forgotten; strangers' fill one half at
    most. Default 131,072."""
    answer_bytes: Annotated[int, Meta(ge=65_536, le=1 << 30)] = 33_554_432
    """Bytes of memory that those take: some 75 for a plain one, and what it says of its own. The oldest is
    forgotten; strangers' fill one half at most. Default 32 MiB."""
    events: Held = 65_536
    """What came and was not decided yet. Who comes later is refused with 503; the last eighth is for known
    peers. Default 65,536."""
    nonces: Held = 262_144
    """Nonces given last that may be used, two bits each. Who answers an older one is challenged anew. Default
    262,144."""
    connections: Annotated[int, Meta(ge=64, le=65_536)] = 16_384
    """Connections at once, as far as the process may open files. The oldest stranger goes for a newer one,
    a known peer never. Default 16,384."""
    connections_of_source: Annotated[int, Meta(ge=1, le=65_536)] = 8
    """Strangers' connections from one address at once; the oldest goes. Default 8."""
    dialling: Annotated[int, Meta(ge=1, le=65_536)] = 256
    """Messages that wait for one connection, ours or a lower's; later ones are undelivered. Default 256."""
    unsent_bytes: Annotated[int, Meta(ge=65_536, le=1 << 30)] = 4_194_304
    """Bytes that wait for one peer to read them; then it loses its connection. Default 4 MiB."""
    strangers_waiting: Annotated[int, Meta(ge=64, le=1_048_576)] = 4096
    """Datagrams of strangers that wait behind those of known peers, of 2 KiB on average. The newest is
    dropped. Where more than 512 wait, they get a challenge or 503 without a decision. Default 4,096."""
    strangers_a_second: Annotated[int, Meta(ge=10, le=10_000_000)] = 20_000
    """Messages of all strangers in a second; the others are dropped unread. Default 20,000."""
    strangers_of_source: Annotated[int, Meta(ge=10, le=10_000_000)] = 5000
    """The same of one address (of IPv6 one /64). Default 5,000."""
    failures_of_source: Annotated[int, Meta(ge=1, le=10_000_000)] = 100
    """REGISTERs of one address in a second whose digest is not right, whoever is there. More are challenged
    and not decided; a right one always is. Default 100."""
    questions: Held = 4096
    """Questions to peers and to the other side that wait for an answer, of each kind. Who asks beyond them is
    refused. Default 4,096."""
    unread_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 32)] = 64 * 1024 * 1024
    """Bytes of catalogs and other answers from below that wait to be read. What comes beyond is lost,
    and asked for again. Default 64 MiB."""
    catalog_queries_a_second: Annotated[int, Meta(ge=1, le=100_000)] = 500
    """Catalogs that peers below are asked for in a second, after 256 at once; the others wait for their turn.
    Default 500."""
    catalog_notices_waiting: Annotated[int, Meta(ge=1, le=65_536)] = 256
    """Notices of one peer that wait until its catalog is here; instead of more of them the catalog is
    asked for again. Default 256."""
    catalog_requests_of_upper: Annotated[int, Meta(ge=1, le=1024)] = 8
    """Catalog queries of one upper that wait for the one being answered; more are dropped. Default 8."""
    notices_a_minute: Annotated[int, Meta(ge=60, le=10_000_000)] = 60_000
    """NOTIFY of one peer below in a minute; the peer's next one is refused with 503. Default 60,000."""
    alarms_waiting: Annotated[int, Meta(ge=1, le=1_000_000)] = 1024
    """Alarms that are not on the disk yet; the newest is refused with 503. Default 1,024."""
    alarms_known: Held = 4096
    """Alarms by which one that comes twice within ten minutes is known; the oldest is forgotten. Default
    4,096."""
    cameras_held: Held = 20_000
    """Cameras that uppers have for themselves; who wants one more is refused with 503. Default 20,000."""
    cameras_moving: Held = 20_000
    """Cameras of which is kept that they move; one more moves, and is not stopped after a crash. Default
    20,000."""
    guessers: Held = 16_384
    """Pairs of source and id with wrong digests; whose last one is the oldest is forgotten, with its pause.
    Default 16,384."""
    tries_of_peers: Held = 2048
    """Configured ids whose last tries to register are kept for `lockgate explain registration`; who tried
    longest ago is forgotten. Default 2,048."""
    tries_of_strangers: Held = 512
    """The same of ids that nobody has. Default 512."""
    tries_under_way: Held = 256
    """Ids that were given a challenge and did not come back yet; the oldest is forgotten. Default 256."""
    tries_a_second: Annotated[int, Meta(ge=1, le=100_000)] = 250
    """Tries that are read for it in a second, of configured ids and of others each; more are counted alone.
    Default 250."""
    crossings_open: Held = 20_000
    """Questions and streams at this side's door that wait for an answer; the oldest is forgotten, and its
    answer refused. Default 20,000."""
    crossings_held: Held = 20_000
    """Ends of streams, and what says how things are, held while the audit cannot be written; the oldest is
    lost. Default 20,000."""
    retry_after: Annotated[int, Meta(ge=1, le=3600)] = 10
    """Seconds: the shortest Retry-After of a 503. Default 10 s."""
    retry_spread: Annotated[int, Meta(ge=0, le=3600)] = 20
    """Seconds: by chance up to so much is added, lest all peers come back at once. Default 20 s."""

    def engine(self) -> dict[str, int]:
        """Those of the engine, by the names that it has for them."""
        return {name: getattr(self, name) for name in (*OF_ENGINE, *RETRY)}

    def above(self) -> Limits:
        """Those of the faces and of the door."""
        return Limits(**{name: getattr(self, name) for name in (*ABOVE, *RETRY)})


def met(counters: Mapping[str, int]) -> dict[str, int]:
    """How often each limit was met, of those that were."""
    found = {name: sum(counters.get(each, 0) for each in names) for name, names in COUNTERS.items()}
    found["connections"] -= counters.get("streams_of_source", 0)
    return {name: count for name, count in found.items() if count > 0}


def costly(counters: Mapping[str, int]) -> dict[str, int]:
    """Of these, the ones that an operator should look at."""
    return {name: count for name, count in met(counters).items() if name not in HARMLESS}
