"""Accepting an upper's INVITE: our 200, and a leg that takes media from us (9.2, 5.5)."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass

from cascade.as_lower.invite import Wish
from cascade.crossing import StreamOffered
from cascade.errors import StreamFailed
from cascade.leg import CallLeg, LegMemo, Legs, numbered
from cascade.model.ssrc import SsrcPool
from cascade.ports import Agreed, Leg, Store
from cascade.sdp import MediaAnswer, write_answer
from sip.aio.calls import Incoming
from sip.errors import InviteOver


@dataclass(slots=True)
class Acceptor:
    """Accepts the legs that take media to those above us, from `media_address`."""

    media_address: str
    pool: SsrcPool
    legs: Legs
    store: Store
    time: Callable[[], float]

    @asynccontextmanager
    async def accept(
        self, incoming: Incoming, wish: Wish, *, port: int, offered: StreamOffered
    ) -> AsyncIterator[Leg]:
        """Hold a leg that takes media from our `port`: 200 on entry, BYE when this ends.

        `leg.agreed` is where media goes and under which number: the upper's y, or one of our domain
        where it gave none (5.5).

        Raises:
            StreamFailed: its SDP does not take what the source sends, or the INVITE is over.
        """
        offer = wish.offer
        payload_type = offer.payload_type_of(offered.encoding)
        if payload_type is None:
            raise StreamFailed("unacceptable", f"{offered.encoding} is not among what was offered")
        ours = numbered(self.pool, self.time)
        with nullcontext(offer.ssrc) if offer.ssrc is not None else ours as ssrc:
            answer = MediaAnswer(
                host=self.media_address,
                port=port,
                ssrc=ssrc,
                payload_type=payload_type,
                encoding=offered.encoding,
                description=offered.description,
            )
            agreed = Agreed(
                host=offer.host,
                port=offer.port,
                ssrc=ssrc,
                payload_type=payload_type,
                encoding=offered.encoding,
                description=offered.description,
            )
            async with AsyncExitStack() as held:
                try:
                    call = await held.enter_async_context(
                        incoming.accept(
                            write_answer(answer, user=wish.shown),
                            memo=LegMemo(self.store, wish.upper, port),
                        )
                    )
                except InviteOver as error:
                    raise StreamFailed("timeout", str(error)) from None
                yield held.enter_context(self.legs.held(wish.upper, CallLeg(call, agreed)))
