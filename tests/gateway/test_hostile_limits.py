"""What runs out: media ports, the audit's disk. And who comes in another's place: a second REGISTER."""

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest

from gateway.app import SideName
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.bodies import CAMERAS, HAND_LOWER, answer, item
from tests.gateway.by_hand import HandLower, Heard, below, disk_full, settled
from tests.gateway.packets import stream
from tests.gateway.world import (
    INNER,
    LOWER,
    LOWER_ID,
    OUTER,
    UPPER,
    Link,
    Wire,
    World,
    header,
    text,
    world,
)

ELSEWHERE = ("203.0.113.32", 5060)


# Ports


@pytest.mark.parametrize(
    ("side", "narrow"),
    [
        ("outer", {"media_ports = [30000, 30398]": "media_ports = [30000, 30003]"}),
        ("inner", {"media_ports = [31000, 31398]": "media_ports = [31000, 31003]"}),
    ],
)
def test_ports_that_run_out_are_486_and_an_alarm_until_they_are_free(
    link: Link, side: SideName, narrow: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with world(link, written=text(**narrow)) as here:
            await here.shown()
            ports = getattr(here.gateway, side).side.ports
            channels = here.shared()
            async with AsyncExitStack() as held:
                for channel in channels[:2]:
                    await held.enter_async_context(here.upper.play(channel))
                for _ in range(20):
                    with pytest.raises(PlayRefused) as refused:
                        async with here.upper.play(channels[2]):
                            pass
                    assert refused.value.status == 486
                await asyncio.sleep(2.0)
                assert len(here.upper.playing) == 2  # nobody else was harmed
                for playing in here.upper.playing.values():
                    assert playing.report().packets_received > 40
                assert (ports.in_use, ports.refused) == (2, 20)
            with pytest.raises(PlayRefused):  # they rest
                async with here.upper.play(channels[2]):
                    pass
            await asyncio.sleep(40.0)
            async with here.upper.play(channels[2]) as playing:
                await asyncio.sleep(1.0)
                assert playing.report().packets_received > 20
            await settled(here)

    with caplog.at_level(logging.INFO, logger="media.ports"):
        run(scenario())
    assert [line.getMessage() for line in caplog.records if line.name == "media.ports"] == [
        "media.ports_exhausted",
        "media.ports_free",
    ]


# The audit's disk


async def refused_above(here: World, channel: str) -> int:
    with pytest.raises(PlayRefused) as refused:
        async with here.upper.play(channel, answer_seconds=40.0):
            pass
    return refused.value.status


@pytest.mark.parametrize("side", ["outer", "inner"])
def test_a_full_disk_stops_crossings_and_nothing_else(
    link: Link, side: SideName, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            await here.upper.wait_registered(here.gateway.inner.side.as_upper.us.id.digits)
            wire = Wire(here.network)
            channel = here.shared()[0]
            gate = getattr(here.gateway, side).gate
            with disk_full(here, side):
                for _ in range(3):
                    began = here.network.loop.time()
                    assert await refused_above(here, channel) == 503
                    assert here.network.loop.time() - began < 1.0
                refusal = wire.between(INNER, UPPER, "SIP/2.0 503")[-1]
                assert header(refusal, "Warning") == '399 lockgate "nothing can be asked beyond now"'
                assert header(refusal, "Retry-After") == "10"
                assert gate.counters.refused["audit"] > 0
                await here.lower.membership.register(3600)  # from below
                await asyncio.sleep(200.0)  # and keepalives both ways
                assert here.gateway.outer.side.as_upper.state()[0].online
                assert here.gateway.inner.side.as_lower.state()[0].registered
                assert here.gateway.inner.side.as_lower.state()[0].missed == 0
                assert len(wire.between(LOWER, OUTER, "MESSAGE")) >= 3
                assert not wire.between(OUTER, LOWER, "INVITE")
            await asyncio.sleep(2.0)
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 40
            await settled(here)

    with caplog.at_level(logging.INFO, logger="gateway.chamber"):
        run(scenario())
    failed = [line for line in caplog.records if line.getMessage() == "audit.failed"]
    assert len(failed) == 1
    assert "No space left on device" in str(failed[0].__dict__["problem"])
    refused = [line for line in caplog.records if line.getMessage() == "crossing.refused"]
    assert "nothing crosses" in str(refused[0].__dict__["reason"])
    assert refused[0].__dict__["rule"] == "audit"
    assert len(caplog.records) < 60
    assert [line.getMessage() for line in caplog.records].count("audit.resumed") == 1


@pytest.mark.parametrize("side", ["outer", "inner"])
@pytest.mark.parametrize("first", ["viewer", "camera"])
def test_a_stream_that_ends_while_the_disk_is_full_leaves_nothing(
    link: Link, side: SideName, first: str
) -> None:
    """An end may not cross unrecorded either: it is said again until it can be written."""

    async def scenario() -> None:
        async with below(link) as (here, lower):

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", body=answer())
                await lower.wait("ACK")
                with stream(here, invite) as media:
                    await media.run(25)
                if first == "camera":
                    lower.send(_bye(lower, invite))

            serving = asyncio.ensure_future(serve())
            wire = Wire(here.network)
            async with AsyncExitStack() as held:
                playing = await held.enter_async_context(here.upper.play(CAMERAS[0]))
                with disk_full(here, side):
                    if first == "viewer":
                        await held.aclose()
                    await serving
                    await asyncio.sleep(4.0)
                await asyncio.sleep(8.0)
                if first == "camera":
                    assert playing.ended is not None
                else:
                    (bye,) = wire.between(OUTER, HAND_LOWER[0], "BYE")
                    assert header(bye, "CSeq")
                assert here.gateway.orphans == 0

    run(scenario())


def _bye(lower: HandLower, invite: Heard) -> bytes:
    return lower.request(
        "BYE",
        invite.header("From").partition("sip:")[2].partition("@")[0],
        me=CAMERAS[0],
        call_id=invite.header("Call-ID"),
        from_tag="byhand",
        to_tag=invite.header("From").partition("tag=")[2],
        cseq=1,
    )


@pytest.mark.parametrize("side", ["outer", "inner"])
def test_rows_and_presence_that_come_while_the_disk_is_full_pass_later_in_order(
    link: Link, side: SideName
) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            with disk_full(here, side):
                await lower.register()
                sn = await lower.asked()
                await lower.page(sn, 3, *(item(name, called="First") for name in CAMERAS))
                await asyncio.sleep(20.0)
                assert here.playable() == []
                await lower.register(0)  # gone
                await asyncio.sleep(2.0)
                await lower.register()  # and back, with one camera less
                sn = await lower.asked()
                await lower.page(sn, 2, *(item(name, called="Second") for name in CAMERAS[:2]))
                await asyncio.sleep(5.0)
            await asyncio.sleep(8.0)
            shared = here.gateway.inner.side.shared
            assert here.playable() == list(CAMERAS[:2])
            rows = [shared.find(LOWER_ID, name) for name in CAMERAS[:2]]
            assert [(row or {}).get("name") for row in rows] == ["Second", "Second"]
            assert [(row or {}).get("status") for row in rows] == ["ON", "ON"]
            assert getattr(here.gateway, side).gate.counters.lost == 0

    run(scenario())


# A second REGISTER of the same id from elsewhere


def binding(mode: str) -> str:
    return text(**{f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\nbinding = "{mode}"'})


@pytest.mark.parametrize("port", [5060, 41_022])
@pytest.mark.parametrize("mode", ["strict", "same-host", "reauth"])
def test_a_second_register_from_elsewhere_by_the_peers_mode(link: Link, mode: str, port: int) -> None:
    """With the right password. `strict` stays; else the binding moves, and old legs end with another host."""
    address = (HAND_LOWER[0], port) if port != 5060 else ELSEWHERE
    follows = mode == "same-host" and address[0] == HAND_LOWER[0]

    async def scenario() -> None:
        async with below(link, written=binding(mode)) as (here, lower):
            other = HandLower(here.network, address)

            async def serve() -> None:
                invite = await lower.invited()
                lower.reply(invite, "200 OK", body=answer())
                await lower.wait("ACK")
                with stream(here, invite) as media:
                    await media.run(125)

            serving = asyncio.ensure_future(serve())
            async with here.upper.play(CAMERAS[0]) as playing:
                await asyncio.sleep(1.0)
                answered = await other.register()
                await asyncio.sleep(2.0)
                view = here.gateway.outer.side.as_upper.state()[0]
                counters = here.gateway.outer.side.as_upper.counters()
                notes = [record for record in here.audit("outer") if record["kind"] == "Note"]
                if mode == "strict":
                    assert answered.start.startswith("SIP/2.0 403 ")
                    assert view.address == f"{HAND_LOWER[0]}:5060"
                    assert playing.ended is None
                    assert counters["registrar_takeover_refused"] == 1
                    assert notes == []
                else:
                    assert answered.start == "SIP/2.0 200 OK"
                    assert view.address == f"{address[0]}:{address[1]}"
                    assert (playing.ended is None) == follows
                    assert counters["registrar_moved"] == 1
                    (note,) = notes
                    assert note["event"] == "binding-moved"
                    assert note["details"]["after"] == view.address
                    assert note["details"]["why"] == ("followed" if follows else "moved")
            await serving
            other.close()

    run(scenario())


@pytest.mark.parametrize("mode", ["strict", "same-host", "reauth"])
def test_whoever_lacks_the_password_moves_nothing(link: Link, mode: str) -> None:
    async def scenario() -> None:
        async with below(link, written=binding(mode)) as (here, lower):
            thief = HandLower(here.network, ELSEWHERE)
            assert (await thief.register(password="wrong")).start.startswith("SIP/2.0 401 ")
            view = here.gateway.outer.side.as_upper.state()[0]
            assert (view.online, view.address) == (True, f"{HAND_LOWER[0]}:5060")
            thief.close()
            assert lower.count("BYE") == 0

    run(scenario())
