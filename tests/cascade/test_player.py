"""Playing a channel below: what we offer, what an answer may agree to, and how it fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Literal

import pytest

from cascade.addresses import Networks, media_objection
from cascade.errors import StreamFailed, Unacceptable
from cascade.model.ids import ChannelId, GbId, PeerName
from cascade.model.ssrc import PER_KIND, QUARANTINE_SECONDS, SsrcPool, ten_digits
from cascade.peers import LowerPeer
from cascade.placing import agree
from cascade.ports import Agreed, Leg
from cascade.sdp import MediaAnswer, read_offer, write_answer
from sip.aio.calls import Call, Incoming
from tests.cascade.ground import (
    AT_NVR,
    AT_OUTER,
    LOWER_PEER,
    NVR,
    OURS,
    OneSide,
    Peer,
    cameras,
    keepalive,
    nvr,
    page,
)
from tests.cascade.lowers import like
from tests.clock import run
from tests.sip.network import Network

CHANNEL = ChannelId(NVR, PeerName(cameras(1)[0]))
NETWORKS = Networks(["203.0.113.0/24"])
Mode = Literal["strict", "answer", "learn"]


def answer(*, host: str = "203.0.113.51", port: int = 15060, ssrc: int | None = None) -> MediaAnswer:
    return MediaAnswer(host=host, port=port, ssrc=ssrc)


@pytest.mark.parametrize(
    ("mode", "theirs", "agreed"),
    [
        ("strict", None, 100),
        ("strict", 100, 100),
        ("answer", None, 100),
        ("answer", 7, 7),
        ("answer", 0, 0),
        ("learn", None, None),
        ("learn", 7, None),
    ],
)
def test_which_number_media_must_carry(mode: Mode, theirs: int | None, agreed: int | None) -> None:
    peer = like(LOWER_PEER, ssrc=mode)
    assert agree(peer, answer(ssrc=theirs), 100, AT_NVR[0], NETWORKS).ssrc == agreed


def test_strict_takes_no_other_number() -> None:
    with pytest.raises(Unacceptable):
        agree(like(LOWER_PEER, ssrc="strict"), answer(ssrc=7), 100, AT_NVR[0], NETWORKS)


def test_an_answer_without_an_address_means_the_packet_s_own() -> None:
    assert agree(LOWER_PEER, answer(host=""), 1, AT_NVR[0], NETWORKS).host == AT_NVR[0]


@pytest.mark.parametrize(("target", "host"), [("source", AT_NVR[0]), ("203.0.113.77", "203.0.113.77")])
def test_q51_a_peer_s_switch_overrides_the_address_of_its_answer(target: str, host: str) -> None:
    peer = like(LOWER_PEER, media_target=target)
    assert agree(peer, answer(host="10.0.0.5"), 1, AT_NVR[0], NETWORKS).host == host


def test_q51_no_switch_leads_out_of_the_peer_s_networks() -> None:
    with pytest.raises(Unacceptable):
        agree(like(LOWER_PEER, media_target="192.0.2.1"), answer(), 1, AT_NVR[0], NETWORKS)


@pytest.mark.parametrize(
    ("host", "written"),
    [("address", "203.0.113.50:5060"), ("domain", "4401060000")],
    ids=["address", "domain"],
)
def test_q60_what_we_send_names_the_peer_s_address_or_its_domain(
    host: Literal["address", "domain"], written: str
) -> None:
    async def scenario(on: Stage) -> None:
        async with on.play():
            pass
        invite = on.camera.invites[0].event
        (query, _) = on.camera.peer.of("Catalog")[0]
        assert invite.uri == f"sip:{CHANNEL.name}@{written}"
        assert query.uri == f"sip:{NVR}@{written}"
        assert f"<{invite.uri}>" in (invite.header("To") or "")

    play(scenario, like(LOWER_PEER, to_host=host, domain="4401060000"))


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("198.51.100.7", 4000),
        ("127.0.0.1", 4000),
        ("0.0.0.0", 4000),
        ("255.255.255.255", 4000),
        ("224.0.0.1", 4000),
        ("169.254.1.1", 4000),
        ("::ffff:203.0.113.5", 4000),
        ("camera.example", 4000),
        ("203.0.113.51", 1023),
        ("203.0.113.51", 70_000),
    ],
)
def test_media_never_comes_from_there(host: str, port: int) -> None:
    assert media_objection(host, port, NETWORKS) is not None
    with pytest.raises(Unacceptable):
        agree(LOWER_PEER, answer(host=host, port=port), 1, AT_NVR[0], NETWORKS)


def test_what_is_never_an_address_of_media_is_not_made_one_by_wide_networks() -> None:
    everything = Networks(["0.0.0.0/0", "::/0"])
    for host in ("0.0.0.0", "::", "224.0.0.1", "169.254.1.1", "255.255.255.255", "::ffff:1.2.3.4"):
        assert media_objection(host, 4000, everything) is not None
    assert media_objection("127.0.0.1", 4000, everything) is None


def test_numbers_are_of_the_domain_and_rest_before_they_come_again() -> None:
    pool = SsrcPool(GbId("44010600002000000001"), random=Random(1))
    first = pool.take(0.0)
    assert first is not None
    rest = [pool.take(0.0) or -1 for _ in range(PER_KIND - 1)]
    assert {ten_digits(number) for number in (first, *rest)} == {
        f"010600{serial:04d}" for serial in range(PER_KIND)
    }
    assert sum(later - former == 1 for former, later in pairwise(rest)) < 10  # nobody can count on
    assert pool.take(0.0) is None
    pool.give_back(first, 5.0)
    assert pool.take(5.0 + QUARANTINE_SECONDS - 0.1) is None
    assert pool.take(5.0 + QUARANTINE_SECONDS) == first


def test_history_has_numbers_of_its_own() -> None:
    number = SsrcPool(GbId("44010600002000000001"), random=Random(1), history=True).take(0.0)
    assert ten_digits(number or 0).startswith("110600")


@dataclass
class Camera:
    """The device's end of INVITEs: it answers as it is told and holds the call until told."""

    peer: Peer
    invites: list[Incoming] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    status: int = 200
    answer: MediaAnswer = field(default_factory=lambda: answer(host=AT_NVR[0]))
    silent: bool = False
    hang_up: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.peer.calls.on_invite = self._invited

    def _invited(self, incoming: Incoming) -> None:
        self.invites.append(incoming)
        if self.silent:
            return
        if self.status != 200:
            incoming.refuse(self.status)
            return
        task = asyncio.create_task(self._talk(incoming))
        self.tasks.add(task)

    async def _talk(self, incoming: Incoming) -> None:
        async with incoming.accept(write_answer(self.answer, user=incoming.event.uri_user)) as call:
            self.calls.append(call)
            hung_up = asyncio.create_task(self.hang_up.wait())
            over: list[asyncio.Task[Literal[True]] | asyncio.Future[str]] = [hung_up, call.ended]
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
            hung_up.cancel()


