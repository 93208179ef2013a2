"""Where an upper leads us by 302 (GB/T 28181-2022 9.1), and in which order that is tried.

Pure. A 302 is not proven by anything, so it leads only to where the configuration allows, under a name that
it knows; each place is tried once in a journey, and a journey has few stages. Who leads may say for how long
(RFC 3261 section 21.3): then it is asked again.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from cascade.addresses import Networks
from cascade.peers import UpperPeer
from sip.errors import MalformedMessage
from sip.events import Address, Event
from sip.headers.name_addr import split_values, uri_of
from sip.uri import parse_uri

MAX_STAGES: Final = 3
MAX_PLACES: Final = 8
"""That one 302 may name."""

KNOWS: Final = ("X-GB-Ver", "3.0")
"""In our REGISTER where an upper may lead us: the edition that has this (2022 annex I)."""

By = Literal["udp", "tcp", "udp+tcp"]


@dataclass(frozen=True, slots=True)
class Place:
    """Another server: its id, where it is, by what it is spoken to, for how many seconds (None: no end)."""

    id: str
    host: str
    port: int
    transport: By = "udp"
    seconds: int | None = None

    @property
    def address(self) -> Address:
        return self.host, self.port

    @property
    def domain(self) -> str:
        """By convention the first ten digits."""
        return self.id[:10]


def places_of(answer: Event, upper: UpperPeer) -> list[Place]:
    """The places that a 302 names and we may go to, by their q. Nobody is led away from TLS.

    What names no transport is spoken to as the upper is; what is over already (`expires=0`) is no place.
    """
    allowed = Networks((*upper.networks, upper.host, *upper.redirects))
    names = {upper.id, *upper.aliases}
    if upper.transport == "tls":
        return []
    found: list[tuple[float, Place]] = []
    for value in [*split_values(answer.headers("Contact"))][:MAX_PLACES]:
        place = _place(value, upper.transport, answer.expires)
        if place is not None and place.host in allowed and place.id in names:
            found.append((-_q(value), place))
    found.sort(key=lambda each: each[0])  # equal ones stay in their order
    return [place for _, place in found]


def _place(value: str, usual: By, expires: int | None) -> Place | None:
    try:
        uri = parse_uri(uri_of(value))
    except MalformedMessage:
        return None
    transport = _BY.get((uri.parameter("transport") or usual).lower())
    own = (_parameter(value, "expires") or "")[:9]
    seconds = int(own) if own.isascii() and own.isdigit() else expires
    if uri.scheme != "sip" or not uri.user or transport is None or seconds == 0:
        return None
    return Place(uri.user, *uri.address, transport, seconds)


_BY: Final[Mapping[str, By]] = {"udp": "udp", "tcp": "tcp", "udp+tcp": "udp+tcp"}


def _q(value: str) -> float:
    text = _parameter(value, "q")
    try:
        return 1.0 if text is None else min(1.0, max(0.0, float(text[:5])))
    except ValueError:
        return 0.0


def _parameter(value: str, wanted: str) -> str | None:
    """Of the Contact itself, not of the URI within."""
    for parameter in value.rpartition(">")[2].split(";"):
        name, _, text = parameter.partition("=")
        if name.strip().lower() == wanted:
            return text.strip()
    return None


class Journey:
    """The places of one attempt to register, from the configured address until somebody grants it."""

    def __init__(self) -> None:
        self._seen: set[Address] = set()
        self._waiting: deque[tuple[Place, int]] = deque()
        self._stage = 0

    def begin(self, home: Address) -> None:
        """Anew: nothing was tried but where we begin."""
        self._seen = {home}
        self._waiting.clear()
        self._stage = 0

    def lead(self, places: Iterable[Place]) -> Literal["led", "nowhere", "endless"]:
        """Take what a 302 names, before whatever waited; or why nothing of it is tried."""
        if self._stage >= MAX_STAGES:
            return "endless"
        fresh = [place for place in dict.fromkeys(places) if place.address not in self._seen]
        self._waiting.extendleft((place, self._stage + 1) for place in reversed(fresh))
        self._seen.update(place.address for place in fresh)
        return "led" if fresh else "nowhere"

    def next(self) -> Place | None:
        """Where to try next; None once all was tried."""
        if not self._waiting:
            return None
        place, self._stage = self._waiting.popleft()
        return place
