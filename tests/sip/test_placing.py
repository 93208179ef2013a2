import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sip.aio.calls import Calls
from sip.errors import Declined, SipError, TransactionTimeout
from tests.sip.ground import (
    AT_CAMERA,
    AT_GATEWAY,
    CAMERA,
    GATEWAY,
    Puppet,
    Wire,
    endpoint,
    header,
)
from tests.sip.network import Network
from tests.sip.talk import ANSWER, OFFER, invite, play, two


def test_a_call_is_answered_acknowledged_and_ended_by_its_owner() -> None:
    async def scenario(network: Network) -> None:
        wire = Wire(network)
        async with two(network) as (gateway, camera):
            async with gateway.place(invite(gateway.endpoint)) as call:
                assert call.event.body == ANSWER
                await asyncio.sleep(0.05)
                assert "ACK" not in wire.lines()
                call.ack()
                call.ack()
                await asyncio.sleep(0.05)
                assert camera.held[0].acknowledged.done()
                assert camera.held[0].event.body == OFFER
                assert (gateway.active, camera.calls.active) == (1, 1)
            await asyncio.sleep(0.05)
            assert camera.why == ["bye"]
            assert call.ended.result() == "left"
        assert wire.lines() == ["INVITE", "100 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"]
        [ok] = wire.texts("200 INVITE")
        assert header(ok, "Contact") == f"<sip:{CAMERA.user}@203.0.113.50:5060>"
        assert header(ok, "Content-Type") == "application/sdp"
        [ack] = wire.texts("ACK")
        assert ack.startswith(f"ACK sip:{CAMERA.user}@203.0.113.50:5060 SIP/2.0")
        assert header(ack, "CSeq") == "1 ACK"
        assert header(wire.texts("BYE")[0], "CSeq") == "2 BYE"

    play(scenario)


def test_a_repeated_2xx_is_not_acknowledged_before_the_owner_does_and_each_time_after() -> None:
    async def scenario(network: Network) -> None:
        wire = Wire(network)
        async with two(network) as (gateway, _):
            async with gateway.place(invite(gateway.endpoint)) as call:
                await asyncio.sleep(1.6)
                assert wire.lines().count("200 INVITE") == 3
                assert "ACK" not in wire.lines()
                network.drop = lambda payload, source, to: payload.startswith(b"ACK")
                call.ack()
                await asyncio.sleep(4)
                network.drop = lambda payload, source, to: False
                await asyncio.sleep(8)
            assert wire.lines().count("200 INVITE") == wire.lines().count("ACK") + 2

    play(scenario)


def test_whoever_else_accepts_a_forked_invite_is_acknowledged_and_hung_up_on() -> None:
    async def scenario(network: Network) -> None:
        wire = Wire(network)
        async with two(network) as (gateway, camera):
            async with gateway.place(invite(gateway.endpoint)) as call:
                call.ack()
                await asyncio.sleep(0.1)
                [ok] = wire.texts("200 INVITE")
                tag = call.event.to_tag
                forked = ok.replace(f";tag={tag}", ";tag=another")
                for _ in range(2):
                    network.carry(forked.encode(), AT_CAMERA, AT_GATEWAY)
                    await asyncio.sleep(0.01)
                assert [header(one, "To").endswith(";tag=another") for one in wire.texts("ACK")] == [
                    False,
                    True,
                    True,
                ]
                [bye] = wire.texts("BYE")
                assert header(bye, "To").endswith(";tag=another")
                assert (header(bye, "CSeq"), call.ended.done()) == ("2 BYE", False)
                assert (gateway.active, camera.calls.active) == (1, 1)
            await asyncio.sleep(0.1)
            assert header(wire.texts("BYE")[-1], "To").endswith(f";tag={tag}")
            assert gateway.active == 0

    play(scenario)


def test_leaving_without_ack_acknowledges_first() -> None:
    async def scenario(network: Network) -> None:
        wire = Wire(network)
        async with two(network) as (gateway, camera):
            async with gateway.place(invite(gateway.endpoint)):
                pass
            await asyncio.sleep(1)
            assert camera.why == ["bye"]
        assert wire.lines()[-3:] == ["ACK", "BYE", "200 BYE"]

    play(scenario)


@pytest.mark.parametrize("status", [300, 403, 486, 603])
def test_a_refusal_is_declined_with_its_status(status: int) -> None:
    async def scenario(network: Network) -> None:
        async with two(network) as (gateway, camera):
            camera.calls.on_invite = lambda incoming: incoming.refuse(
                status, [("Warning", '399 camera "too many"')]
            )
            with pytest.raises(Declined) as caught:
                async with gateway.place(invite(gateway.endpoint)):
                    pytest.fail("not a call")
            assert (caught.value.status, caught.value.warning) == (status, '399 camera "too many"')
            assert gateway.active == 0

    play(scenario)


