import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sip.aio.calls import Calls, Incoming
from sip.errors import Declined, InviteOver, UsageError
from tests.sip.ground import (
    AT_GATEWAY,
    GATEWAY,
    Puppet,
    both,
    endpoint,
    every,
    header,
)
from tests.sip.network import Network
from tests.sip.talk import ANSWER, FROM_CAMERA, invite, play, two


@asynccontextmanager
async def invited(network: Network, routes: str = "") -> AsyncIterator[tuple[Puppet, Calls, Incoming, str]]:
    """An INVITE of a puppet to the gateway, not answered yet."""
    end, _ = endpoint(network, GATEWAY, AT_GATEWAY)
    puppet = Puppet(network)
    async with Calls(end) as gateway:
        got: list[Incoming] = []
        gateway.on_invite = got.append
        text = (FROM_CAMERA % ("", "c1", 1, "INVITE")).replace(";tag=\n", "\n")
        via = "Via: SIP/2.0/UDP 203.0.113.50:5060;rport;branch=z9hG4bKinv\n"
        puppet.say(f"INVITE sip:x@203.0.113.20 SIP/2.0\n{via}{routes}{text}Content-Length: 0\n\n")
        trying = await puppet.expect("SIP/2.0 100")
        assert "tag=" not in header(trying, "To")
        yield puppet, gateway, got[0], text
        await asyncio.sleep(0.1)
    assert (gateway.active, end.pending) == (0, 0)


def request_of(text: str, method: str, *, tag: str = "", branch: str = "z9hG4bKinv", cseq: int = 1) -> str:
    """Another request of the INVITE's dialog or transaction."""
    lines = text.replace("CSeq: 1 INVITE", f"CSeq: {cseq} {method}")
    if tag:
        lines = lines.replace(f"<{GATEWAY.uri}>\n", f"<{GATEWAY.uri}>;tag={tag}\n")
    via = f"Via: SIP/2.0/UDP 203.0.113.50:5060;rport;branch={branch}\n"
    return f"{method} sip:x@203.0.113.20 SIP/2.0\n{via}{lines}Content-Length: 0\n\n"


def tag_of(answer: str) -> str:
    return header(answer, "To").partition(";tag=")[2]


def test_an_acceptance_carries_the_routes_back_and_waits_for_its_ack() -> None:
    async def scenario(network: Network) -> None:
        routes = "Record-Route: <sip:10.0.0.1;lr>\nRecord-Route: <sip:10.0.0.2;lr>\n"
        async with invited(network, routes) as (puppet, _, incoming, text):
            incoming.ring()
            assert header(await puppet.expect("SIP/2.0 180"), "Contact")
            async with incoming.accept(ANSWER, headers=[("X-Stream", "1")]) as call:
                ok = await puppet.expect("SIP/2.0 200")
                assert every(ok, "Record-Route") == ["<sip:10.0.0.1;lr>", "<sip:10.0.0.2;lr>"]
                assert every(ok, "X-Stream") == ["1"]
                assert ok.encode().endswith(ANSWER)
                assert not call.acknowledged.done()
                puppet.say(request_of(text, "ACK", tag=tag_of(ok), branch="z9hG4bKack"))
                await call.acknowledged
            bye = await puppet.expect("BYE")
            assert every(bye, "Route") == ["<sip:10.0.0.1;lr>", "<sip:10.0.0.2;lr>"]
            puppet.answer(bye, "200 OK")

    play(scenario)


def test_no_ack_ends_the_call_with_bye() -> None:
    async def scenario(network: Network) -> None:
        async with invited(network) as (puppet, gateway, incoming, _):
            async with incoming.accept(ANSWER) as call:
                assert await call.ended == "no ACK"
                assert network.loop.time() == pytest.approx(32, abs=0.2)
                puppet.answer(await puppet.expect("BYE"), "200 OK")
                await asyncio.sleep(0.1)
                with pytest.raises(InviteOver):
                    await call.acknowledged
            assert gateway.active == 0
            assert len([text for text in puppet.heard if text.startswith("BYE")]) == 0

    play(scenario)


