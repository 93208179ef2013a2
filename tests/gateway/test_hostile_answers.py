"""Lowers that answer our INVITE late, twice, never, from nowhere, or send before they answer."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.bodies import CAMERAS, HAND_LOWER, answer
from tests.gateway.by_hand import HandLower, Heard, below
from tests.gateway.packets import rtp, stream
from tests.gateway.world import OUTER, OUTER_ID, Link, Wire, World

CONTACTS = [
    None,
    "<sip:camera@192.168.1.64:5060>",
    "<sip:camera@10.0.0.1>",
    "<sip:camera@camera.example.com>",
    "<sip:camera@198.51.100.10:5060>",
    "<sip:camera@127.0.0.1:22>",
    "nonsense",
]


async def play(here: World) -> int:
    """Play the first camera; it must be refused. The status."""
    with pytest.raises(PlayRefused) as refused:
        async with here.upper.play(CAMERAS[0]):
            pass
    return refused.value.status


async def shows(here: World, lower: HandLower, contact: str | None, copies: int = 0) -> Heard:
    """Play with that answer until media has flowed; returns our INVITE."""
    invites: list[Heard] = []

    async def serve() -> None:
        invite = await lower.invited()
        invites.append(invite)
        lower.reply(invite, "200 OK", contact=contact, body=answer())
        with stream(here, invite) as media:
            await lower.wait("ACK")
            for _ in range(copies):
                lower.reply(invite, "200 OK", contact=contact, body=answer())
                await lower.wait("ACK")
            await media.run(25)

    serving = asyncio.ensure_future(serve())
    async with here.upper.play(CAMERAS[0]):
        await serving
        (counted,) = here.plane.counters().streams.values()
        assert counted.admitted == 25
    await lower.wait("BYE")
    return invites[0]


@pytest.mark.parametrize("contact", CONTACTS)
def test_q53_our_ack_and_bye_find_whoever_answered(link: Link, contact: str | None) -> None:
    """Without a Contact, or with one that is not where it answers from, the packet's source counts."""

    async def scenario() -> None:
        async with below(link) as (here, lower):
            wire = Wire(here.network)
            await shows(here, lower, contact)
            away = {to for _, source, to, text in wire.sent if source == OUTER and text[:3] in ("ACK", "BYE")}
            assert away == {HAND_LOWER[0]}

    run(scenario())


