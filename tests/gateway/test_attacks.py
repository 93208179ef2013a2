"""Somebody on the outer network who wants in: forged sources, guessed numbers, floods. Few of them cost us
more than one answer; none of them moves a picture, a row or a dialog."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from cascade.manscdp import keepalive
from tests.clock import run
from tests.gateway.test_bad_input import STRANGER, Caller, register
from tests.gateway.test_status import drawn, standing
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LOWER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    UPPER,
    UPPER_ID,
    Link,
    Wire,
    World,
    header,
    text,
    world,
)

OFFER = (
    "v=0\r\no=- 0 0 IN IP4 203.0.113.99\r\ns=Play\r\nc=IN IP4 203.0.113.99\r\nt=0 0\r\n"
    "m=video 30000 RTP/AVP 96\r\na=recvonly\r\na=rtpmap:96 PS/90000\r\ny=0100000001\r\n"
)

SAME_HOST = text(**{f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\nbinding = "same-host"'})


def ask(
    method: str,
    sender: str,
    body: str = "",
    kind: str = "Application/MANSCDP+xml",
    *,
    branch: str,
    user: str = OUTER_ID,
    source: tuple[str, int] = STRANGER,
    tags: tuple[str, str, str] = ("", "", ""),
) -> str:
    """A request out of the blue. `tags` are To tag, From tag and Call-ID where it claims a dialog."""
    to_tag, from_tag, call_id = tags
    lines = [
        f"{method} sip:{user}@{OUTER_ID[:10]} SIP/2.0",
        f"Via: SIP/2.0/UDP {source[0]}:{source[1]};rport;branch=z9hG4bK{branch}",
        f"From: <sip:{sender}@{OUTER_ID[:10]}>;tag={from_tag or 'forged'}",
        f"To: <sip:{user}@{OUTER_ID[:10]}>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id or branch}",
        f"CSeq: 7 {method}",
        f"Contact: <sip:{sender}@{source[0]}:{source[1]}>",
        "Max-Forwards: 70",
        *([f"Content-Type: {kind}"] if body else []),
        f"Content-Length: {len(body.encode('gb18030'))}",
    ]
    return "\r\n".join(lines) + "\r\n\r\n" + body


@contextmanager
def caller(here: World, address: tuple[str, int] = STRANGER) -> Iterator[Caller]:
    one = Caller(here, address)
    try:
        yield one
    finally:
        one.close()


def counters(here: World) -> dict[str, int]:
    return here.gateway.outer.side.endpoint.stack.counters()


@pytest.mark.parametrize("sender", ["44010600009990000009", LOWER_ID, UPPER_ID, INNER_ID, OUTER_ID])
def test_a_forged_invite_is_worth_one_datagram_to_its_victim(link: Link, sender: str) -> None:
    """No 100, no repeats of the refusal, no call: whoever forges the source gains nothing by us."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            with caller(here) as stranger:
                invite = ask("INVITE", sender, OFFER, "APPLICATION/SDP", branch="i1", user=here.shared()[0])
                assert (await stranger.send(invite)).startswith("SIP/2.0 403 ")
                await asyncio.sleep(60.0)
                assert len(stranger.answers) == 1
            assert here.gateway.orphans == 0
            assert counters(here)["now_open"] == 0

    run(scenario())


