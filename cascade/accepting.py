"""Accepting a leg: what an INVITE wishes for, our 200, and media that goes out (9.2, 5.5).

Of an upper for a picture, of a lower for a voice: whoever invites us gets media from us.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Final

from cascade.addresses import Networks, media_host, media_objection
from cascade.crossing import LIVE, Encoding, StreamOffered
from cascade.errors import StreamFailed
from cascade.leg import CallLeg, LegMemo, Legs, numbered
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.ssrc import SsrcPool
from cascade.ports import Agreed, Leg, Store
from cascade.sdp import VOICE_FORMAT, Kind, MediaAnswer, MediaOffer, read_offer, write_answer
from sip.aio.calls import Incoming
from sip.errors import InviteOver, PeerError
from sip.events import Event

SDP: Final = "application/sdp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`peer` wants media of (or for) `channel`; it goes where `offer` says, which was checked."""

    channel: ChannelId
    peer: PlatformId
    offer: MediaOffer
    shown: str  # the id under which it asked; also the user of our answer's o=
    action: str = LIVE
    stream_number: int = 0
    invitation: int = 0  # the question that this answers, see `StreamOpen`
    encodings: tuple[Encoding, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """`status` answers the INVITE. `reason` is for our log; `said` is what the peer may read of it."""

    status: int
    reason: str
    said: str = ""

    def headers(self, host: str) -> list[tuple[str, str]]:
        """What a 415 must say, and a Warning (RFC 3261 20.43) of ours at `host` if there is one (Q110)."""
        accept = [("Accept", SDP)] if self.status == 415 else []
        return [*accept, ("Warning", f'399 {host} "{self.said}"')] if self.said else accept


def offer_of(event: Event, kind: Kind) -> MediaOffer | Refusal:
    """The offer of an INVITE as it is written; whether media may go there is `checked`'s business."""
    if event.content_type not in ("", SDP):
        return Refusal(415, f"an INVITE with {event.content_type[:64]}", "an offer is application/sdp")
    if not event.body.strip():
        return Refusal(488, "an INVITE without SDP", "an offer is needed")
    try:
        return read_offer(event.body, kind=kind)
    except PeerError as error:
        return Refusal(error.status, str(error), "this session description cannot be served")


def checked(event: Event, offer: MediaOffer, networks: Networks, target: str = "sdp") -> MediaOffer | Refusal:
    """The offer with the address that counts, or why nothing can be sent there.

    `networks` are those that the peer's media may be sent to, `target` its `media_target`.
    """
    if offer.session_name.lower() != "play":
        return Refusal(488, f"s={offer.session_name[:16]}", "only s=Play is offered here")
    offer = replace(offer, host=media_host(target, offer.host, event.source[0]))
    objection = media_objection(offer.host, offer.port, networks)
    if objection is not None:
        return Refusal(488, objection, "media may not go to that address")
    return offer


@dataclass(slots=True)
class Acceptor:
    """Accepts the legs of one face that take media from `media_address`."""

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

        `leg.agreed` is where media goes and under which number: the peer's y, or one of our domain
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
            description = offered.description or (VOICE_FORMAT if offer.kind == "audio" else "")
            answer = MediaAnswer(
                host=self.media_address,
                port=port,
                ssrc=ssrc,
                payload_type=payload_type,
                encoding=offered.encoding,
                description=description,
                kind=offer.kind,
            )
            agreed = Agreed(
                host=offer.host,
                port=offer.port,
                ssrc=ssrc,
                payload_type=payload_type,
                encoding=offered.encoding,
                description=description,
            )
            async with AsyncExitStack() as held:
                try:
                    call = await held.enter_async_context(
                        incoming.accept(
                            write_answer(answer, user=wish.shown),
                            memo=LegMemo(self.store, wish.peer, port),
                        )
                    )
                except InviteOver as error:
                    raise StreamFailed("timeout", str(error)) from None
                yield held.enter_context(self.legs.held(wish.peer, CallLeg(call, agreed)))