def test_silence_after_100_is_cancelled_in_time() -> None:
    async def scenario(network: Network) -> None:
        wire = Wire(network)
        async with two(network, delay=100) as (gateway, camera):
            with pytest.raises(TransactionTimeout):
                async with gateway.place(invite(gateway.endpoint), answer_seconds=3):
                    pytest.fail("not a call")
            assert network.loop.time() == pytest.approx(3)
            assert gateway.active == 1, "until its final answer has come"
            await asyncio.sleep(1)
            assert (gateway.active, camera.calls.active) == (0, 0)
            await asyncio.sleep(100)
            assert camera.why == ["over"]
        assert sorted(wire.lines()[2:]) == ["200 CANCEL", "487 INVITE", "ACK", "CANCEL"]
        [request, cancelled] = wire.texts("INVITE") + wire.texts("CANCEL")
        for name in ("Via", "From", "To", "Call-ID"):
            assert header(cancelled, name) == header(request, name)

    play(scenario)


def test_nobody_there_is_a_timeout_and_leaves_nothing() -> None:
    async def scenario(network: Network) -> None:
        end, _ = endpoint(network, GATEWAY, AT_GATEWAY)
        async with Calls(end) as gateway:
            with pytest.raises(TransactionTimeout):
                async with gateway.place(invite(end), answer_seconds=100):
                    pytest.fail("not a call")
            assert network.loop.time() == pytest.approx(32, abs=0.1)
            assert (gateway.active, end.pending) == (0, 0)

    play(scenario)


def test_a_2xx_after_cancel_is_acknowledged_and_ended() -> None:
    async def scenario(network: Network) -> None:
        end, _ = endpoint(network, GATEWAY, AT_GATEWAY)
        puppet = Puppet(network)
        async with Calls(end) as gateway:
            with pytest.raises(TransactionTimeout):
                async with gateway.place(invite(end), answer_seconds=1):
                    pytest.fail("not a call")
            asked = await puppet.expect("INVITE")
            puppet.answer(asked, "100 Trying", tag="")
            puppet.answer(await puppet.expect("CANCEL"), "200 OK")
            puppet.answer(asked, "200 OK")
            assert header(await puppet.expect("ACK"), "CSeq") == "1 ACK"
            bye = await puppet.expect("BYE")
            assert (header(bye, "CSeq"), header(bye, "To")) == ("2 BYE", f"<{CAMERA.uri}>;tag=n1")
            assert gateway.active == 1
            puppet.answer(bye, "200 OK")
            await asyncio.sleep(0.1)
            assert (gateway.active, end.pending) == (0, 0)

    play(scenario)


def test_an_invite_nobody_answers_even_after_cancel_is_forgotten() -> None:
    async def scenario(network: Network) -> None:
        end, _ = endpoint(network, GATEWAY, AT_GATEWAY)
        puppet = Puppet(network)
        async with Calls(end) as gateway:
            with pytest.raises(TransactionTimeout):
                async with gateway.place(invite(end), answer_seconds=1):
                    pytest.fail("not a call")
            puppet.answer(await puppet.expect("INVITE"), "100 Trying", tag="")
        assert (gateway.active, end.pending) == (0, 0)
        assert network.loop.time() < 60

    play(scenario)


@pytest.mark.parametrize("milliseconds", range(0, 60, 2))
def test_no_moment_of_cancellation_leaves_a_dialog(milliseconds: int) -> None:
    """INVITE 5 ms, camera thinks 10, answer 5, ACK at once, BYE at 40: all between is walked through."""

    async def scenario(network: Network) -> None:
        async with two(network, delay=0.010) as (gateway, camera):

            async def own() -> None:
                async with gateway.place(invite(gateway.endpoint)) as call:
                    call.ack()
                    await asyncio.sleep(0.020)

            owner = asyncio.create_task(own())
            await asyncio.sleep(milliseconds / 1000)
            owner.cancel()
            await asyncio.wait({owner})
            await asyncio.sleep(2)
            assert (gateway.active, camera.calls.active) == (0, 0)
            assert camera.why in (["bye"], ["over"], [])

    play(scenario)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.4),
    cancel_after=st.floats(0, 3),
    delay=st.floats(0, 2),
    hold=st.floats(0, 3),
    camera_leaves=st.none() | st.floats(0, 3),
)
def test_whatever_is_lost_and_whoever_leaves_when_nothing_is_left(
    seed: int, loss: float, cancel_after: float, delay: float, hold: float, camera_leaves: float | None
) -> None:
    async def scenario(network: Network) -> None:
        async with two(network, delay=delay) as (gateway, camera):

            async def own() -> None:
                async with gateway.place(invite(gateway.endpoint), answer_seconds=2) as call:
                    call.ack()
                    await asyncio.sleep(hold)

            owners = [asyncio.create_task(own()) for _ in range(3)]
            if camera_leaves is not None:
                network.loop.call_later(camera_leaves, camera.let_go.set_result, "enough")
            await asyncio.sleep(cancel_after)
            owners[0].cancel()
            await asyncio.wait(owners)
            for owner in owners:
                assert owner.cancelled() or isinstance(owner.exception(), SipError | None)
            await asyncio.sleep(140)
            assert (gateway.active, camera.calls.active) == (0, 0)
            assert all(task.done() for task in camera.tasks)

    play(scenario, seed, loss=loss)
