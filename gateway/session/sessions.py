"""All media of one side: what its peers bring (sources) and what they take (viewings).

A picture comes from a lower and goes to an upper; a voice the other way. Nothing here knows which, nor
on which network it is. The two halves of one stream speak by crossings alone:

    viewer's side   StreamOpen ──▶                source's side
                    ◀── StreamOffered | StreamEnded
                    StreamEnded ──▶  (or ◀──, whoever is over first)
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from cascade.crossing import Failure, Stream, StreamControl, StreamEnded, StreamOffered, StreamOpen, end_of
from cascade.errors import StreamFailed
from cascade.model.ids import ChannelId, PlatformId
from cascade.ports import Gate
from gateway.session.leg import Dial, Ending, first
from gateway.session.source import Sources, Wish
from gateway.session.viewing import view
from media.link import MediaLink
from media.ports import Ports
from media.relay import DataPlane

log = logging.getLogger(__name__)

OPEN_SECONDS = 20.0
"""How long a viewer's side waits for an offer: longer than the INVITE below may take (15 s)."""


class Guest(Protocol):
    """Somebody who asks to see a channel: an incoming INVITE, as a session sees it."""

    @property
    def cancelled(self) -> asyncio.Future[None]: ...

    def refuse(self, failure: Failure, reason: str) -> None: ...

    def dial(self, offered: StreamOffered) -> Dial: ...


@dataclass(slots=True)
class _Opening:
    """A viewing on its way: what its source's side has said so far."""

    offered: asyncio.Future[StreamOffered]
    over: asyncio.Future[Ending]


