"""Descriptions of media that lie, aim elsewhere, or are only odd: answers from below, offers from above."""

import asyncio

import pytest

from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.bodies import CAMERAS, HAND_LOWER, HAND_UPPER, answer, offer
from tests.gateway.by_hand import HandLower, Heard, above, below
from tests.gateway.packets import Watcher, stream
from tests.gateway.world import INNER, LOWER_ID, OUTER, UPPER, UPPER_ID, Link, World, text

FOREIGN = [
    "127.0.0.1",
    "169.254.7.7",
    "224.0.0.5",
    "255.255.255.255",
    "0.0.0.0",
    "8.8.8.8",
    "camera.example.com",
    "::ffff:203.0.113.31",
]


def lines(host: str, port: int, y: str) -> list[str]:
    version = "IP6" if ":" in host else "IP4"
    return [
        f"c=IN {version} {host}",
        "t=0 0",
        f"m=video {port} RTP/AVP 96",
        "a=rtpmap:96 PS/90000",
        f"y={y}",
    ]


async def answered(here: World, lower: HandLower, body: bytes) -> Heard:
    """Play the first camera, have the INVITE answered with that body, and return it; the play must fail."""

    async def play() -> int:
        with pytest.raises(PlayRefused) as refused:
            async with here.upper.play(CAMERAS[0]):
                pass
        return refused.value.status

    playing = asyncio.ensure_future(play())
    invite = await lower.invited()
    lower.reply(invite, "200 OK", body=body)
    assert await playing == 488
    return invite


@pytest.mark.parametrize("host", [*FOREIGN, UPPER, INNER])
def test_an_answer_that_names_a_foreign_address_is_acknowledged_and_ended(link: Link, host: str) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            await answered(here, lower, answer(*lines(host, 30_000, "0100000001")))
            await lower.wait("ACK")
            bye = await lower.wait("BYE")
            assert bye.header("Reason").startswith("SIP;cause=488")
            assert lower.count("ACK") == lower.count("BYE") == 1
            ended = [record for record in here.audit("outer") if record["kind"] == "StreamEnded"]
            assert ended[-1]["details"]["failure"] == "unacceptable"
            assert not here.plane.counters().streams

    run(scenario())


@pytest.mark.parametrize("port", [0, 1023, 5060, 65_536, 99_999])
def test_an_answer_with_a_port_that_is_none_of_media_is_ended(link: Link, port: int) -> None:
    """5060 on our own address would make two of our sockets talk to each other."""

    async def scenario() -> None:
        async with below(link) as (here, lower):
            await answered(here, lower, answer(*lines(OUTER, port, "0100000001")))
            await lower.wait("ACK")
            await lower.wait("BYE")

    run(scenario())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"v=0\r\n",
        answer(*lines(HAND_LOWER[0], 30_000, "1"), "m=video 1 RTP/AVP 96", "m=video 2 RTP/AVP 96"),
        answer("c=IN IP4 203.0.113.31", "m=video 30000 TCP/RTP/AVP 96"),
        answer("c=IN IP4 203.0.113.31", "m=video 30000 RTP/AVP 120", "a=rtpmap:120 HIKVISION/90000"),
        b"\xff" * 5000,
    ],
)
def test_an_answer_that_cannot_be_used_is_acknowledged_and_ended(link: Link, body: bytes) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            await answered(here, lower, body)
            await lower.wait("ACK")
            await lower.wait("BYE")

    run(scenario())


@pytest.mark.parametrize("host", [*FOREIGN, HAND_LOWER[0], OUTER])
def test_an_offer_that_names_a_foreign_address_is_488(link: Link, host: str) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            body = offer(*lines(host, 20_000, "0100000001"))
            refused = await upper.ask(upper.invite(here.shared()[0], body))
            assert refused.start.startswith("SIP/2.0 488 ")
            assert refused.header("Warning").startswith(f'399 {INNER} "')
            assert here.lower.records() == ()
            notes = [record for record in here.audit("inner") if record["kind"] == "Note"]
            assert [(note["event"], note["peer"]) for note in notes] == [("invite-refused", UPPER_ID)]
            assert notes[0]["details"]["status"] == "488"
            assert here.gateway.inner.side.as_lower.counters()["invites_488"] == 1

    run(scenario())


