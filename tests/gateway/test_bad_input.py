"""What is wrong on the wire: a clear answer, a counter, nothing lost, nothing left behind."""

import asyncio
import logging

import pytest

from interop.sim.sending import Behaviour
from interop.sim.upper import PlayRefused
from sip._native import authorize
from tests.clock import run
from tests.gateway.world import (
    INNER,
    LOWER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    UPPER,
    Link,
    Wire,
    World,
    header,
    text,
    world,
)

STRANGER = ("203.0.113.99", 5060)


class Caller:
    """Somebody who writes datagrams by hand and keeps what comes back."""

    def __init__(self, here: World, address: tuple[str, int] = STRANGER) -> None:
        self.answers: list[str] = []
        self.address = address
        self._port = here.network.datagrams(address, lambda data, _source: self.answers.append(data.decode()))

    async def send(self, text: str, to: tuple[str, int] = (OUTER, 5060)) -> str:
        """Send, and return the last answer within two seconds, "" for none."""
        self.answers.clear()
        self.throw(text, to)
        await asyncio.sleep(2.0)
        return self.answers[-1] if self.answers else ""

    def throw(self, text: str, to: tuple[str, int] = (OUTER, 5060)) -> None:
        self._port.send(text.encode(), to)

    def close(self) -> None:
        self._port.close()


def register(user: str, branch: str, credentials: str = "", source: tuple[str, int] = STRANGER) -> str:
    lines = [
        f"REGISTER sip:{OUTER_ID}@{OUTER_ID[:10]} SIP/2.0",
        f"Via: SIP/2.0/UDP {source[0]}:{source[1]};rport;branch=z9hG4bK{branch}",
        f"From: <sip:{user}@{OUTER_ID[:10]}>;tag=a1",
        f"To: <sip:{user}@{OUTER_ID[:10]}>",
        f"Call-ID: {branch}@{source[0]}",
        "CSeq: 1 REGISTER",
        f"Contact: <sip:{user}@{source[0]}:{source[1]}>",
        *([f"Authorization: {credentials}"] if credentials else []),
        "Max-Forwards: 70",
        "Expires: 3600",
        "Content-Length: 0",
    ]
    return "\r\n".join(lines) + "\r\n\r\n"