def test_an_owner_that_leaves_before_the_ack_sends_bye_after_it() -> None:
    async def scenario(network: Network) -> None:
        async with invited(network) as (puppet, gateway, incoming, text):
            async with incoming.accept(ANSWER):
                pass
            ok = await puppet.expect("SIP/2.0 200")
            await asyncio.sleep(1)
            assert not [text for text in puppet.heard if text.startswith("BYE")]
            assert gateway.active == 1
            puppet.say(request_of(text, "ACK", tag=tag_of(ok), branch="z9hG4bKack"))
            puppet.answer(await puppet.expect("BYE"), "200 OK")

    play(scenario)


def test_a_cancelled_invite_is_487_and_harmless_afterwards() -> None:
    async def scenario(network: Network) -> None:
        async with invited(network) as (puppet, gateway, incoming, text):
            puppet.say(request_of(text, "CANCEL"))
            await incoming.cancelled
            answers = {(await puppet.expect("SIP/2.0"))[:11] for _ in range(2)}
            assert answers == {"SIP/2.0 200", "SIP/2.0 487"}
            assert (gateway.active, incoming.over) == (0, True)
            incoming.ring()
            incoming.refuse(486)
            with pytest.raises(InviteOver):
                async with incoming.accept(ANSWER):
                    pytest.fail("not a call")
            puppet.say(request_of(text, "ACK", tag="x"))
            puppet.say(request_of(text, "CANCEL"))

    play(scenario)


@pytest.mark.parametrize("with_tag", [True, False])
def test_a_bye_before_our_answer_takes_the_invite_back_too(with_tag: bool) -> None:
    async def scenario(network: Network) -> None:
        async with invited(network) as (puppet, _, incoming, text):
            tag = incoming.event.local_tag if with_tag else ""
            puppet.say(request_of(text, "BYE", tag=tag, branch="z9hG4bKbye", cseq=2))
            await incoming.cancelled
            answers = {(await puppet.expect("SIP/2.0"))[:11] for _ in range(2)}
            assert answers == {"SIP/2.0 200", "SIP/2.0 487"}
            puppet.say(request_of(text, "ACK", tag="x"))

    play(scenario)


def test_an_invite_that_comes_twice_is_one() -> None:
    async def scenario(network: Network) -> None:
        async with invited(network) as (puppet, gateway, incoming, text):
            puppet.say(request_of(text, "INVITE"))  # repeated
            assert (await puppet.expect("SIP/2.0")).startswith("SIP/2.0 100")
            puppet.say(request_of(text, "INVITE", branch="z9hG4bKother"))  # by another way
            assert (await puppet.expect("SIP/2.0")).startswith("SIP/2.0 482")
            puppet.say(request_of(text, "ACK", branch="z9hG4bKother", tag="x"))
            assert gateway.active == 1
            incoming.refuse(486)
            incoming.refuse(500)
            assert (await puppet.expect("SIP/2.0 4")).startswith("SIP/2.0 486")
            puppet.say(request_of(text, "ACK", tag="x"))
            await asyncio.sleep(40)
            assert puppet.heard == []

    play(scenario)


def test_an_invite_that_nobody_answers_is_refused_in_the_end() -> None:
    async def scenario(network: Network) -> None:
        async with invited(network) as (puppet, gateway, _, _):
            await puppet.expect("SIP/2.0 480")
            assert network.loop.time() == pytest.approx(170, abs=1)
            assert gateway.active == 0

    play(scenario)


def test_a_bug_in_whoever_is_invited_is_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(network: Network) -> None:
        async with two(network) as (gateway, camera):
            camera.calls.on_invite = lambda incoming: print(1 // 0)
            with pytest.raises(Declined, match="500"):
                async with gateway.place(invite(gateway.endpoint)):
                    pytest.fail("not a call")

    with caplog.at_level(logging.ERROR):
        play(scenario)
    assert [record.message for record in caplog.records] == ["sip.invite_failed"]


def test_who_takes_no_calls_says_480() -> None:
    async def scenario(network: Network) -> None:
        gateway, camera = both(network)
        async with Calls(camera), Calls(gateway) as calls:
            with pytest.raises(Declined, match="480"):
                async with calls.place(invite(gateway)):
                    pytest.fail("not a call")

    play(scenario)


@pytest.mark.parametrize("status", [100, 200, 700])
def test_a_refusal_is_300_to_699(status: int) -> None:
    async def scenario(network: Network) -> None:
        async with invited(network) as (_, _, incoming, _):
            with pytest.raises(UsageError):
                incoming.refuse(status)

    play(scenario)
