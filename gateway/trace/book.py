"""What one side keeps of its crossings and media: two bounded shelves, filled by reference.

A crossing is noted as the line of its audit record, so it costs one append and cannot say
something else than the audit does. Streams have a shelf of their own: a catalog of a million rows does
not push them out. Who asks pays for making facts of them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Generic, TypeVar, get_args

import msgspec
from msgspec.structs import replace

from cascade.crossing import Crossing, Stream
from cascade.ports import Verdict
from gateway.chamber import chain
from gateway.chamber.audit import AuditUnavailable
from gateway.chamber.gate import Recorder
from gateway.chamber.record import Post, describe
from gateway.trace.facts import Crossed, MediaFact, Noted, SideName

MAX_CROSSINGS: Final = 4096
MAX_MEDIA: Final = 8192
MAX_PARTINGS: Final = 64
PARTED: Final = "parted"
"""The other side was gone for so long that all which crossed ended."""
MAX_WEIGHT: Final = 4 * 1024 * 1024
"""Bytes of all records on a shelf; a fact of media weighs one."""

Kept = tuple[float, int, bytes]
T = TypeVar("T")


class _Shelf(Generic[T]):
    """The newest, at most `count` of them and of a weight of `MAX_WEIGHT`."""

    def __init__(self, count: int) -> None:
        self.kept: deque[tuple[int, T]] = deque()
        self._count = count
        self._weight = 0

    def put(self, one: T, weight: int = 1) -> None:
        kept = self.kept
        kept.append((weight, one))
        self._weight = heavy = self._weight + weight
        if heavy > MAX_WEIGHT or len(kept) > self._count:
            self._forget()

    def _forget(self) -> None:
        while self._weight > MAX_WEIGHT or len(self.kept) > self._count:
            self._weight -= self.kept.popleft()[0]

    def __iter__(self) -> Iterator[T]:
        return (one for _, one in self.kept)


class Book:
    """`clock` is the loop's, `wall` tells the time of day at the same moment."""

    def __init__(self, side: SideName, *, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self.side: Final = side
        self._clock = clock
        self._wall = wall
        self._number = 0
        self._streams: _Shelf[Kept] = _Shelf(MAX_CROSSINGS)
        self._others: _Shelf[Kept] = _Shelf(MAX_CROSSINGS)
        self._media: _Shelf[MediaFact] = _Shelf(MAX_MEDIA)
        self._partings: deque[Noted] = deque(maxlen=MAX_PARTINGS)

    @property
    def newest(self) -> int:
        return self._number

    def at(self, moment: float) -> float:
        """The time of day at a moment of the loop's clock."""
        return self._wall() - (self._clock() - moment)

    def now(self) -> float:
        return self._wall()

    def crossed(self, line: bytes, *, stream: bool = False) -> None:
        """Keep an audit record. `stream`: it is of a stream, so on the shelf of those."""
        self._number = number = self._number + 1
        shelf = self._streams if stream else self._others
        shelf.put((self._clock(), number, line), len(line))

    def parted(self) -> None:
        """The other side is given up, and what crossed to it and from it ends."""
        self._number += 1
        self._partings.append(Noted(side=self.side, at=self.now(), number=self._number, event=PARTED))

    def media(self, fact: MediaFact) -> None:
        self._media.put(self.numbered(fact))

    def numbered(self, fact: MediaFact) -> MediaFact:
        """The fact as this side's newest."""
        self._number += 1
        return replace(fact, side=self.side, at=fact.at or self.now(), number=self._number)

    def entries(self) -> Iterator[Mapping[str, Any]]:
        """All crossings that are kept, as they were recorded. Notes, which do not cross, are left out."""
        return (entry for _, _, entry in self._entries(after=0))

    def crossings(
        self, wanted: Callable[[Mapping[str, Any]], bool] = lambda entry: True, after: int = 0
    ) -> Iterator[Crossed]:
        """Those that are wanted, behind a number."""
        for moment, number, entry in self._entries(after):
            if wanted(entry):
                yield self._fact(moment, number, entry)

    def _entries(self, after: int) -> Iterator[tuple[float, int, Mapping[str, Any]]]:
        for shelf in (self._streams, self._others):
            for moment, number, line in shelf:
                if number > after:
                    entry = msgspec.json.decode(line)
                    if "verdict" in entry:
                        yield moment, number, entry

    def notes(self) -> Iterator[Noted]:
        """What does not cross."""
        yield from self._partings
        for moment, number, line in self._others:
            entry = msgspec.json.decode(line)
            if "verdict" not in entry and "peer" in entry:
                yield Noted(
                    side=self.side,
                    at=self.at(moment),
                    number=number,
                    event=entry["event"],
                    peer=str(entry["peer"]),
                    details=dict(entry.get("details", {})),
                )

    def streams(self, after: int = 0) -> Iterator[MediaFact]:
        return (fact for fact in self._media if fact.number > after)

    def _fact(self, moment: float, number: int, entry: Mapping[str, Any]) -> Crossed:
        return Crossed(
            side=self.side,
            at=self.at(moment),
            number=number,
            door=entry["door"],
            direction=entry["direction"],
            kind=entry["kind"],
            action=entry["action"],
            origin=entry["origin"],
            correlation=entry.get("correlation", 0),
            subjects=tuple(entry["subjects"]),
            passed=entry["verdict"] == "passed",
            rule=entry["rule"],
            details=entry.get("details", {}),
        )


class Recording:
    """An audit that lets a book have each entry too, and the truth where it cannot be recorded."""

    def __init__(self, audit: Recorder, book: Book) -> None:
        self._audit = audit
        self._book = book

    def cross(self, crossing: Crossing, verdict: Verdict, post: Post) -> bytes:
        stream = type(crossing) in _STREAMS
        try:
            line = self._audit.cross(crossing, verdict, post)
        except AuditUnavailable:
            self._note_unrecorded(describe(crossing, verdict, post), stream=stream)
            raise
        self._book.crossed(line, stream=stream)
        return line

    def record(self, entry: Mapping[str, Any]) -> bytes:
        try:
            line = self._audit.record(entry)
        except AuditUnavailable:
            if "verdict" in entry:
                self._note_unrecorded(entry)
            raise
        self._book.crossed(line)
        return line

    def _note_unrecorded(self, entry: Mapping[str, Any], *, stream: bool = False) -> None:
        self._book.crossed(chain.canonical({**entry, "verdict": "refused", "rule": "audit"}), stream=stream)


_STREAMS: Final = frozenset(get_args(Stream))