@dataclass
class Stage:
    network: Network
    side: OneSide
    camera: Camera
    expected: list[Agreed] = field(default_factory=list)

    def play(self, channel: ChannelId = CHANNEL) -> AbstractAsyncContextManager[Leg]:
        return self.side.upper.play(channel, stream_number=0, port=30_000, expect=self.expected.append)

    async def fails(self, channel: ChannelId = CHANNEL) -> str:
        with pytest.raises(StreamFailed) as caught:
            async with self.play(channel):
                pass
        return caught.value.failure


@asynccontextmanager
async def stage(peer: LowerPeer = LOWER_PEER) -> AsyncIterator[Stage]:
    network = Network(asyncio.get_running_loop(), 3)
    side = OneSide(network, AT_OUTER, lowers=[peer], passwords={NVR: "down"})
    camera = Camera(nvr(network))
    async with AsyncExitStack() as held:
        task = asyncio.create_task(side.run())
        held.callback(task.cancel)
        await camera.peer.register("down")
        await asyncio.sleep(0.1)
        _, head = camera.peer.of("Catalog")[0]
        await camera.peer.tell(page(head.sn, 1, cameras(1)))
        await asyncio.sleep(0.1)
        yield Stage(network, side, camera)
        await asyncio.sleep(0.1)
        assert (side.calls.active, camera.peer.calls.active, side.upper.legs) == (0, 0, 0)


def play(scenario: Callable[[Stage], Awaitable[None]], peer: LowerPeer = LOWER_PEER) -> None:
    async def whole() -> None:
        async with stage(peer) as on:
            await scenario(on)

    run(whole())


