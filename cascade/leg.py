"""A SIP call as a leg of a media session, and all legs of one face by their peer."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from cascade.crossing import Failure
from cascade.errors import StreamFailed
from cascade.model.ids import PlatformId
from cascade.ports import Agreed
from cascade.status import FAILURE_STATUS
from sip.aio.calls import Call
from sip.headers.reason import reason


class CallLeg:
    """One dialog with media. It is over by BYE, or when its peer is lost (`lose`)."""

    def __init__(self, call: Call, agreed: Agreed) -> None:
        self.agreed = agreed
        self._call = call
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def confirmed(self) -> None:
        """Return once the ACK was sent (placed) or seen (accepted).

        Raises:
            StreamFailed: the other end never confirmed.
        """
        acknowledged = self._call.acknowledged
        over: list[asyncio.Future[None] | asyncio.Future[str]] = [acknowledged, self._lost]
        await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        if not acknowledged.done() or acknowledged.exception() is not None:
            raise StreamFailed("timeout", await self.ended())

    async def ended(self) -> str:
        """Wait until the other end is over; return why."""
        await asyncio.wait({self._call.ended, self._lost}, return_when=asyncio.FIRST_COMPLETED)
        return self._lost.result() if self._lost.done() else self._call.ended.result()

    def because(self, failure: Failure, text: str) -> None:
        """Say why we end: the Reason header (RFC 3326) of our BYE."""
        self._call.reason = reason(FAILURE_STATUS[failure], text)

    def lose(self, reason: str) -> None:
        """Its peer is gone: whoever waits for the end hears it now."""
        if not self._lost.done():
            self._lost.set_result(reason)


class Legs:
    """The legs of one face, so that a peer that is lost takes its own with it."""

    def __init__(self) -> None:
        self._legs: dict[PlatformId, set[CallLeg]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._legs.values()))

    @contextmanager
    def held(self, peer: PlatformId, leg: CallLeg) -> Iterator[CallLeg]:
        mine = self._legs.setdefault(peer, set())
        mine.add(leg)
        try:
            yield leg
        finally:
            mine.discard(leg)
            if not mine:
                self._legs.pop(peer, None)

    def lose(self, peer: PlatformId, reason: str) -> None:
        """End every leg of `peer`."""
        for leg in list(self._legs.get(peer, ())):
            leg.lose(reason)
