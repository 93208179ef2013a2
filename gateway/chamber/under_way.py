"""What is open at one door: questions that await an answer, streams that flow, and what each rule has used.

An answer is judged by the rule of its question, so for the peer that asked. A stream is open from its
`StreamOpen` to its `StreamEnded`, whichever side says that; both doors see both.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from msgspec import Struct

from cascade.crossing import (
    BACK,
    Answer,
    Ask,
    CatalogBatch,
    Crossing,
    Direction,
    NoAnswer,
    Notice,
    StreamControl,
    StreamEnded,
    StreamOffered,
    StreamOpen,
)
from cascade.limits import Bounds
from cascade.model.commands import Control, Invitation
from cascade.model.ids import ChannelId
from gateway.chamber.policy import Asked
from gateway.chamber.rates import said
from gateway.chamber.rules import MAX_COMMANDS, MAX_STREAMS, Quota

GRACE_SECONDS: Final = 5.0
"""An answer may still pass this long after its question's deadline, for the time on the link."""
MINUTE: Final = 60.0

_BY_THEMSELVES: Final = frozenset({Notice, CatalogBatch, StreamControl})
"""They neither ask nor answer."""
_ANSWERING: Final = frozenset({Answer, StreamOffered, StreamOpen})
_OF_STREAMS: Final = frozenset({StreamOpen, StreamOffered, StreamEnded})

Key = tuple[str, Direction, int]
"""Kind ("ask", "stream" or "invitation"), which way the question went, its correlation."""


class Question(Struct, frozen=True):
    """Awaits an answer."""

    asked: Asked
    action: str
    channel: ChannelId | None  # None for an Ask: the answer's names are judged themselves
    until: float


class Questions:
    """Those that await their answer. `clock` gives seconds of any monotonic clock."""

    def __init__(self, clock: Callable[[], float], bounds: Bounds | None = None) -> None:
        self._clock = clock
        self._bounds = bounds or Bounds()
        self._open: OrderedDict[Key, Question] = OrderedDict()

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._open))

    def __len__(self) -> int:
        return len(self._open)

    def get(self, key: Key) -> Question | None:
        return self._open.get(key)

    def clear(self) -> None:
        self._open.clear()

    def remember(self, crossing: Crossing, direction: Direction) -> None:
        """Take note of what has passed."""
        if type(crossing) in _BY_THEMSELVES:
            return
        number = crossing.correlation
        until = self._clock() + crossing.seconds_left + GRACE_SECONDS
        if type(crossing) is Ask:  # what comes most often, without a pattern tried
            payload = crossing.payload
            asked = Asked(crossing.origin, direction)
            self._keep(("ask", direction, number), Question(asked, payload.action, None, until))
            if isinstance(payload, Invitation):
                invited = Question(asked, payload.action, payload.target, until)
                self._keep(("invitation", direction, number), invited)
            return
        back = BACK[direction]
        match crossing:
            case StreamOpen(channel=channel, action=action):
                asked = self.asked(crossing, direction) or Asked(crossing.origin, direction)
                self._keep(("stream", direction, number), Question(asked, action, channel, until))
            case Answer(last=True):
                self._open.pop(("ask", back, number), None)
            case NoAnswer():
                self._open.pop(("ask", back, number), None)
                self._open.pop(("invitation", back, number), None)
            case StreamOffered():
                self._open.pop(("stream", back, number), None)
            case StreamEnded(channel=channel):
                for way in (back, direction):  # from below, or the viewer gave up before the offer
                    found = self._open.get(("stream", way, number))
                    if found is not None and found.channel == channel:
                        del self._open["stream", way, number]
            case _:
                pass

    def asked(self, crossing: Crossing, direction: Direction) -> Asked | None:
        """What `crossing` answers; None where nothing fitting is open."""
        if type(crossing) not in _ANSWERING:
            return None
        number = crossing.correlation
        match crossing:
            case Answer(payload=payload):
                kind, action, channel = "ask", payload.action, None
            case StreamOffered(channel=channel, action=action):
                kind = "stream"
            case StreamOpen(channel=channel, action=action) if crossing.invitation:
                kind, number = "invitation", crossing.invitation
            case _:
                return None
        question = self._open.get((kind, BACK[direction], number))
        if question is None or (question.action, question.channel) != (action, channel):
            return None
        return question.asked if self._clock() <= question.until else None

    def _keep(self, key: Key, question: Question) -> None:
        if key in self._open:
            self._open.move_to_end(key)
        self._open[key] = question
        if len(self._open) > self._bounds.limits.crossings_open:  # its answer is refused then
            self._bounds.meet("crossings_open")
            self._open.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Stream:
    """Flows, or is about to."""

    direction: Direction  # of its StreamOpen
    correlation: int
    asked: Asked
    action: str
    channel: ChannelId
    rule: str
    name: str = ""  # in the relay, once it was offered
    usual: int = 0  # bits a second that its rule counts for one of which nothing is said
    said: int = 0
    measured: int = 0

    @property
    def bits(self) -> int:
        """Bits a second that it counts in a quota."""
        return max(self.said or self.usual, self.measured)


