import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sip.aio.calls import Call, Calls
from sip.errors import Declined, TransportFailed
from sip.headers.reason import reason
from tests.sip.ground import (
    AT_CAMERA,
    AT_GATEWAY,
    CAMERA,
    GATEWAY,
    Puppet,
    Wire,
    both,
    endpoint,
    every,
    header,
)
from tests.sip.network import Network
from tests.sip.talk import FROM_CAMERA, Camera, invite, play, two


def test_their_bye_ends_the_call_and_ours_is_not_sent() -> None:
    async def scenario(network: Network) -> None:
        wire = Wire(network)
        async with two(network) as (gateway, camera):
            async with gateway.place(invite(gateway.endpoint)) as call:
                call.ack()
                await asyncio.sleep(0.1)
                camera.held[0].reason = reason(503, "no\r\nmore")
                camera.let_go.set_result("enough")
                assert await call.ended == "bye"
                assert gateway.active == 0
                assert call.ended_by is not None
                assert call.ended_by.header("Reason") == 'SIP;cause=503;text="nomore"'
            await asyncio.sleep(1)
        assert wire.lines()[-2:] == ["BYE", "200 BYE"]
        assert wire.lines().count("BYE") == 1

    play(scenario)


def test_byes_that_cross_end_the_call_once_at_both_ends() -> None:
    async def scenario(network: Network) -> None:
        wire = Wire(network)
        async with two(network) as (gateway, camera):
            async with gateway.place(invite(gateway.endpoint)) as call:
                call.ack()
                await asyncio.sleep(0.1)
                camera.let_go.set_result("enough")
                await asyncio.sleep(0.001)
            await asyncio.sleep(1)
            assert (gateway.active, camera.calls.active) == (0, 0)
        assert wire.lines()[-4:] == ["BYE", "BYE", "200 BYE", "200 BYE"]

    play(scenario)


@asynccontextmanager
async def held_by_gateway(
    network: Network, answer: str = ""
) -> AsyncIterator[tuple[Puppet, Calls, Call, str]]:
    """A call of the gateway with a puppet, and its Call-ID."""
    end, _ = endpoint(network, GATEWAY, AT_GATEWAY)
    puppet = Puppet(network)
    async with Calls(end) as gateway:

        async def answering() -> str:
            asked = await puppet.expect("INVITE")
            puppet.answer(asked, "200 OK", headers=answer)
            return header(asked, "Call-ID")

        answered = asyncio.create_task(answering())
        async with gateway.place(invite(end)) as call:
            call.ack()
            yield puppet, gateway, call, await answered
        puppet.answer(await puppet.expect("BYE"), "200 OK")


def within(call: Call, method: str, cseq: int, *, branch: str = "w1") -> str:
    """A request of the puppet within the dialog."""
    fields = FROM_CAMERA % (call.dialog.local_tag, call.dialog.call_id, cseq, method)
    via = f"Via: SIP/2.0/UDP 203.0.113.50:5060;rport;branch=z9hG4bK{branch}\n"
    return f"{method} sip:x@203.0.113.20 SIP/2.0\n{via}{fields}Content-Length: 0\n\n"


@pytest.mark.parametrize(
    ("method", "change", "expected"),
    [
        ("BYE", ("tag=n1", "tag=n2"), "SIP/2.0 481"),
        ("BYE", ("Call-ID: ", "Call-ID: x"), "SIP/2.0 481"),
        ("INVITE", ("tag=n1", "tag=n2"), "SIP/2.0 481"),
        ("INVITE", ("", ""), "SIP/2.0 488"),
    ],
)
def test_requests_that_do_not_belong_to_the_call_leave_it_alone(
    method: str, change: tuple[str, str], expected: str
) -> None:
    async def scenario(network: Network) -> None:
        async with held_by_gateway(network) as (puppet, gateway, call, _):
            puppet.say(within(call, method, 5).replace(*change, 1) if change[0] else within(call, method, 5))
            answer = await puppet.expect("SIP/2.0 4")
            assert answer.startswith(expected)
            assert (gateway.active, call.ended.done()) == (1, False)

    play(scenario)