@pytest.mark.parametrize(("host", "port"), [(INNER, 5060), (INNER, 31_000), (HAND_UPPER[0], 1000)])
def test_an_offer_may_not_aim_at_our_own_listeners(link: Link, host: str, port: int) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            body = offer(*lines(host, port, "0100000001"))
            refused = await upper.ask(upper.invite(here.shared()[0], body))
            assert refused.start.startswith("SIP/2.0 488 ")

    run(scenario())


def test_an_id_that_is_not_shared_is_404_whatever_its_offer_says(link: Link) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            for body in (offer(*lines("127.0.0.1", 20_000, "1")), b"", b"x"):
                refused = await upper.ask(upper.invite(here.kept()[0], body))
                assert refused.start.startswith("SIP/2.0 404 ")

    run(scenario())


ODD_ANSWERS = {
    "q47-no-y": answer(),
    "q50-y-and-f-first": answer(
        "f=v/2/5/25/1/4096a///",
        " y=0200001144",
        f"c=IN IP4 {HAND_LOWER[0]}",
        "t=0 0",
        "m=video 30000 RTP/AVP 96",
    ),
    "q50-y-between-attributes": answer(
        f"c=IN IP4 {HAND_LOWER[0]}",
        "t=0 0",
        "m=video 30000 RTP/AVP 96",
        "a=sendonly",
        "y= 0200001144 ",
        "a=rtpmap:96 PS/90000",
        "f=",
    ),
    "q51-media-address": answer(
        "c=IN IP4 203.0.113.99", "t=0 0", "m=video 30000 RTP/AVP 96", f"c=IN IP4 {HAND_LOWER[0]}"
    ),
    "q51-only-o": answer("t=0 0", "m=video 30000 RTP/AVP 96"),
    "q52-line-feeds": answer(end="\n"),
    "q52-no-end": answer()[:-2],
    "two-media": answer(
        f"c=IN IP4 {HAND_LOWER[0]}", "t=0 0", "m=audio 30002 RTP/AVP 8", "m=video 30000 RTP/AVP 96"
    ),
}


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_an_odd_answer_brings_its_picture(link: Link, name: str) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            body = ODD_ANSWERS[name]

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", body=body)
                await lower.wait("ACK")
                number = 200_001_144 if b"0200001144" in body else None
                with stream(here, invite, ssrc=number) as media:
                    await media.run(50)

            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]) as playing:
                await serving
                (counted,) = here.plane.counters().streams.values()
                assert counted.admitted == counted.received == 50
                assert playing.report().packets_received == 50

    run(scenario())


ODD_OFFERS = {
    "q47-no-y": offer(y=None),
    "q50-f-anywhere": offer(
        "f=v/////a/1/8/1",
        f"c=IN IP4 {HAND_UPPER[0]}",
        "t=0 0",
        "y=0100000001",
        "m=video 20000 RTP/AVP 96",
        "f=nonsense",
    ),
    "q51-o-elsewhere": offer().replace(b"IN IP4 198.51.100.11\r\ns=", b"IN IP4 198.51.100.99\r\ns="),
    "q52-line-feeds": offer(end="\n"),
    "q59-u-of-live": offer(
        f"u={CAMERAS[0]}:0", f"c=IN IP4 {HAND_UPPER[0]}", "t=0 0", "m=video 20000 RTP/AVP 96"
    ),
    "q56-three-formats": offer(
        f"c=IN IP4 {HAND_UPPER[0]}",
        "t=0 0",
        "m=video 20000  RTP/AVP  98 97 96",
        "a=rtpmap:98 H264/90000",
        "a=rtpmap:97 MPEG4/90000",
        "a=rtpmap:96 PS/90000",
    ),
    "two-media": offer(
        f"c=IN IP4 {HAND_UPPER[0]}", "t=0 0", "m=audio 20002 RTP/AVP 8", "m=video 20000 RTP/AVP 96"
    ),
}