class UnderWay:
    """What is under way by each rule: its open streams, their rates, and its commands of the last minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._streams: dict[tuple[Direction, int], Stream] = {}
        self._by_rule: Counter[str] = Counter()
        self._bits: Counter[str] = Counter()
        self._commands: dict[str, deque[float]] = {}

    @property
    def streams(self) -> list[Stream]:
        return list(self._streams.values())

    def streams_of(self, rule: str) -> int:
        return self._by_rule[rule]

    def bits_of(self, rule: str, besides: tuple[Direction, int] | None = None) -> int:
        """Bits a second of its open streams, without those of the one that `besides` names."""
        found = self._streams.get(besides) if besides is not None else None
        return self._bits[rule] - (found.bits if found is not None and found.rule == rule else 0)

    def commands_of(self, rule: str) -> int:
        """In the last minute."""
        times = self._commands.get(rule)
        if times is None:
            return 0
        before = self._clock() - MINUTE
        while times and times[0] <= before:
            times.popleft()
        return len(times)

    def forget(self, direction: Direction, correlation: int) -> None:
        """It went nowhere."""
        self._end((direction, correlation))

    def clear(self) -> None:
        """Nothing flows any more."""
        self._streams.clear()
        self._by_rule.clear()
        self._bits.clear()

    def remember(
        self,
        crossing: Crossing,
        direction: Direction,
        rule: str,
        asked: Asked | None,
        quota: Quota | None = None,
    ) -> None:
        """Take note of what has passed by `rule`, which has this quota; `asked` is what it answers."""
        if quota is None and type(crossing) not in _OF_STREAMS:
            return
        match crossing:
            case StreamOpen(correlation=number, channel=channel, action=action):
                self._end((direction, number))
                if len(self._streams) < MAX_STREAMS:
                    asker = asked or Asked(crossing.origin, direction)
                    usual = _usual(quota)
                    self._put(Stream(direction, number, asker, action, channel, rule, usual=usual))
            case StreamOffered(correlation=number, stream=name):
                found = self._streams.get((BACK[direction], number))
                if found is not None:
                    self._put(replace(found, name=name, said=said(crossing)))
            case StreamEnded(correlation=number, channel=channel):
                for way in (direction, BACK[direction]):
                    found = self._streams.get((way, number))
                    if found is not None and found.channel == channel:
                        self._end((way, number))
            case Ask() | Notice(payload=Control()) if quota is not None:
                times = self._commands.setdefault(rule, deque(maxlen=MAX_COMMANDS))
                times.append(self._clock())
            case _:
                pass

    def judged(self, stream: Stream, rule: str, quota: Quota | None) -> None:
        """It goes on by `rule`, which may be another than let it begin."""
        if stream.rule != rule or stream.usual != _usual(quota):
            self._put(replace(stream, rule=rule, usual=_usual(quota)))

    def measured(self, rates: Mapping[str, int]) -> None:
        """Take note of what the relay measures, in bits a second by its name of a stream."""
        for stream in self.streams:
            found = rates.get(stream.name)
            if found is not None and found != stream.measured:
                self._put(replace(stream, measured=found))

    def _put(self, stream: Stream) -> None:
        """A new one, or what is known now of one that is there: that keeps its place."""
        key = (stream.direction, stream.correlation)
        if key in self._streams:
            self._uncount(self._streams[key])
        self._streams[key] = stream
        self._by_rule[stream.rule] += 1
        self._bits[stream.rule] += stream.bits

    def _end(self, key: tuple[Direction, int]) -> None:
        found = self._streams.pop(key, None)
        if found is not None:
            self._uncount(found)

    def _uncount(self, stream: Stream) -> None:
        self._by_rule[stream.rule] -= 1
        self._bits[stream.rule] -= stream.bits
        if not self._by_rule[stream.rule]:
            del self._by_rule[stream.rule]
            del self._bits[stream.rule]


def _usual(quota: Quota | None) -> int:
    return 0 if quota is None else quota.stream_bits_per_second
