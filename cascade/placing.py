"""Placing a leg: our INVITE, what its answer agreed to, our ACK (GB/T 28181-2016 9.2, 5.5).

Down for a picture, up for a voice: whoever is invited sends media to us.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from cascade.addresses import Networks, media_host, media_objection
from cascade.deviations import Deviation
from cascade.errors import StreamFailed, Unacceptable
from cascade.leg import CallLeg, LegMemo, Legs, numbered
from cascade.model.ids import PlatformId
from cascade.model.ssrc import SsrcPool, ten_digits
from cascade.peers import LowerPeer, UpperPeer, Us
from cascade.ports import Agreed, Leg, Store
from cascade.sdp import OFFERED, Kind, MediaAnswer, MediaOffer, Payload, read_answer, write_offer
from cascade.status import FAILURE_STATUS, failure_of
from sip.aio.calls import Call, Calls
from sip.endpoint import Endpoint, Outgoing, Party
from sip.errors import Declined, MalformedMessage, PeerError, TransactionTimeout, TransportFailed
from sip.events import Address, Event
from sip.headers.reason import reason
from sip.uri import parse_uri

STILL_HELD: Final = frozenset({486, 487, 500})
"""What devices answer that have not noticed the end of our last session."""

PARTING_SECONDS: Final = 3.0
"""How long a refused viewer waits for that session's end: three repeats of our BYE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Whom we invite to send, where it is, and what we would take from it."""

    peer: LowerPeer | UpperPeer
    at: Address
    to: Party  # Request-URI and To
    sender: str  # the id whose media it is, for the Subject
    receiver: str  # and the one it is for
    networks: Networks  # where its media may come from
    kind: Kind = "video"
    payloads: tuple[Payload, ...] = field(default=OFFERED)
    stream_number: int = 0
    description: str = ""  # f=


def odd_in(event: Event, answer: MediaAnswer, ours: int) -> Iterator[Deviation]:
    """What in a 2xx to our INVITE is put up with (Q47-Q49, Q52, Q53)."""
    if answer.ssrc is None:
        yield "no-y"
    elif answer.ssrc == 0:
        yield "zero-y"
    elif answer.ssrc != ours:
        yield "other-y"
    if event.contact is None:
        yield "no-contact"
    elif _host_of(event.contact) != event.source[0]:
        yield "contact-elsewhere"
    if not event.body.endswith(b"\r\n"):
        yield "line-ends"


def _host_of(contact: str) -> str:
    try:
        return parse_uri(contact).host
    except MalformedMessage:
        return ""


def agree(
    peer: LowerPeer | UpperPeer, answer: MediaAnswer, ours: int, source: str, networks: Networks
) -> Agreed:
    """What media of this session must look like (5.5: the peer's `ssrc` decides which number counts).

    Raises:
        Unacceptable: an address outside the peer's networks, or an SSRC that `strict` forbids.
    """
    host = media_host(peer.media_target, answer.host, source)
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
class Placer:
    """Places the legs of one face that bring media to `media_address`."""

    us: Us
    endpoint: Endpoint
    calls: Calls
    pool: SsrcPool
    media_address: str
    legs: Legs
    store: Store
    time: Callable[[], float]
    deviates: Callable[[PlatformId, Deviation], None] = lambda peer, kind: None

    @asynccontextmanager
    async def place(
        self, invitation: Invitation, *, port: int, expect: Callable[[Agreed], None]
    ) -> AsyncIterator[Leg]:
        """Hold a leg that sends media to our `port`. BYE when this ends.

        `expect` is told what was agreed before our ACK leaves, so that nothing of it is missed (Q48,
        Q64). An answer that can't be used is acknowledged and then ended, as every 2xx must be.

        Raises:
            StreamFailed: no leg; `failure` says of what kind.
        """
        peer, networks = invitation.peer, invitation.networks
        async with AsyncExitStack() as held:
            ours = held.enter_context(numbered(self.pool, self.time))
            call = await held.enter_async_context(self._placed(invitation, port, ours))
            try:
                answer = read_answer(call.event.body, kind=invitation.kind)
                for kind in odd_in(call.event, answer, ours):
                    self.deviates(peer.id, kind)
                agreed = agree(peer, answer, ours, call.event.source[0], networks)
            except PeerError as error:
                call.reason = reason(FAILURE_STATUS["unacceptable"], str(error))
                raise StreamFailed("unacceptable", str(error)) from None
            expect(agreed)
            call.ack()
            yield held.enter_context(self.legs.held(peer.id, CallLeg(call, agreed)))

    @asynccontextmanager
    async def _placed(self, invitation: Invitation, port: int, ours: int) -> AsyncIterator[Call]:
        """Hold a call that was answered with 2xx and is not acknowledged; leaving does that, then BYE.

        A peer that still holds a session which we are ending is asked once more after that (Q62).
        """
        peer = invitation.peer

        def placing() -> AbstractAsyncContextManager[Call]:
            return self.calls.place(
                self._invite(invitation, port, ours),
                answer_seconds=peer.invite_seconds,
                memo=LegMemo(self.store, peer.id, port),
            )

        async with AsyncExitStack() as held:
            try:
                try:
                    call = await held.enter_async_context(placing())
                except Declined as error:
                    if error.status not in STILL_HELD or not await self.calls.settled(
                        invitation.at, seconds=PARTING_SECONDS
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

    def _invite(self, invitation: Invitation, port: int, ours: int) -> Outgoing:
        offer = MediaOffer(
            host=self.media_address,
            port=port,
            ssrc=ours,
            kind=invitation.kind,
            payloads=invitation.payloads,
            stream_number=invitation.stream_number,
            description=invitation.description,
        )
        subject = f"{invitation.sender}:{ten_digits(ours)},{invitation.receiver}:0"
        return self.endpoint.request(
            "INVITE",
            invitation.to,
            invitation.at,
            headers=[("Subject", subject), ("Allow", self.endpoint.allow)],
            body=write_offer(offer, user=str(self.us.id)),
            content_type="application/sdp",
        )