def test_a_source_outside_the_networks_gets_no_answer_and_is_counted(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            caller = Caller(here, ("192.0.2.9", 5060))
            assert await caller.send(register(LOWER_ID, "x1", source=caller.address)) == ""
            counters = here.gateway.outer.side.endpoint.stack.counters()
            assert counters["foreign_source"] == 1
            caller.close()

    run(scenario())


def test_an_unknown_id_and_a_wrong_password_look_alike(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            caller = Caller(here)
            answers = []
            for user in (LOWER_ID, "44010600009990000009"):
                challenge = await caller.send(register(user, f"{user}1"))
                assert challenge.startswith("SIP/2.0 401 ")
                credentials = authorize(
                    [header(challenge, "WWW-Authenticate")],
                    user,
                    "wrong",
                    "REGISTER",
                    f"sip:{OUTER_ID}@{OUTER_ID[:10]}",
                    "c0ffee",
                )
                answers.append(await caller.send(register(user, f"{user}2", credentials)))
            shapes = [[line.partition(":")[0] for line in answer.split("\r\n")] for answer in answers]
            assert shapes[0] == shapes[1]
            assert all(answer.startswith("SIP/2.0 401 ") for answer in answers)
            caller.close()

    run(scenario())


def test_a_captured_register_is_worth_nothing(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            wire = Wire(here.network)
            await here.lower.membership.register(3600)
            captured = [text for text in wire.between(LOWER, OUTER, "REGISTER") if "Authorization" in text]
            caller = Caller(here)
            replay = captured[-1].replace("branch=z9hG4bK", "branch=z9hG4bKreplayed")
            answer = await caller.send(replay)
            assert answer.startswith("SIP/2.0 401 ")
            state = here.gateway.outer.side.as_upper.state()[0]
            assert state.address == f"{LOWER}:5060"
            caller.close()

    run(scenario())


def test_a_malformed_message_gets_400_and_is_counted(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            caller = Caller(here)
            broken = register(LOWER_ID, "m1").replace("CSeq: 1 REGISTER", "CSeq: 1 MESSAGE")
            assert (await caller.send(broken)).startswith("SIP/2.0 400 ")
            assert await caller.send("not a message at all\r\n\r\n") == ""
            counters = here.gateway.outer.side.endpoint.stack.counters()
            assert counters["malformed"] == 2
            caller.close()

    run(scenario())


def test_an_unregistered_sender_is_told_to_register(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            caller = Caller(here)
            body = (
                "<Notify><CmdType>Keepalive</CmdType><SN>1</SN>"
                f"<DeviceID>{LOWER_ID}</DeviceID><Status>OK</Status></Notify>"
            )
            message = register(LOWER_ID, "k1").replace("REGISTER", "MESSAGE")
            message = message.replace(
                "Content-Length: 0\r\n\r\n",
                f"Content-Type: Application/MANSCDP+xml\r\nContent-Length: {len(body)}\r\n\r\n{body}",
            )
            assert (await caller.send(message)).startswith("SIP/2.0 403 ")
            caller.close()

    run(scenario())


@pytest.mark.parametrize("channel", ["44010600001329999999", "nonsense", LOWER_ID])
def test_an_unknown_channel_is_404(link: Link, channel: str) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(channel):
                    pass
            assert refused.value.status == 404
            assert here.gateway.orphans == 0

    run(scenario())


def test_no_media_ends_both_legs_with_a_reason(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            wire = Wire(here.network)
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(media=False)
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(9.0)
                assert playing.ended is None
                await asyncio.sleep(3.0)
                assert playing.ended is not None
            for source, destination in ((OUTER, LOWER), (INNER, UPPER)):
                (bye,) = wire.between(source, destination, "BYE")
                assert header(bye, "Reason").startswith("SIP;cause=504")
            await asyncio.sleep(2.0)
            assert here.gateway.orphans == 0
            ends = [record for record in here.audit("outer") if record["kind"] == "StreamEnded"]
            assert "no media arrived" in str(ends[-1])

    run(scenario())


@pytest.mark.parametrize("behaviour", [Behaviour(foreign_ssrc=4711), Behaviour(foreign_port=True)])
def test_media_that_was_not_agreed_is_not_let_in(link: Link, behaviour: Behaviour) -> None:
    """Another SSRC is refused; another port of the same address is pinned by the first packet."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = behaviour
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(2.0)
                (stream,) = here.plane.counters().streams.values()
                if behaviour.foreign_ssrc is not None:
                    assert stream.admitted == 0
                    assert stream.refused.foreign_ssrc == stream.received > 0
                    assert playing.report().packets_received == 0
                else:
                    assert stream.admitted == stream.received > 0

    run(scenario())


def test_a_spray_beside_a_stream_does_not_harm_it(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            wire = Wire(here.network)
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(1.0)
                (invite,) = wire.between(OUTER, LOWER, "INVITE")
                port = int(invite.partition("m=video ")[2].split()[0])
                (sent,) = here.lower.records()
                foreign = here.network.datagrams(("203.0.113.66", 9000), lambda *_: None)
                own_host = here.network.datagrams((LOWER, 9999), lambda *_: None)
                for sequence in range(200):
                    packet = b"\x80\x60" + sequence.to_bytes(2, "big") + bytes(4)
                    foreign.send(packet + sent.ssrc.to_bytes(4, "big") + b"spoofed", (OUTER, port))
                    own_host.send(packet + (7).to_bytes(4, "big") + b"spoofed", (OUTER, port))
                await asyncio.sleep(2.0)
                records = await here.lower.pause_streams()
                assert await here.upper.drained({r.camera: r.packets_sent for r in records})
                report = await playing.finish()
                (stream,) = here.plane.counters().streams.values()
                assert stream.refused.foreign_source == 400
            assert report.sha256 == records[0].sha256
            foreign.close()
            own_host.close()

    run(scenario())


def test_a_device_that_answers_with_another_ssrc_is_seen(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(answer_ssrc=200_001_144)
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 40
            assert here.lower.records()[0].ssrc == 200_001_144

    run(scenario())


@pytest.mark.parametrize(("below", "above"), [(486, 486), (404, 404), (480, 480), (488, 488), (500, 500)])
def test_a_refusal_below_is_a_refusal_above(link: Link, below: int, above: int) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(refuse=below)
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(channel):
                    pass
            assert refused.value.status == above
            await asyncio.sleep(1.0)
            assert here.gateway.orphans == 0
            assert here.plane.sockets() == 0

    run(scenario())


def test_a_device_that_never_answers_is_cancelled_and_408_above(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=60.0)
            wire = Wire(here.network)
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(channel):
                    pass
            assert refused.value.status == 408
            assert wire.between(OUTER, LOWER, "CANCEL")
            await asyncio.sleep(100.0)
            assert here.gateway.orphans == 0

    run(scenario())


def test_a_viewer_that_cancels_leaves_nothing(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=5.0)
            with pytest.raises(PlayRefused):
                async with here.upper.play(channel, answer_seconds=2.0):
                    pass
            await asyncio.sleep(100.0)
            assert here.gateway.orphans == 0
            assert here.plane.sockets() == 0
            assert here.lower_calls.active == here.upper_calls.active == 0

    run(scenario())


def test_a_binding_that_moves_is_audited(link: Link) -> None:
    async def scenario() -> None:
        written = text(**{f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\nbinding = "same-host"'})
        async with world(link, written=written) as here:
            await here.shown()
            await asyncio.sleep(56.0)  # it said nothing for about as long as it takes between keepalives
            body = (
                "<Notify><CmdType>Keepalive</CmdType><SN>9</SN>"
                f"<DeviceID>{LOWER_ID}</DeviceID><Status>OK</Status></Notify>"
            )
            caller = Caller(here, (LOWER, 41022))
            message = register(LOWER_ID, "p1", source=caller.address).replace("REGISTER", "MESSAGE")
            message = message.replace(
                "Content-Length: 0\r\n\r\n",
                f"Content-Type: Application/MANSCDP+xml\r\nContent-Length: {len(body)}\r\n\r\n{body}",
            )
            assert (await caller.send(message)).startswith("SIP/2.0 200 ")
            (note,) = [record for record in here.audit("outer") if record["kind"] == "Note"]
            assert (note["event"], note["peer"]) == ("binding-moved", LOWER_ID)
            moved = {"why": "followed", "before": f"{LOWER}:5060", "after": f"{LOWER}:41022"}
            assert note["details"] == moved
            assert here.trails_whole()
            caller.close()

    run(scenario())


def test_wrong_passwords_make_one_line_not_one_each(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with world(lower_password="wrong") as here:
            await asyncio.sleep(200.0)  # it tries again each minute
            assert not here.gateway.outer.side.as_upper.state()[0].online

    with caplog.at_level(logging.WARNING, logger="cascade.as_upper.refusals"):
        run(scenario())
    lines = [record for record in caplog.records if record.getMessage() == "registrations.refused"]
    assert [line.__dict__["count"] for line in lines] == [1] * len(lines)
    assert lines[0].__dict__["first"] == [f"{LOWER_ID} @ {LOWER}"]
    assert 3 <= len(lines) <= 5
