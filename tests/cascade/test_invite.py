"""What an INVITE from above wishes for, and what it gets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.accepting import Refusal, Wish
from cascade.addresses import Networks
from cascade.as_lower.invite import decide
from cascade.crossing import CatalogBatch, StreamOffered
from cascade.errors import StreamFailed
from cascade.model.ids import ChannelId, PeerName
from cascade.model.index import Rows
from cascade.sdp import MediaAnswer, MediaOffer, Payload, read_answer, write_offer
from sip._native import parse
from sip.aio.calls import Call, Incoming
from sip.endpoint import Party
from sip.events import Event
from tests.cascade.ground import AT_INNER, NVR, OURS, UPPER, UPPER_PEER, OneSide, Peer, cameras, upper
from tests.clock import run
from tests.sip.network import Network

NAME = cameras(1)[0]
CHANNEL = ChannelId(NVR, PeerName(NAME))
NETWORKS = Networks(["198.51.100.0/24"])
OFFER = MediaOffer(host="198.51.100.11", port=40_000, ssrc=7)


def resolve(shown: str) -> ChannelId | None:
    return CHANNEL if shown == NAME else None


def event(
    *,
    uri: str = OURS,
    to: str = OURS,
    subject: str | None = None,
    body: bytes | None = None,
    offer: MediaOffer = OFFER,
) -> Event:
    body = write_offer(offer, user=UPPER) if body is None else body
    lines = [
        f"INVITE sip:{uri}@198.51.100.20:5060 SIP/2.0",
        "Via: SIP/2.0/UDP 198.51.100.10:5060;rport;branch=z9hG4bKq1",
        f"From: <sip:{UPPER}@4400000000>;tag=q1",
        f"To: <sip:{to}@4401000000>",
        "Call-ID: c-900@198.51.100.10",
        "CSeq: 1 INVITE",
        f"Contact: <sip:{UPPER}@198.51.100.10:5060>",
        *([f"Subject: {subject}"] if subject is not None else []),
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return parse("\r\n".join(lines).encode() + body)


def decided(asked: Event) -> Wish | Refusal:
    return decide(asked, UPPER, resolve, NETWORKS)


@pytest.mark.parametrize(
    "asked",
    [
        event(uri=NAME),
        event(subject=f"{NAME}:0000000007,{UPPER}:0"),
        event(offer=MediaOffer(host="198.51.100.11", port=40_000, ssrc=7, uri=f"{NAME}:0")),
        event(to=NAME),
        event(uri="34020000001320000009", subject="nonsense", to=NAME),
    ],
)
def test_the_channel_is_found_wherever_it_stands(asked: Event) -> None:
    wish = decided(asked)
    assert isinstance(wish, Wish)
    assert (wish.channel, wish.action, wish.stream_number, wish.peer) == (CHANNEL, "media.live", 0, UPPER)
    assert (wish.offer.host, wish.offer.port, wish.offer.ssrc) == ("198.51.100.11", 40_000, 7)


def test_a_sub_stream_is_a_wish_of_its_own() -> None:
    wish = decided(event(uri=NAME, offer=MediaOffer(host="198.51.100.11", port=40_000, stream_number=1)))
    assert isinstance(wish, Wish)
    assert wish.stream_number == 1
    assert wish.offer.ssrc is None


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (event(), 404),
        (event(uri="44010600001320000002"), 404),
        (event(uri="44010600001320000002", body=b"no sdp at all"), 404),
        (event(uri=NAME, body=b""), 488),
        (event(uri=NAME, body=b"v=0\r\nnonsense\r\n"), 488),
        (event(uri=NAME, body=write_offer(OFFER, user=UPPER).replace(b"RTP/AVP", b"TCP/RTP/AVP")), 488),
        (event(uri=NAME, offer=MediaOffer(host="198.51.100.11", port=40_000, session_name="Playback")), 488),
        (event(uri=NAME, offer=MediaOffer(host="198.51.100.11", port=40_000, session_name="Talk")), 488),
        (event(uri=NAME, offer=MediaOffer(host="203.0.113.50", port=40_000)), 488),
        (event(uri=NAME, offer=MediaOffer(host="127.0.0.1", port=40_000)), 488),
        (event(uri=NAME, offer=MediaOffer(host="198.51.100.11", port=22)), 488),
    ],
)
def test_what_gets_nothing_gets_its_status(asked: Event, status: int) -> None:
    refusal = decided(asked)
    assert isinstance(refusal, Refusal)
    assert refusal.status == status
    headers = refusal.headers("198.51.100.20")
    assert (headers == []) is (status == 404)  # why something is not shared is nobody's business


def test_q51_a_switch_overrides_the_address_of_the_offer() -> None:
    asked = event(uri=NAME, offer=MediaOffer(host="10.0.0.5", port=40_000))
    assert isinstance(decide(asked, UPPER, resolve, NETWORKS), Refusal)
    wish = decide(asked, UPPER, resolve, NETWORKS, "198.51.100.77")
    assert isinstance(wish, Wish)
    assert wish.offer.host == "198.51.100.77"


@given(
    st.binary(max_size=400) | st.binary(max_size=60).map(lambda tail: write_offer(OFFER, user=UPPER) + tail)
)
def test_any_body_is_a_wish_or_a_refusal(body: bytes) -> None:
    assert isinstance(decided(event(uri=NAME, body=body)), Wish | Refusal)


@dataclass
class Stage:
    network: Network
    side: OneSide
    upper: Peer
    incoming: "asyncio.Queue[Incoming]"

    @asynccontextmanager
    async def invited(
        self, offer: MediaOffer = OFFER
    ) -> AsyncIterator[tuple[Incoming, "asyncio.Task[Call]"]]:
        """An INVITE of the upper on its way; the task brings its acknowledged call."""
        endpoint = self.upper.endpoint
        invite = endpoint.request(
            "INVITE",
            Party(NAME, "198.51.100.20"),
            AT_INNER,
            body=write_offer(offer, user=UPPER),
            content_type="application/sdp",
        )
        async with AsyncExitStack() as held:

            async def place() -> Call:
                call = await held.enter_async_context(self.upper.calls.place(invite))
                call.ack()
                return call

            task = asyncio.create_task(place())
            yield await self.incoming.get(), task
            await asyncio.gather(task, return_exceptions=True)

    def wish(self, incoming: Incoming) -> Wish:
        wish = self.side.lower.wish(incoming.event)
        assert isinstance(wish, Wish)
        return wish


OFFERED = StreamOffered(
    correlation=1,
    origin=NVR,
    channel=CHANNEL,
    action="media.live",
    stream="s1",
    payload_type=97,
    encoding="PS/90000",
    description="v/2/6/25/1/4096a///",
)


def play(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def whole() -> None:
        network = Network(asyncio.get_running_loop(), 3)
        side = OneSide(network, AT_INNER, uppers=[UPPER_PEER], passwords={UPPER: "up"})
        rows = Rows.build([{"id": NAME, "name": "Gate", "status": "ON"}])
        side.deliver(CatalogBatch(correlation=1, origin=NVR, change="present", rows=rows))
        incoming: asyncio.Queue[Incoming] = asyncio.Queue()
        side.calls.on_invite = incoming.put_nowait
        await scenario(Stage(network, side, upper(network), incoming))
        await asyncio.sleep(1.0)
        assert (side.calls.active, side.lower.legs) == (0, 0)

    run(whole())


@pytest.mark.parametrize("theirs", [7, None])
def test_an_accepted_leg_promises_our_address_and_the_upper_s_number(theirs: int | None) -> None:
    async def scenario(on: Stage) -> None:
        offer = MediaOffer(host="198.51.100.11", port=40_000, ssrc=theirs)
        async with on.invited(offer) as (incoming, placed):
            wish = on.wish(incoming)
            async with on.side.lower.acceptor.accept(incoming, wish, port=31_000, offered=OFFERED) as leg:
                await leg.confirmed()
                answer = read_answer((await placed).event.body)
                assert leg.agreed.ssrc == answer.ssrc
                assert answer.ssrc == theirs if theirs is not None else answer.ssrc is not None
                assert answer == MediaAnswer(
                    host=AT_INNER[0],
                    port=31_000,
                    ssrc=leg.agreed.ssrc,
                    payload_type=96,
                    description="v/2/6/25/1/4096a///",
                )
                assert (leg.agreed.host, leg.agreed.port, leg.agreed.payload_type) == (
                    "198.51.100.11",
                    40_000,
                    96,
                )
                leg.because("no-media", "gone")
            await asyncio.sleep(0.1)
            bye = (await placed).ended_by
            assert bye is not None
            assert "cause=504" in (bye.header("Reason") or "")

    play(scenario)


def test_an_upper_that_does_not_take_the_format_gets_no_leg() -> None:
    async def scenario(on: Stage) -> None:
        offer = MediaOffer(host="198.51.100.11", port=40_000, payloads=(Payload(98, "H264/90000"),))
        async with on.invited(offer) as (incoming, _):
            with pytest.raises(StreamFailed) as caught:
                async with on.side.lower.acceptor.accept(
                    incoming, on.wish(incoming), port=31_000, offered=OFFERED
                ):
                    pass
            assert caught.value.failure == "unacceptable"
            incoming.refuse(488)

    play(scenario)


def test_an_upper_that_cancelled_gets_no_leg() -> None:
    async def scenario(on: Stage) -> None:
        async with on.invited() as (incoming, placed):
            placed.cancel()
            await incoming.cancelled
            with pytest.raises(StreamFailed):
                async with on.side.lower.acceptor.accept(
                    incoming, on.wish(incoming), port=31_000, offered=OFFERED
                ):
                    pass

    play(scenario)


def test_an_upper_that_never_acknowledges_ends_the_leg() -> None:
    async def scenario(on: Stage) -> None:
        on.network.drop = lambda payload, source, destination: payload.startswith(b"ACK")
        async with on.invited() as (incoming, _):
            async with on.side.lower.acceptor.accept(
                incoming, on.wish(incoming), port=31_000, offered=OFFERED
            ) as leg:
                with pytest.raises(StreamFailed):
                    await leg.confirmed()
                assert on.network.loop.time() == pytest.approx(32.0, abs=1.0)
                assert await leg.ended() == "no ACK"
            on.network.drop = lambda payload, source, destination: False

    play(scenario)


def test_a_stranger_s_invite_is_no_wish() -> None:
    async def scenario(on: Stage) -> None:
        stranger = Peer(on.network, UPPER, ("192.0.2.9", 5060), on.upper.server, AT_INNER)
        on.upper = stranger
        async with on.invited() as (incoming, _):
            refusal = on.side.lower.wish(incoming.event)
            assert isinstance(refusal, Refusal)
            assert refusal.status == 403
            incoming.refuse(refusal.status)

    play(scenario)