class Sessions:
    """Sources, viewings and the tasks that own them. Use `async with`; leaving it ends them all."""

    def __init__(
        self,
        *,
        gate: Gate,
        sources: Sources,
        plane: DataPlane,
        media: MediaLink,
        ports: Ports,
        correlation: Callable[[], int],
    ) -> None:
        self._gate = gate
        self._sources = sources
        self._plane = plane
        self._media = media
        self._ports = ports
        self._correlation = correlation
        self._openings: dict[int, _Opening] = {}  # viewings of our uppers, by our correlation
        self._shown: dict[int, asyncio.Future[Ending]] = {}  # of the other side's, by theirs
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched: Counter[tuple[ChannelId, PlatformId]] = Counter()
        self.on_left: Callable[[ChannelId, PlatformId], None] = lambda channel, viewer: None
        """Told when a peer has no picture of a channel any more, of which it had at least one."""

    async def __aenter__(self) -> "Sessions":
        await self._sources.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sources.__aexit__(*details)

    @property
    def viewings(self) -> int:
        return len(self._openings)

    @property
    def sources(self) -> int:
        return len(self._sources)

    def show(self, wish: Wish, origin: PlatformId, guest: Guest) -> None:
        """Let a peer of this side have what it wished for, or refuse it; returns at once."""
        self._start(self._view(wish, origin, guest))

    def deliver(self, crossing: Stream) -> None:
        """Take what the other side's gate let through."""
        match crossing:
            case StreamOpen():
                self._start(self._serve(crossing))
            case StreamOffered(correlation=correlation):
                opening = self._openings.get(correlation)
                if opening is not None and not opening.offered.done():
                    opening.offered.set_result(crossing)
            case StreamEnded(correlation=correlation, failure=failure, reason=reason, rule=rule):
                ending = Ending(failure, reason or rule or failure or "ended", by="lock")
                for over in self._overs(correlation):
                    if not over.done():
                        over.set_result(ending)
            case StreamControl():
                log.warning("stream.control_unexpected", extra={"channel": str(crossing.channel)})

    def lose_beyond(self) -> None:
        """Nobody is beyond the lock any more: all that needs two sides is over."""
        overs = [opening.over for opening in self._openings.values()]
        for over in (*overs, *self._shown.values()):
            if not over.done():
                over.set_result(Ending("unavailable", "the other side is gone", by="lock"))

    def _overs(self, correlation: int) -> Iterator[asyncio.Future[Ending]]:
        opening = self._openings.get(correlation)
        if opening is not None:
            yield opening.over
        shown = self._shown.get(correlation)
        if shown is not None:
            yield shown

    async def _view(self, wish: Wish, origin: PlatformId, guest: Guest) -> None:
        """One peer's viewing, from its INVITE to its end (viewer's side)."""
        correlation = self._correlation()
        loop = asyncio.get_running_loop()
        opening = _Opening(loop.create_future(), loop.create_future())
        verdict = self._gate.send(
            StreamOpen(
                correlation=correlation,
                origin=origin,
                seconds_left=OPEN_SECONDS,
                channel=wish.channel,
                action=wish.action,
                stream_number=wish.stream_number,
                invitation=wish.invitation,
                encodings=wish.encodings,
            )
        )
        if verdict.passes is None:
            log.info(
                "viewing.refused", extra={"viewer": origin, "channel": wish.channel, "rule": verdict.rule}
            )
            guest.refuse(verdict.failure, str(verdict.reason))
            return
        self._openings[correlation] = opening
        ending = Ending(None, "stopped")
        try:
            offered = await self._offer(opening, guest)
            log.info(
                "viewing.started", extra={"viewer": origin, "channel": wish.channel, "rule": verdict.rule}
            )
            with self._watching(wish.channel, origin):
                ending = await view(
                    offered,
                    str(correlation),
                    guest.dial(offered),
                    plane=self._plane,
                    media=self._media,
                    ports=self._ports,
                    over=opening.over,
                )
        except StreamFailed as error:
            ending = Ending(error.failure, error.reason)
            guest.refuse(error.failure, error.reason)
        finally:
            log.info(
                "viewing.ended",
                extra={
                    "viewer": origin,
                    "channel": wish.channel,
                    "reason": ending.reason,
                    "failure": ending.failure,
                },
            )
            del self._openings[correlation]
            over = opening.over
            if not over.done() or over.result().by != "lock":  # the other side has not said it first
                self._end(correlation, wish, origin, ending)

    @contextmanager
    def _watching(self, channel: ChannelId, viewer: PlatformId) -> Iterator[None]:
        self._watched[channel, viewer] += 1
        try:
            yield
        finally:
            self._watched[channel, viewer] -= 1
            if not self._watched[channel, viewer]:
                del self._watched[channel, viewer]
                self.on_left(channel, viewer)

    async def _offer(self, opening: _Opening, guest: Guest) -> StreamOffered:
        async def offered() -> Ending:
            await asyncio.shield(opening.offered)
            return Ending(None, "offered")

        async def cancelled() -> Ending:
            await asyncio.shield(guest.cancelled)
            return Ending("timeout", "cancelled by the viewer")

        async def late() -> Ending:
            await asyncio.sleep(OPEN_SECONDS)
            return Ending("timeout", "no answer from below")

        ending = await first(offered(), asyncio.shield(opening.over), cancelled(), late())
        if ending.reason != "offered":
            raise StreamFailed(ending.failure or "failed", ending.reason)
        return opening.offered.result()

    async def _serve(self, opened: StreamOpen) -> None:
        """Watch a source for a viewer beyond the lock (source's side)."""
        over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._shown[opened.correlation] = over
        wish = Wish(opened.channel, opened.action, opened.stream_number, opened.invitation, opened.encodings)
        ending = Ending(None, "stopped")
        try:
            ending = await first(self._watch(wish, opened), asyncio.shield(over))
        except StreamFailed as error:
            ending = Ending(error.failure, error.reason)
        finally:
            del self._shown[opened.correlation]
            if ending.by != "lock":
                self._end(opened.correlation, wish, opened.origin, ending)

    async def _watch(self, wish: Wish, opened: StreamOpen) -> Ending:
        async with self._sources.watch(wish) as source:
            agreed = source.ready.result()
            with self._media.offering(source.stream, agreed.payload_type):
                verdict = self._gate.send(
                    StreamOffered(
                        correlation=opened.correlation,
                        origin=wish.channel.peer,
                        channel=wish.channel,
                        action=wish.action,
                        stream=source.stream,
                        payload_type=agreed.payload_type,
                        encoding=agreed.encoding,
                        description=agreed.description,
                    )
                )
                if verdict.passes is None:
                    return Ending(verdict.failure, str(verdict.reason))
                return await asyncio.shield(source.over)

    def _end(self, correlation: int, wish: Wish, origin: PlatformId, ending: Ending) -> None:
        self._gate.send(
            StreamEnded(
                correlation=correlation,
                origin=origin,
                channel=wish.channel,
                failure=ending.failure,
                reason=end_of(ending.reason),
            )
        )

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with suppress(asyncio.CancelledError):
            if error := task.exception():
                log.error("session.failed", exc_info=error)
