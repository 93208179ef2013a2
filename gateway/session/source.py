"""The owner of the leg that brings media, and of its receiving port: one coroutine a source.

A live source is shared per (channel, stream number): a second viewer makes no second INVITE below.
It lingers after its last viewer, so that somebody who switches back finds the picture still there.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from msgspec import Struct

from cascade.crossing import LIVE, Encoding
from cascade.errors import StreamFailed
from cascade.model.commands.broadcast import BROADCAST
from cascade.model.ids import ChannelId
from cascade.ports import Agreed
from cascade.sdp import PS
from gateway.session.leg import Dial, Ending, first, hung_up
from media.ports import NoPortLeft, Ports
from media.relay import DataPlane, Event, Expect, Failed, RelayRefused, Starved, receiving

log = logging.getLogger(__name__)


HOLD_PACKETS: Final = 256
"""Kept for the first viewer of a picture, so that its first key frame arrives."""

VOICE_HOLD_PACKETS: Final = 10
"""And of a voice: what was said before anybody listened would only make the rest late."""


def hold_packets(action: str) -> int:
    """How many packets a relay keeps for a stream's first viewer."""
    return VOICE_HOLD_PACKETS if action == BROADCAST else HOLD_PACKETS


class Wish(Struct, frozen=True):
    """What makes two viewings watch the same source."""

    channel: ChannelId
    action: str = LIVE
    stream_number: int = 0
    invitation: int = 0  # of a voice: who speaks to two at once is two sources
    encodings: tuple[Encoding, ...] = ()  # () takes what comes


class Admission(Struct, frozen=True):
    """What the relay lets in of one peer's media, and what becomes of it while nobody watches."""

    first_seconds: float = 10.0
    idle_seconds: float = 15.0
    max_bits_per_second: int = 32_000_000
    hold_packets: int = 256  # kept for the first viewer
    linger_seconds: float = 5.0  # after the last one


class Source:
    """Brings the media of one wish until its dialog ends or nobody has watched for the linger time."""

    def __init__(self, stream: str, wish: Wish, dial: Dial, admission: Admission) -> None:
        loop = asyncio.get_running_loop()
        self.stream = stream
        self.wish = wish
        self.ready: asyncio.Future[Agreed] = loop.create_future()
        self.over: asyncio.Future[Ending] = loop.create_future()
        self.watchers = 0
        self._dial = dial
        self._admission = admission
        self._attention = asyncio.Event()
        self._trouble: asyncio.Future[Ending] = loop.create_future()

    async def run(self, plane: DataPlane, ports: Ports) -> None:
        """Hold port and dialog, nested in the order in which they are gained, until it is over.

        Any failure, refusal or cancellation gives them back in reverse: there is no clean-up code.
        """
        plane.subscribe(self.stream, self._on_event)
        try:
            async with (
                receiving(plane, ports, self.stream) as port,
                self._dial(port, lambda agreed: plane.tell(self._expect(agreed))) as leg,
            ):
                self.ready.set_result(leg.agreed)
                ending = await first(hung_up(leg), asyncio.shield(self._trouble), self._unwatched())
                if ending.failure is not None:
                    leg.because(ending.failure, ending.reason)
                self._finish(ending)
        except StreamFailed as error:
            self._finish(Ending(error.failure, error.reason))
        except NoPortLeft as error:
            log.warning("source.no_port", extra={"stream": self.stream, "reason": str(error)})
            self._finish(Ending("busy", str(error)))
        except RelayRefused as error:
            log.error("source.no_relay", extra={"stream": self.stream, "reason": str(error)})
            self._finish(Ending("failed", str(error)))
        except Exception:  # a bug ends this stream, not the others
            log.exception("source.failed", extra={"stream": self.stream})
            self._finish(Ending("failed", "internal error"))
        finally:
            plane.unsubscribe(self.stream)
            self._finish(Ending(None, "stopped"))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count one viewer for as long as the context lasts."""
        self.watchers += 1
        self._attention.set()
        try:
            yield
        finally:
            self.watchers -= 1
            self._attention.set()

    def _expect(self, agreed: Agreed) -> Expect:
        return Expect(
            stream=self.stream,
            source=(agreed.host,),
            ssrc=agreed.ssrc,
            payload_type=agreed.payload_type,
            packs=agreed.encoding.upper() == PS,
            first_seconds=self._admission.first_seconds,
            idle_seconds=self._admission.idle_seconds,
            max_bits_per_second=self._admission.max_bits_per_second,
            hold_packets=self._admission.hold_packets,
        )

    def _on_event(self, event: Event) -> None:
        match event:
            case Starved(kind=kind) if not self._trouble.done():
                what = "no media arrived" if kind == "no-media" else "media stopped"
                self._trouble.set_result(Ending("no-media", what))
            case Failed(viewer=None, reason=reason) if not self._trouble.done():
                self._trouble.set_result(Ending("failed", reason))
            case Failed(viewer=viewer, reason=reason) if viewer is not None:
                log.warning("viewer.failed", extra={"stream": self.stream, "reason": reason})

    async def _unwatched(self) -> Ending:
        while True:
            self._attention.clear()
            try:
                async with asyncio.timeout(None if self.watchers else self._admission.linger_seconds):
                    await self._attention.wait()
            except TimeoutError:
                if not self.watchers:
                    ending = Ending(None, "nobody watches")
                    self._finish(ending)  # in the step of the decision: nobody can join it any more
                    return ending

    def _finish(self, ending: Ending) -> None:
        if not self.over.done():
            self.over.set_result(ending)
            log.info(
                "source.ended",
                extra={"stream": self.stream, "channel": str(self.wish.channel), "reason": ending.reason},
            )
        if not self.ready.done():
            self.ready.set_exception(StreamFailed(ending.failure or "failed", ending.reason))
            self.ready.exception()  # retrieved here, since there may be no watcher left to do it


class Sources:
    """All sources of one side. Use `async with`; leaving it ends them and waits for them."""

    def __init__(
        self,
        plane: DataPlane,
        ports: Ports,
        dial: Callable[[Wish], Dial],
        *,
        admission: Callable[[Wish], Admission],
        name: Callable[[], str],
    ) -> None:
        self._plane = plane
        self._ports = ports
        self._dial = dial
        self._admission = admission
        self._name = name
        self._live: dict[Wish, Source] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Source]:
        return iter(list(self._live.values()))

    async def __aenter__(self) -> "Sources":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def watch(self, wish: Wish) -> AsyncIterator[Source]:
        """Hold a source that is ready; it lingers after its last watcher has gone.

        Raises:
            StreamFailed: it never became ready.
        """
        source = self._live.get(wish)
        if source is None or source.over.done():
            source = self._start(wish)
        with source.watched():
            await asyncio.shield(source.ready)
            yield source

    def _start(self, wish: Wish) -> Source:
        source = Source(self._name(), wish, self._dial(wish), self._admission(wish))
        self._live[wish] = source
        task = asyncio.get_running_loop().create_task(source.run(self._plane, self._ports))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(source, done))
        return source

    def _ended(self, source: Source, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._live.get(source.wish) is source:
            del self._live[source.wish]
