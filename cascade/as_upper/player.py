"""Playing a channel below: our INVITE, what its answer agreed to, our ACK (GB/T 28181-2016 9.2, 5.5)."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from cascade.addresses import Networks, media_objection
from cascade.errors import StreamFailed, Unacceptable
from cascade.leg import CallLeg, LegMemo, Legs, numbered
from cascade.model.ids import ChannelId
from cascade.model.ssrc import SsrcPool, ten_digits
from cascade.peers import LowerPeer, Us
from cascade.ports import Agreed, Leg, Store
from cascade.sdp import MediaAnswer, MediaOffer, read_answer, write_offer
from cascade.status import FAILURE_STATUS, failure_of
from sip.aio.calls import Call, Calls
from sip.endpoint import Endpoint, Outgoing, Party
from sip.errors import Declined, PeerError, TransactionTimeout, TransportFailed
from sip.events import Address
from sip.headers.reason import reason
from sip.uri import host_port

STILL_HELD: Final = frozenset({486, 487, 500})
"""What devices answer that have not noticed the end of our last session."""

PARTING_SECONDS: Final = 3.0
"""How long a refused viewer waits for that session's end: three repeats of our BYE."""


def agree(peer: LowerPeer, answer: MediaAnswer, ours: int, source: str, networks: Networks) -> Agreed:
    """What media of this session must look like (5.5: the peer's `ssrc` decides which number counts).

    Raises:
        Unacceptable: an address outside the peer's networks, or an SSRC that `strict` forbids.
    """
    host = answer.host or source  # Q51: no address in the answer is the packet's own
    objection = media_objection(host, answer.port, networks)
    if objection is not None:
        raise Unacceptable(objection)
    if peer.ssrc == "strict" and answer.ssrc not in (None, ours):
        raise Unacceptable(f"y={answer.ssrc} instead of ours")
    ssrc: int | None = ours
    if peer.ssrc == "learn":
        ssrc = None
    elif peer.ssrc == "answer" and answer.ssrc is not None:
        ssrc = answer.ssrc
    return Agreed(
        host=host,
        port=answer.port,
        ssrc=ssrc,
        payload_type=answer.payload_type,
        encoding=answer.encoding,
        description=answer.description,
    )


@dataclass(slots=True)
class Player:
    """Places the legs that bring media from those below us."""

    us: Us
    endpoint: Endpoint
    calls: Calls
    pool: SsrcPool
    media_address: str
    legs: Legs
    store: Store
    time: Callable[[], float]

    @asynccontextmanager
    async def play(
        self,
        peer: LowerPeer,
        at: Address,
        channel: ChannelId,
        *,
        networks: Networks,
        stream_number: int,
        port: int,
        expect: Callable[[Agreed], None],
    ) -> AsyncIterator[Leg]:
        """Hold a leg that sends media of `channel` to our `port`. BYE when this ends.

        `expect` is told what was agreed before our ACK leaves, so that nothing of it is missed (Q48,
        Q64). An answer that can't be used is acknowledged and then ended, as every 2xx must be.

        Raises:
            StreamFailed: no leg; `failure` says of what kind.
        """
        async with AsyncExitStack() as held:
            ours = held.enter_context(numbered(self.pool, self.time))
            call = await held.enter_async_context(self._placed(peer, at, channel, stream_number, port, ours))
            try:
                agreed = agree(peer, read_answer(call.event.body), ours, call.event.source[0], networks)
            except PeerError as error:
                call.reason = reason(FAILURE_STATUS["unacceptable"], str(error))
                raise StreamFailed("unacceptable", str(error)) from None
            expect(agreed)
            call.ack()
            yield held.enter_context(self.legs.held(peer.id, CallLeg(call, agreed)))

    @asynccontextmanager
    async def _placed(
        self, peer: LowerPeer, at: Address, channel: ChannelId, stream_number: int, port: int, ours: int
    ) -> AsyncIterator[Call]:
        """Hold a call that was answered with 2xx and is not acknowledged; leaving does that, then BYE.

        A peer that still holds a session which we are ending is asked once more after that (Q62).
        """

        def placing() -> AbstractAsyncContextManager[Call]:
            return self.calls.place(
                self._invite(at, channel, stream_number, port, ours),
                answer_seconds=peer.invite_seconds,
                memo=LegMemo(self.store, peer.id, port),
            )

        async with AsyncExitStack() as held:
            try:
                try:
                    call = await held.enter_async_context(placing())
                except Declined as error:
                    if error.status not in STILL_HELD or not await self.calls.settled(
                        at, seconds=PARTING_SECONDS
                    ):
                        raise
                    call = await held.enter_async_context(placing())
            except Declined as error:
                words = error.warning or error.reason  # Q110: what the peer says about it
                raise StreamFailed(failure_of(error.status), f"{error.status} {words}".rstrip()) from None
            except TransactionTimeout:
                raise StreamFailed("timeout", f"no answer within {peer.invite_seconds:g} s") from None
            except TransportFailed as error:
                raise StreamFailed("offline", str(error)) from None
            yield call

    def _invite(self, at: Address, channel: ChannelId, stream_number: int, port: int, ours: int) -> Outgoing:
        offer = MediaOffer(host=self.media_address, port=port, ssrc=ours, stream_number=stream_number)
        subject = f"{channel.name}:{ten_digits(ours)},{self.us.id}:0"
        return self.endpoint.request(
            "INVITE",
            Party(channel.name, host_port(*at)),  # Q60: at its address, not at our realm
            at,
            headers=[("Subject", subject), ("Allow", self.endpoint.allow)],
            body=write_offer(offer, user=str(self.us.id)),
            content_type="application/sdp",
        )