def test_a_200_that_is_repeated_is_acknowledged_each_time_and_is_one_call(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            await shows(here, lower, "", copies=4)
            assert lower.count("ACK") == 5
            assert lower.count("BYE") == 1

    run(scenario())


def test_q60_q61_what_we_send_is_complete(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            invite = await shows(here, lower, "")
            at = f"{HAND_LOWER[0]}:{HAND_LOWER[1]}"
            assert invite.uri == f"sip:{CAMERAS[0]}@{at}"
            assert invite.header("To") == f"<sip:{CAMERAS[0]}@{at}>"
            assert invite.header("Max-Forwards") == "70"
            assert invite.header("Via").startswith(f"SIP/2.0/UDP {OUTER}:5060;")
            assert invite.header("Subject") == f"{CAMERAS[0]}:{invite.line('y')},{OUTER_ID}:0"
            assert f"<sip:{OUTER_ID}@{OUTER}:5060>" in invite.header("Contact")
            assert invite.body.endswith(b"\r\n")
            requests = [heard for heard in lower.heard if not heard.start.startswith("SIP/2.0")]
            branches = [heard.header("Via").partition("branch=")[2] for heard in requests]
            assert all(branch.startswith("z9hG4bK") for branch in branches)
            assert len(set(branches)) == len(branches)
            assert all(";tag=" in heard.header("From") for heard in requests)

    run(scenario())


@pytest.mark.parametrize("tried", [True, False])
def test_an_answer_that_comes_after_we_gave_up_is_acknowledged_and_ended(link: Link, tried: bool) -> None:
    """Without any provisional answer there is no CANCEL (RFC 3261 9.1), but the same end."""

    async def scenario() -> None:
        async with below(link) as (here, lower):
            playing = asyncio.ensure_future(play(here))
            invite = await lower.invited()
            if tried:
                lower.reply(invite, "100 Trying", contact=None)
                await lower.wait("CANCEL")
            assert await playing == 408
            assert lower.count("CANCEL") == tried
            lower.reply(invite, "200 OK", body=answer())
            await lower.wait("ACK")
            await lower.wait("BYE")
            assert lower.count("BYE") == 1

    run(scenario())


def test_nobody_answers_our_invite_nor_anything_else(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            lower.answered.clear()
            lower.stop_keepalives()
            assert await play(here) == 408
            assert 2 <= lower.count("INVITE") <= 7
            await asyncio.sleep(200.0)
            assert here.gateway.orphans == 0

    run(scenario())


def test_nobody_answers_our_bye(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            lower.answered.discard("BYE")
            await shows(here, lower, "")
            await asyncio.sleep(40.0)
            assert here.gateway.orphans == 0
            assert lower.count("BYE") > 5

    run(scenario())


@pytest.mark.parametrize("second", ["200 OK", "486 Busy Here", "180 Ringing"])
def test_another_answer_after_the_first_changes_nothing(link: Link, second: str) -> None:
    """A fork, or a device that answers for itself and for its channel."""

    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", body=answer())
                lower.reply(invite, second, tag="another", body=answer(port=30_002))
                with stream(here, invite) as media:
                    await lower.wait("ACK")
                    await media.run(50)

            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]) as playing:
                await serving
                assert playing.ended is None
                assert playing.report().packets_received == 50

    run(scenario())


def test_q64_media_before_the_answer_finds_an_open_port_and_is_not_let_in(link: Link) -> None:
    """The port is bound before our INVITE leaves; nothing of it passes before the answer is known."""

    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def serve() -> None:
                invite = await lower.invited()
                with stream(here, invite) as media:
                    await media.run(25)
                    (counted,) = here.plane.counters().streams.values()
                    assert (counted.received, counted.admitted) == (25, 0)
                    lower.reply(invite, "200 OK", body=answer())
                    await lower.wait("ACK")
                    await media.run(25)

            before = here.network.unreachable
            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]) as playing:
                await serving
                assert here.network.unreachable == before
                (counted,) = here.plane.counters().streams.values()
                assert counted.refused.before_answer == 25
                assert counted.admitted == 25
                assert playing.report().packets_received == 25

    run(scenario())


def test_q49_many_cameras_with_number_zero_are_kept_apart(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def serve(packets: int) -> None:
                invite = await lower.invited()
                port = 30_000 + 2 * packets
                lower.reply(invite, "200 OK", body=answer(port=port, y="0000000000"))
                with stream(here, invite, ssrc=0, address=(HAND_LOWER[0], port)) as media:
                    await lower.wait("ACK")
                    await media.run(packets)

            async with AsyncExitStack() as held:
                watched = []
                for number, channel in enumerate(CAMERAS, start=1):
                    serving = asyncio.ensure_future(serve(10 * number))
                    watched.append(await held.enter_async_context(here.upper.play(channel)))
                    await serving
                assert [playing.report().packets_received for playing in watched] == [10, 20, 30]

    run(scenario())


def test_a_third_host_that_knows_number_and_port_is_not_let_in(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", body=answer())
                other = here.network.datagrams(("203.0.113.77", 30_000), lambda *_: None)
                with stream(here, invite) as media:
                    await lower.wait("ACK")
                    for number in range(25):
                        other.send(rtp(number, media.ssrc), media.to)
                    await media.run(25)
                other.close()

            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]):
                await serving
                (counted,) = here.plane.counters().streams.values()
                assert (counted.admitted, counted.refused.foreign_source) == (25, 25)

    run(scenario())