def test_an_offer_is_complete_and_the_answer_is_known_before_our_ack() -> None:
    async def scenario(on: Stage) -> None:
        order: list[str] = []
        on.network.taps.append(
            lambda at, payload, source, destination, arrives: order.append(payload.split(b" ")[0].decode())
        )
        expect = on.side.upper.play(
            CHANNEL, stream_number=1, port=30_000, expect=lambda agreed: order.append("expect")
        )
        async with expect as leg:
            await leg.confirmed()
            assert leg.agreed.host == AT_NVR[0]
            event = on.camera.invites[0].event
            offer = read_offer(event.body)
            assert (offer.host, offer.port, offer.stream_number) == (AT_OUTER[0], 30_000, 1)
            assert offer.ssrc is not None
            assert event.uri == f"sip:{CHANNEL.name}@203.0.113.50:5060"
            assert event.header("Subject") == f"{CHANNEL.name}:{ten_digits(offer.ssrc)},{OURS}:0"
            assert event.contact == f"sip:{OURS}@203.0.113.20:5060"
            assert f"o={OURS} 0 0 IN IP4 {AT_OUTER[0]}".encode() in event.body
            assert order.index("expect") < order.index("ACK")
            assert leg.agreed.ssrc == offer.ssrc
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
        assert on.camera.calls[0].ended.result() == "bye"

    play(scenario)


def test_the_reason_of_our_bye_is_the_one_we_gave() -> None:
    async def scenario(on: Stage) -> None:
        async with on.play() as leg:
            leg.because("no-media", "no media within 10 s")
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
        bye = on.camera.calls[0].ended_by
        assert bye is not None
        assert bye.header("Reason") == 'SIP;cause=504;text="no media within 10 s"'

    play(scenario)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (404, "not-found"),
        (480, "offline"),
        (486, "busy"),
        (600, "busy"),
        (488, "unacceptable"),
        (403, "refused"),
        (408, "timeout"),
        (500, "failed"),
    ],
)
def test_a_refusal_below_keeps_its_class(status: int, failure: str) -> None:
    async def scenario(on: Stage) -> None:
        on.camera.status = status
        assert await on.fails() == failure

    play(scenario)


def test_no_answer_is_cancelled_after_fifteen_seconds() -> None:
    async def scenario(on: Stage) -> None:
        on.camera.silent = True
        start = on.network.loop.time()
        assert await on.fails() == "timeout"
        assert on.network.loop.time() - start == pytest.approx(15.0)
        await asyncio.sleep(0.1)
        assert on.camera.invites[0].cancelled.done()

    play(scenario)


def test_an_answer_that_cannot_be_used_is_acknowledged_and_ended() -> None:
    async def scenario(on: Stage) -> None:
        on.camera.answer = answer(host="192.0.2.66")
        assert await on.fails() == "unacceptable"
        await asyncio.sleep(0.1)
        assert on.expected == []
        call = on.camera.calls[0]
        assert call.acknowledged.done()
        assert call.ended_by is not None
        assert "cause=488" in (call.ended_by.header("Reason") or "")

    play(scenario)


def test_a_leg_ends_when_the_camera_hangs_up() -> None:
    async def scenario(on: Stage) -> None:
        async with on.play() as leg:
            asyncio.get_running_loop().call_later(5.0, on.camera.hang_up.set)
            assert await leg.ended() == "bye"

    play(scenario)


def test_a_leg_ends_when_its_peer_goes_silent_or_moves_away() -> None:
    async def scenario(on: Stage) -> None:
        async with on.play() as leg:
            assert await leg.ended() == "peer offline"
            assert not on.side.upper.online(NVR)
        await on.camera.peer.register("down")
        await on.camera.peer.tell(keepalive(NVR))
        async with on.play() as leg:
            moved = nvr(on.network, ("203.0.113.60", 5060))
            await moved.register("down")
            assert await leg.ended() == "peer moved"

    play(scenario)


def test_what_is_not_in_the_catalog_or_not_registered_is_not_invited() -> None:
    async def scenario(on: Stage) -> None:
        assert await on.fails(ChannelId(NVR, PeerName("unknown"))) == "not-found"
        await on.camera.peer.register("down", expires=0)
        assert await on.fails() == "offline"
        assert on.camera.invites == []

    play(scenario)
