"""One connection between the two hosts, from its first byte to its last: TLS, greeting, frames, silence.

Sans-IO: bytes and the time in, bytes and events out. Feed it, drain `events` and `output`, and call
`advance` at `deadline`. `now` is any monotonic clock; certificates alone are judged by the wall clock.

    handshake ──▶ greeting ──▶ open ──▶ over
    (TLS 1.3, both      (HELLO is the      (crossings; ALIVE where
     certificates)       first frame)       nothing else is said)
"""

import ssl
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from cascade.crossing import BACK, Direction
from certs.ca import at
from certs.identities import Identity
from certs.trust import Certified, Trust, judge, out_of_time, refusal
from gateway.chamber.link.frames import LIFE, BadFrame, FrameReader, Kind, frame
from gateway.chamber.link.secured import Secured
from gateway.chamber.link.why import Why, distrusted, told
from gateway.words import saying
from gateway.words.sentences import recognised
from gateway.words.system import reason

GREETING_SECONDS: Final = 10.0
"""From the first byte to the other end's HELLO."""
SILENT_INTERVALS: Final = 3
NONCE_BYTES: Final = 16
MAX_ROUND_TRIP: Final = 60.0
"""Seconds; what the other end gives back is believed up to that."""


class Greeting(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of HELLO: what its sender knows of an earlier connection."""

    nonce: bytes
    era: bytes = b""  # which it goes on with; empty: it begins anew
    heard: int = 0  # frames of that era that it has heard


@dataclass(frozen=True, slots=True)
class Greeted:
    """The connection is open: both ends believe each other and have said HELLO."""

    greeting: Greeting
    certified: Certified  # they
    own: Certified


@dataclass(frozen=True, slots=True)
class Arrived:
    kind: Kind  # CROSSING, SHUT, OPEN, ANEW, MEDIA; ALIVE with its body
    body: bytes


@dataclass(frozen=True, slots=True)
class Over:
    why: Why


Output = Greeted | Arrived | Over

_greetings: Final = msgspec.msgpack.Decoder(Greeting)


class LinkSession:
    """`sends`: our direction. `greet` says who we are once the other end is believed, `heard` how many
    frames of the era we have heard."""

    def __init__(
        self,
        trust: Trust,
        expected: Identity,
        *,
        server: bool,
        sends: Direction,
        greet: Callable[[], Greeting],
        heard: Callable[[], int],
        alive_seconds: float,
        wall: Callable[[], float],
        now: float,
    ) -> None:
        self.over = False
        self.greeted = False
        self.round_trip: float | None = None
        """Seconds, of the newest stamp that came back."""
        self._trust = trust
        self._expected = expected
        self._sends: Final = sends
        self._greet = greet
        self._heard = heard
        self._alive_seconds = alive_seconds
        self._wall = wall
        self._tls = Secured(trust.context(server=server), server=server)
        self._reader = FrameReader(BACK[sends])
        self._certified: Certified | None = None
        self._sequence = 0
        self._plain = bytearray()
        self._events: deque[Output] = deque()
        self._begun = now
        self._spoke_at = now
        self._heard_at = now
        self._stamped: tuple[int, float] | None = None  # the other end's newest, and when it came
        self._taken(b"")

    @property
    def deadline(self) -> float:
        """When `advance` must next be called; nothing is due once it is over."""
        if not self.greeted:
            return self._begun + GREETING_SECONDS
        silent = self._heard_at + SILENT_INTERVALS * self._alive_seconds
        return min(self._spoke_at + self._alive_seconds, silent)

    def feed(self, data: bytes, now: float) -> None:
        """Take what came from the wire."""
        if not self.over and data:
            self._heard_at = now
            self._taken(data)

    def lost(self, error: OSError | None) -> None:
        """The wire is gone; None where the other end closed it."""
        if self._reader.midway:
            self._end(Why("truncated", saying("link.truncated")))
        elif isinstance(error, OSError):
            self._end(Why("lost", saying("link.lost", why=reason(error))))
        else:
            self._end(Why("lost", saying("link.ended")))

    def advance(self, now: float) -> None:
        if self.over or now < self.deadline:
            return
        if not self.greeted:
            self._end(Why("slow", saying("link.slow", seconds=GREETING_SECONDS)))
        elif now >= self._heard_at + SILENT_INTERVALS * self._alive_seconds:
            seconds = SILENT_INTERVALS * self._alive_seconds
            self._end(Why("silent", saying("link.silent", seconds=seconds)))
        elif (why := self._out_of_time()) is not None:
            self.close(why)
        else:
            self.alive(now)

    def alive(self, now: float) -> None:
        """Say that we are there, and how much we have heard."""
        self._spoke_at = now
        stamp, at = self._stamped or (0, now)
        given_back = (stamp + round(1e6 * (now - at))) % 2**64 if stamp else 0
        self.send(Kind.ALIVE, LIFE.pack(self._heard(), self._stamp(now), given_back))

    def send(self, kind: Kind, body: bytes) -> None:
        """Queue one frame for `output`."""
        if not self.over:
            self._plain += frame(kind, self._sequence, body, self._sends)
            self._sequence += 1

    def close(self, why: Why) -> None:
        """Tell the other end why, and be over."""
        if not self.over and self._tls.established:
            self.send(Kind.CLOSING, why.counted.encode("ascii"))
        self._end(why)

    def output(self) -> bytes:
        """What is to go onto the wire; frames of one turn of the loop leave together."""
        if self._plain and self._tls.established:
            self._tls.write(bytes(self._plain))
            self._plain.clear()
        return self._tls.output()

    def events(self) -> Iterator[Output]:
        while self._events:
            yield self._events.popleft()

    def _taken(self, data: bytes) -> None:
        try:
            plain = self._tls.feed(data)
        except ssl.SSLError as error:
            self._end(_of_tls(error))
            return
        if self._tls.established and self._certified is None:
            self._believe()
        try:
            for kind, body in self._reader.feed(plain):
                if self.over:
                    return
                self._take(kind, body)
        except BadFrame as error:
            self.close(Why("frame", saying("link.frame", why=recognised(str(error)))))

    def _believe(self) -> None:
        found = judge(self._tls.peer_certificate(), self._expected, at(self._wall()))
        if isinstance(found, str):
            self.close(distrusted(found, ours=False))
            return
        self._certified = found
        self.send(Kind.HELLO, msgspec.msgpack.encode(self._greet()))

    def _take(self, kind: Kind, body: bytes) -> None:
        if kind is Kind.CLOSING:
            why = told(body)
            if why is None:
                raise BadFrame("a goodbye without a reason")
            self._end(why)
            return
        if self.greeted == (kind is Kind.HELLO):
            raise BadFrame(f"{kind.name} out of its place")
        match kind:
            case Kind.HELLO:
                self._take_greeting(body)
            case Kind.SHUT | Kind.OPEN | Kind.ANEW if body:
                raise BadFrame(f"a frame of {len(body)} bytes")
            case Kind.ALIVE if len(body) != LIFE.size:
                raise BadFrame(f"a frame of {len(body)} bytes")
            case _:
                if kind is Kind.ALIVE:
                    self._measure(body)
                self._events.append(Arrived(kind, body))

    def _measure(self, body: bytes) -> None:
        """The way there and back, without what our stamp lay at the other end."""
        _, stamp, given_back = LIFE.unpack(body)
        self._stamped = stamp, self._heard_at
        round_trip = (self._stamp(self._heard_at) - given_back) / 1e6
        if given_back and 0.0 <= round_trip <= MAX_ROUND_TRIP:
            self.round_trip = round_trip

    def _stamp(self, now: float) -> int:
        """A moment of this connection, in microseconds; never 0, which means none."""
        return 1 + round(1e6 * (now - self._begun))

    def _take_greeting(self, body: bytes) -> None:
        try:
            greeting = _greetings.decode(body)
        except (msgspec.MsgspecError, ValueError) as error:
            raise BadFrame("not a greeting") from error
        if (
            len(greeting.nonce) != NONCE_BYTES
            or len(greeting.era) not in {0, NONCE_BYTES}
            or greeting.heard < 0
        ):
            raise BadFrame("not a greeting")
        assert self._certified is not None
        self.greeted = True
        self._events.append(Greeted(greeting, self._certified, self._trust.own))

    def _out_of_time(self) -> Why | None:
        """Has a certificate run out while the connection stood?"""
        now = at(self._wall())
        if self._certified is not None and (wrong := out_of_time(self._certified, now)) is not None:
            return distrusted(wrong, ours=False)
        if (wrong := out_of_time(self._trust.own, now)) is not None:
            return distrusted(wrong, ours=True)
        return None

    def _end(self, why: Why) -> None:
        if not self.over:
            self.over = True
            self._events.append(Over(why))


def _of_tls(error: ssl.SSLError) -> Why:
    distrust, ours = refusal(error)
    if distrust is not None:
        return distrusted(distrust, ours=ours)
    return Why("tls", saying("link.tls", why=error.reason or str(error)))