def test_a_bye_older_than_what_came_before_is_500() -> None:
    async def scenario(network: Network) -> None:
        async with held_by_gateway(network) as (puppet, _, call, _):
            puppet.say(within(call, "INVITE", 9))
            assert (await puppet.expect("SIP/2.0 4")).startswith("SIP/2.0 488")
            puppet.say(within(call, "BYE", 8, branch="w2"))
            assert (await puppet.expect("SIP/2.0 5")).startswith("SIP/2.0 500")
            assert not call.ended.done()

    play(scenario)


def test_a_camera_that_never_gave_a_tag_may_still_hang_up() -> None:
    async def scenario(network: Network) -> None:
        wire = Wire(network)
        end, _ = endpoint(network, GATEWAY, AT_GATEWAY)
        puppet = Puppet(network)
        async with Calls(end) as gateway:

            async def answering() -> None:
                puppet.answer(await puppet.expect("INVITE"), "200 OK", tag="")

            answered = asyncio.create_task(answering())
            async with gateway.place(invite(end)) as call:
                call.ack()
                await answered
                puppet.say(within(call, "BYE", 1))
                assert await call.ended == "bye"
        assert header(wire.texts("ACK")[0], "To") == f"<{CAMERA.uri}>"

    play(scenario)


def test_a_bye_of_no_call_can_be_answered_200_for_cameras_that_insist() -> None:
    async def scenario(network: Network) -> None:
        end, _ = endpoint(network, GATEWAY, AT_GATEWAY)
        puppet = Puppet(network)
        async with Calls(end, unknown_bye=200):
            fields = FROM_CAMERA % ("t", "unknown", 1, "BYE")
            puppet.say(f"BYE sip:x@y SIP/2.0\nVia: SIP/2.0/UDP a;branch=z9hG4bKq;rport\n{fields}\n")
            await puppet.expect("SIP/2.0 200")

    play(scenario)


def test_the_source_is_called_back_where_the_contact_is_private_or_absent() -> None:
    async def scenario(network: Network) -> None:
        wire = Wire(network)
        answer = "Contact: <sip:cam@192.168.1.64:5060>\nRecord-Route: <sip:10.1.1.1;lr>\n"
        async with held_by_gateway(network, answer):
            pass
        for text in wire.texts("ACK") + wire.texts("BYE"):
            assert text.split()[1] == "sip:cam@192.168.1.64:5060"
            assert every(text, "Route") == ["<sip:10.1.1.1;lr>"]

    play(scenario)


def test_leaving_ends_whatever_there_is() -> None:
    async def scenario(network: Network) -> None:
        wire = Wire(network)
        gateway_end, camera_end = both(network)
        async with Calls(camera_end) as camera_calls:
            camera = Camera(camera_calls)
            async with Calls(gateway_end) as gateway:

                async def own() -> str:
                    async with gateway.place(invite(gateway_end)) as call:
                        call.ack()
                        return await call.ended

                owner = asyncio.create_task(own())
                await asyncio.sleep(0.1)
                camera.delay = 100
                asking = asyncio.create_task(own())
                await asyncio.sleep(0.1)
                assert gateway.active == 2
            assert (gateway.active, gateway_end.pending) == (0, 0)
            assert await owner == "left"
            with pytest.raises(TransportFailed):
                await asking
            assert camera_calls.active == 0
        assert {"BYE", "CANCEL", "487 INVITE"} <= set(wire.lines())

    play(scenario)


def test_who_is_leaving_takes_no_new_call() -> None:
    async def scenario(network: Network) -> None:
        gateway_end, camera_end = both(network)
        async with Calls(camera_end) as gone:
            pass
        assert gone.active == 0
        async with Calls(gateway_end) as gateway:
            with pytest.raises(Declined, match="503"):
                async with gateway.place(invite(gateway_end)):
                    pytest.fail("not a call")

    play(scenario)


def test_leaving_a_peer_that_is_gone_takes_a_minute_at_most() -> None:
    async def scenario(network: Network) -> None:
        gateway_end, camera_end = both(network)
        async with Calls(camera_end) as camera_calls:
            Camera(camera_calls)
            async with Calls(gateway_end) as gateway:
                async with gateway.place(invite(gateway_end)) as call:
                    call.ack()
                    await asyncio.sleep(0.1)
                    network.cut(AT_CAMERA[0])
                started = network.loop.time()
            assert gateway.active == 0
            assert network.loop.time() - started < 60

    play(scenario)