@pytest.mark.parametrize("name", ODD_OFFERS)
def test_an_odd_offer_is_served_where_it_asked(link: Link, name: str) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            watcher = Watcher(here)
            body = ODD_OFFERS[name]
            invite = upper.invite(here.shared()[0], body)
            accepted = await upper.ask(invite)
            assert accepted.start == "SIP/2.0 200 OK"
            # Q58: a real port, from which it really comes; Q52: CR LF on every line, the last included
            assert accepted.media_port() >= 1024
            assert accepted.body.count(b"\n") == accepted.body.count(b"\r\n")
            assert accepted.body.endswith(b"\r\n")
            y = accepted.line("y")
            assert len(y) == 10
            if b"y=" in body:
                assert y == "0100000001"
            upper.send(upper.within(invite, accepted, "ACK", cseq=1))
            await asyncio.sleep(2.0)
            assert {source for _, _, source in watcher.packets} == {(INNER, accepted.media_port())}
            assert {int.from_bytes(data[8:12], "big") for _, data, _ in watcher.packets} == {int(y)}
            assert len(watcher.packets) > 40
            ended = await upper.ask(upper.within(invite, accepted, "BYE", cseq=2))
            assert ended.start == "SIP/2.0 200 OK"
            watcher.close()

    run(scenario())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\x01",
        offer(f"c=IN IP4 {HAND_UPPER[0]}", "t=0 0", "m=video 0 RTP/AVP 96"),
        offer(f"c=IN IP4 {HAND_UPPER[0]}", "t=0 0", "m=video 20000 TCP/RTP/AVP 96", "a=setup:passive"),
        offer(f"c=IN IP4 {HAND_UPPER[0]}", *["m=video 20000 RTP/AVP 96"] * 40),
        offer(f"c=IN IP4 {HAND_UPPER[0]}", "m=video 20000 RTP/AVP 96", "a=" + "x" * 60_000),
        offer().replace(b"s=Play", b"s=Download"),
    ],
)
def test_an_offer_that_cannot_be_served_is_488(link: Link, body: bytes) -> None:
    async def scenario() -> None:
        async with above(link) as (here, upper):
            refused = await upper.ask(upper.invite(here.shared()[0], body))
            assert refused.start.startswith("SIP/2.0 488 ")
            assert here.lower.records() == ()

    run(scenario())


@pytest.mark.parametrize("ssrc", ["strict", "answer", "learn"])
@pytest.mark.parametrize("y", [None, "0200001144", "0000000000"])
def test_which_number_counts_is_the_peers_mode(link: Link, ssrc: str, y: str | None) -> None:
    """5.5: ours alone, the answer's, or the wire's; in each mode it is then pinned (Q47-Q49)."""

    async def scenario() -> None:
        written = text(
            **{f'[[outer.lower]]\nid = "{LOWER_ID}"': f'[[outer.lower]]\nid = "{LOWER_ID}"\nssrc = "{ssrc}"'}
        )
        async with below(link, written=written) as (here, lower):
            if ssrc == "strict" and y is not None:
                await answered(here, lower, answer(y=y))
                await lower.wait("BYE")
                return

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", body=answer(y=y))
                ours = int(invite.line("y"))
                agreed = 4711 if ssrc == "learn" else ours if y is None else int(y)
                with stream(here, invite, ssrc=agreed) as media:
                    await lower.wait("ACK")
                    await media.run(25)
                    await media.run(25, ssrc=agreed + 1)

            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]):
                await serving
                (counted,) = here.plane.counters().streams.values()
                assert counted.admitted == counted.refused.foreign_ssrc == 25

    run(scenario())
