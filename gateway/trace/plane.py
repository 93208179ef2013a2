"""The relay as one side uses it, with every command and event noted in that side's book.

`TracedTrunk` is the same relay as the leg between two hosts uses it.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar, Final, assert_never

from gateway.trace.book import Book
from gateway.trace.facts import Aimed, Awaited, Began, Broken, Counted, MediaFact, PortOpened, Sent, Silent
from media import stats
from media.link import VIEWER
from media.relay import (
    AddViewer,
    AimViewer,
    Close,
    DataPlane,
    DropViewer,
    Event,
    Expect,
    Failed,
    Join,
    OnEvent,
    Open,
    OpenFromTrunk,
    Started,
    Starved,
    TrunkPlane,
    ViewOverTrunk,
)

STALE_SECONDS: Final = 0.1
"""How old counters may be that a closing stream takes along: many that end at once share one look."""


class TracedPlane:
    """A `DataPlane` over another one. `LEG`: are its streams those of the leg to another host?"""

    LEG: ClassVar[bool] = False

    def __init__(self, plane: DataPlane, book: Book, clock: Callable[[], float]) -> None:
        self._plane = plane
        self._book = book
        self._clock = clock
        self._streams: set[str] = set()  # opened here
        self._viewers: set[tuple[str, str]] = set()
        self._looked_at = float("-inf")
        self._counters = stats.Counters()

    async def bind(self, command: Open | AddViewer) -> int:
        port = await self._plane.bind(command)
        viewer = ""
        if isinstance(command, AddViewer):
            viewer = command.viewer
            self._viewers.add((command.stream, viewer))
        else:
            self._streams.add(command.stream)
        self._note(PortOpened(stream=command.stream, viewer=viewer, host=command.address, port=port))
        return port

    def tell(self, command: Expect | AimViewer | DropViewer | Close) -> None:
        match command:
            case DropViewer():
                self._drop(command.stream, command.viewer)
            case Close():
                self._close(command.stream)
        self._plane.tell(command)
        match command:
            case Expect():
                self._note(
                    Awaited(
                        stream=command.stream,
                        sources=command.source,
                        ssrc=command.ssrc,
                        payload_type=command.payload_type,
                        leg=self.LEG,
                    )
                )
            case AimViewer():
                self._note(
                    Aimed(
                        stream=command.stream,
                        viewer=command.viewer,
                        host=command.host,
                        port=command.port,
                        ssrc=command.ssrc,
                        payload_type=command.payload_type,
                    )
                )
            case DropViewer() | Close():
                pass
            case _:
                assert_never(command)

    def subscribe(self, stream: str, on_event: OnEvent) -> None:
        def noted(event: Event) -> None:
            self._heard(event)
            on_event(event)

        self._plane.subscribe(stream, noted)

    def unsubscribe(self, stream: str) -> None:
        self._plane.unsubscribe(stream)

    def counters(self) -> stats.Counters:
        return self._plane.counters()

    def running(self) -> Iterator[MediaFact]:
        """What came and left until now, of all that this side has open."""
        counters = self._plane.counters()
        for stream in sorted(self._streams):
            yield self._book.numbered(self._counted(stream, counters, over=False))
        for stream, viewer in sorted(self._viewers):
            yield self._book.numbered(_sent(stream, viewer, counters, over=False))

    def _heard(self, event: Event) -> None:
        match event:
            case Started(stream=stream, ssrc=ssrc, source=(host, port), at=at):
                self._note(
                    Began(at=self._book.at(at), stream=stream, ssrc=ssrc, host=host, port=port, leg=self.LEG)
                )
            case Starved(stream=stream, kind=kind):
                self._note(Silent(stream=stream, kind=kind, leg=self.LEG))
            case Failed(stream=stream, reason=reason, viewer=viewer):
                self._note(Broken(stream=stream, reason=reason, viewer=viewer or "", leg=self.LEG))

    def _close(self, stream: str) -> None:
        """The stream takes its viewers along, those of the other side too."""
        if stream in self._streams:
            self._streams.remove(stream)
            counters = self._look(stream)
            self._note(self._counted(stream, counters, over=True))
            for viewer in counters.streams.get(stream, stats.StreamCounters()).viewers:
                self._note(_sent(stream, viewer, counters, over=True))

    def _drop(self, stream: str, viewer: str) -> None:
        if (stream, viewer) in self._viewers:
            self._viewers.remove((stream, viewer))
            counters = self._look(stream)
            if stream in counters.streams:
                self._note(_sent(stream, viewer, counters, over=True))

    def _look(self, stream: str) -> stats.Counters:
        now = self._clock()
        if now - self._looked_at >= STALE_SECONDS or stream not in self._counters.streams:
            self._looked_at, self._counters = now, self._plane.counters()
        return self._counters

    def _counted(self, stream: str, counters: stats.Counters, *, over: bool) -> Counted:
        found = counters.streams.get(stream, stats.StreamCounters())
        refused = {name: getattr(found.refused, name) for name in found.refused.__struct_fields__}
        return Counted(
            stream=stream,
            over=over,
            leg=self.LEG,
            received=found.received,
            admitted=found.admitted,
            bytes=found.bytes,
            lost=found.lost,
            refused={name: count for name, count in refused.items() if count},
            first=None if found.first is None else self._book.at(found.first),
            last=None if found.last is None else self._book.at(found.last),
            foreign_ssrc=found.foreign_ssrc,
        )

    def _note(self, fact: MediaFact) -> None:
        self._book.media(fact)


class TracedTrunk(TracedPlane):
    """A `TrunkPlane` over another one, for the leg alone: what it opens and shows is between the hosts."""

    LEG = True

    def __init__(self, plane: TrunkPlane, book: Book, clock: Callable[[], float]) -> None:
        super().__init__(plane, book, clock)
        self.book: Final = book
        self._trunk = plane

    async def join(self, command: Join) -> int:
        return await self._trunk.join(command)

    async def open_from_trunk(self, command: OpenFromTrunk) -> None:
        await self._trunk.open_from_trunk(command)
        self._streams.add(command.stream)

    def view_over_trunk(self, command: ViewOverTrunk) -> None:
        self._viewers.add((command.stream, command.viewer))
        self._trunk.view_over_trunk(command)

    def offer(self) -> bytes:
        return self._trunk.offer()

    def accept(self, offer: bytes) -> None:
        self._trunk.accept(offer)


def _sent(stream: str, viewer: str, counters: stats.Counters, *, over: bool) -> Sent:
    found = counters.streams.get(stream, stats.StreamCounters()).viewers.get(viewer, stats.ViewerCounters())
    return Sent(
        stream=stream,
        viewer=viewer,
        over=over,
        leg=viewer == VIEWER,
        packets=found.sent,
        bytes=found.bytes,
        unsent=found.unsent,
    )