def test_a_registered_lower_may_not_play_what_others_have(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            await asyncio.sleep(1.0)
            records = len(here.audit("outer"))
            with caller(here, (LOWER, 41_000)) as rogue:
                for number, wanted in enumerate((here.shared()[0], here.kept()[0], UPPER_ID)):
                    invite = ask(
                        "INVITE",
                        LOWER_ID,
                        OFFER,
                        "APPLICATION/SDP",
                        branch=f"r{number}",
                        user=wanted,
                        source=rogue.address,
                    )
                    assert (await rogue.send(invite)).startswith("SIP/2.0 403 ")
            assert len(here.audit("outer")) == records  # none of it came as far as the lock

    run(scenario())


def test_a_flood_of_invites_keeps_nobody_from_registering(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            with caller(here) as flood:
                for number in range(2_000):
                    invite = ask("INVITE", f"{number:020d}", OFFER, "APPLICATION/SDP", branch=f"f{number}")
                    flood.throw(invite)
                await asyncio.sleep(1.0)
                assert len(flood.answers) == 2_000
                await here.lower.membership.register(3600)
            assert counters(here)["overload"] == 0
            assert counters(here)["now_open"] == 0

    run(scenario())


@pytest.mark.parametrize("command", ["Catalog", "DeviceInfo", "DeviceStatus"])
@pytest.mark.parametrize("sender", [UPPER_ID, INNER_ID, LOWER_ID])
def test_nobody_on_the_outer_network_may_ask_us_anything(link: Link, command: str, sender: str) -> None:
    """Not as our upper's id (it is unknown on this side), and not as a lower that is registered."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            wire = Wire(here.network)
            wanted = f"<SN>1</SN><DeviceID>{here.shared()[0]}</DeviceID>"
            body = f"<Query><CmdType>{command}</CmdType>{wanted}</Query>"
            for address in (STRANGER, (LOWER, 41_001)):
                with caller(here, address) as rogue:
                    text = ask("MESSAGE", sender, body, branch=f"q{address[1]}", source=address)
                    assert (await rogue.send(text)).startswith("SIP/2.0 403 ")
                    assert len(rogue.answers) == 1
            assert wire.between(OUTER, STRANGER[0], "MESSAGE") == []
            assert [text for text in wire.between(INNER, UPPER, "MESSAGE") if "Catalog" in text] == []

    run(scenario())


def test_rows_that_nobody_asked_for_are_not_taken(link: Link) -> None:
    """A catalog answer needs the number of our question, which is random; the right source is not enough."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            before = len(here.gateway.outer.side.below), len(here.gateway.inner.side.shared)
            with caller(here, (LOWER, 41_002)) as forger:
                for number in range(50):
                    body = (
                        f"<Response><CmdType>Catalog</CmdType><SN>{number}</SN><DeviceID>{LOWER_ID}</DeviceID>"
                        "<SumNum>1</SumNum><DeviceList Num='1'><Item>"
                        "<DeviceID>44010600001329999999</DeviceID><Name>forged</Name><Status>ON</Status></Item></DeviceList></Response>"
                    )
                    text = ask("MESSAGE", LOWER_ID, body, branch=f"c{number}", source=forger.address)
                    assert (await forger.send(text)).startswith("SIP/2.0 403 ")  # it registered elsewhere
                    own = text.replace("rt=", "x=").replace("branch=z9hG4bKc", "branch=z9hG4bKd")
                    here.network.carry(own.encode("gb18030"), (LOWER, 5060), (OUTER, 5060))
            await asyncio.sleep(1.0)
            assert (len(here.gateway.outer.side.below), len(here.gateway.inner.side.shared)) == before
            assert here.gateway.outer.side.as_upper.counters()["catalog_pages_unknown"] == 50

    run(scenario())


def test_numbers_of_questions_and_streams_can_not_be_counted_on(link: Link) -> None:
    """Who is asked or invited itself does not learn what its neighbours will be asked under."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            wire = Wire(here.network)
            for channel in here.shared()[:3]:
                await here.upper.device_status(target=channel)
                async with here.upper.play(channel):
                    await asyncio.sleep(1.0)
                await here.upper.device_info(target=channel)
            await asyncio.sleep(30.0)
            invites = wire.between(OUTER, LOWER, "INVITE")
            streams = [int(text.partition("y=")[2][:10]) for text in invites]
            queries = wire.between(OUTER, LOWER, "MESSAGE")
            questions = [int(text.partition("<SN>")[2].partition("<")[0]) for text in queries]
            for numbers in (streams, questions):
                assert len(numbers) >= 3
                assert all(abs(later - former) > 1 for former, later in pairwise(numbers))

    run(scenario())


def test_a_forged_bye_without_the_tags_ends_no_picture(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            wire = Wire(here.network)
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(1.0)
                (invite,) = wire.between(OUTER, LOWER, "INVITE")
                call_id = header(invite, "Call-ID")
                own_tag = header(invite, "From").partition("tag=")[2]
                with caller(here, (LOWER, 41_003)) as forger:
                    for number, tags in enumerate((("x", "y", call_id), (own_tag, "guessed", call_id))):
                        bye = ask("BYE", LOWER_ID, branch=f"b{number}", source=forger.address, tags=tags)
                        assert (await forger.send(bye)).startswith("SIP/2.0 481 ")
                seen = playing.report().frames_decoded
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded >= seen + 45

    run(scenario())


def test_forged_keepalives_move_a_binding_once_and_fill_no_audit_trail(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=SAME_HOST) as here:
            await here.shown()
            for number in range(200):
                with caller(here, (LOWER, 42_000 + number)) as forger:
                    body = keepalive.write(sn=number, device_id=LOWER_ID).decode("gb18030")
                    text = ask("MESSAGE", LOWER_ID, body, branch=f"k{number}", source=forger.address)
                    forger.throw(text)
                    await asyncio.sleep(1.0)
            moves = [record["details"]["why"] for record in here.audit("outer") if record["kind"] == "Note"]
            assert moves == ["followed", "returned"]  # at the peer's own next keepalive, for good
            assert here.gateway.outer.side.as_upper.state()[0].address == f"{LOWER}:5060"
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(1.0)
                assert playing.report().frames_decoded > 10

    run(scenario())


def test_a_contact_can_not_write_headers_of_our_answer(link: Link) -> None:
    """What a peer put into Contact comes back in the 200 of its REGISTER, and nowhere else."""

    async def scenario() -> None:
        async with world(link) as here:
            wire = Wire(here.network)
            await here.lower.membership.register(3600)
            registrations = [t for t in wire.between(LOWER, OUTER, "REGISTER") if "Authorization" in t]
            assert registrations
            for odd in (
                "<sip:a@b>\r\n ;x=1\r\n Evil: yes",
                '"\\"<sip:x@y>" <sip:a@b>;expires=5',
                "<sip:a@b%0d%0aEvil:%20yes>",
                "<sip:a@b>,<sip:c@d>",
            ):
                with caller(here) as rogue:
                    text = register(LOWER_ID, "ct")
                    old = next(line for line in text.split("\r\n") if line.startswith("Contact"))
                    answer = await rogue.send(text.replace(old, f"Contact: {odd}"))
                    assert not [line for line in answer.split("\r\n") if line.lower().startswith("evil")]

    run(scenario())


def test_a_storm_of_wrong_passwords_is_one_line_that_a_terminal_survives(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            with caller(here) as storm, caplog.at_level(logging.WARNING):
                for number in range(500):
                    credentials = (
                        f'Digest username="{number}", realm="{OUTER_ID[:10]}", nonce="AAAA", '
                        f'uri="sip:{OUTER_ID}@{OUTER_ID[:10]}", response="{number:032x}"'
                    )
                    text = register(f"{number}", f"w{number}", credentials)
                    storm.throw(text)
                await asyncio.sleep(1.0)
                assert len(storm.answers) == 500
                assert {answer[:12] for answer in storm.answers} == {"SIP/2.0 401 "}
            lines = [record for record in caplog.records if record.getMessage() == "registrations.refused"]
            assert len(lines) == 1
            assert (
                counters(here)["now_nonces"] <= 2
            )  # those of the lower platform itself: strangers cost none

    run(scenario())


def test_one_answer_is_never_much_larger_than_its_question(link: Link) -> None:
    """Nobody can use us to multiply traffic towards a forged source."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            questions = [
                register("1", "a1"),
                ask("INVITE", "1", OFFER, "APPLICATION/SDP", branch="a2"),
                ask("MESSAGE", "1", "<Query><CmdType>Catalog</CmdType><SN>1</SN></Query>", branch="a3"),
                ask("OPTIONS", "1", branch="a4"),
                ask("SUBSCRIBE", "1", branch="a5"),
                ask("BYE", "1", branch="a6", tags=("a", "b", "c")),
                ask("INVITE", "1", branch="a7", tags=("a", "b", "c")),
                ask("CANCEL", "1", branch="a8"),
                ask("ACK", "1", branch="a9"),
                "MESSAGE sip:x SIP/2.0\r\n\r\n",
            ]
            with caller(here) as stranger:
                for question in questions:
                    await stranger.send(question)
                    await asyncio.sleep(40.0)
                    came = sum(len(answer) for answer in stranger.answers)
                    assert came <= 2 * len(question), (question, stranger.answers)

    run(scenario())


def test_guesses_in_a_peer_s_name_from_its_own_address_cost_few_decisions_and_the_peer_passes(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever forges its address spends what it has of wrong digests; a right one is never counted."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            side = here.gateway.outer.side
            caller = Caller(here, (LOWER, 41_022))
            wire = Wire(here.network)
            before = side.endpoint.stack.counters()["digest_wrong"]
            for turn in range(60):
                for number in range(25):
                    guess = (
                        f'Digest username="{LOWER_ID}", realm="{OUTER_ID[:10]}", nonce="AAAA", '
                        f'uri="sip:{OUTER_ID}@{OUTER_ID[:10]}", '
                        f'response="{turn:016x}{number:016x}", algorithm=MD5'
                    )
                    caller.throw(register(LOWER_ID, f"g{turn}-{number}", guess, caller.address))
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.1)
            counters = side.counters()
            assert counters["digest_wrong"] - before == 1500
            decided = 1500 - counters["failures_curtly"]
            assert 390 <= decided <= 410  # a second's worth at once, and three seconds'
            assert counters["registrations_put_off"] < decided
            assert len(caller.answers) == 1500
            asked = len(wire.between(LOWER, OUTER, "REGISTER"))
            assert await here.lower.membership.register(3600) == 3600
            assert len(wire.between(LOWER, OUTER, "REGISTER")) == asked + 2  # its challenge, and its proof
            assert side.as_upper.state()[0].address == f"{LOWER}:5060"
            shown = drawn(standing(here), None, "en", columns=240)
            assert "limit failures_of_source met" in shown
            caller.close()

    with caplog.at_level(logging.WARNING, logger="gateway.side.router"):
        run(scenario())
    told = [vars(line) for line in caplog.records if line.getMessage() == "limit.reached"]
    assert [(line["limit"], line["source"]) for line in told] == [("failures_of_source", f"{LOWER}:41022")]
