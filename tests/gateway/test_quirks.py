"""What devices and platforms of the field do against the letter, at the whole gateway (docs/quirks.md)."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from cascade.status import FAILURE_STATUS, failure_of
from interop.attacks import wire
from interop.attacks.ground import Ground, Line, Target, prepared
from interop.attacks.wire import Answer
from interop.sim.sending import Behaviour
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.by_hand import below
from tests.gateway.test_bad_input import STRANGER, Caller
from tests.gateway.test_status import drawn, standing
from tests.gateway.test_transports import LISTENING, TCP_ABOVE, TCP_BELOW
from tests.gateway.world import (
    INNER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    PASSWORD,
    UPPER,
    Link,
    Wire,
    World,
    header,
    text,
    world,
)
from tests.sip.bytestreams import Talker

HOST = "203.0.113.77"
TARGET = Target((OUTER, 5060), OUTER_ID, OUTER_ID[:10], LOWER_ID, PASSWORD)
KEEPALIVE = (
    '<?xml version="1.0"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>7</SN>\r\n'
    f"<DeviceID>{LOWER_ID}</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n"
)
TYPE = "Content-Type: Application/MANSCDP+xml"


def played(scenario: Callable[[World, Ground], Awaitable[None]]) -> None:
    """With the lower platform's account in our hands, registered from `HOST`."""

    async def whole() -> None:
        async with world(lower_runs=False) as here, prepared(here.network, TARGET, HOST, HOST) as ground:
            await scenario(here, ground)

    run(whole())


def message(line: Line, *, kind: str = TYPE, length: int | None = None, body: str = KEEPALIVE) -> bytes:
    """A MESSAGE of the peer written by hand, its lines as given."""
    branch = wire.branch()
    lines = [
        f"MESSAGE sip:{OUTER_ID}@{OUTER_ID[:10]} SIP/2.0",
        f"Via: SIP/2.0/UDP 10.9.8.7:5060;rport;branch={branch}",
        f"From: <sip:{LOWER_ID}@10.9.8.7>;tag=q",
        f"To: <sip:{OUTER_ID}@{OUTER_ID[:10]}>",
        f"Call-ID: {branch}",
        "CSeq: 20 MESSAGE",
        *([kind] if kind else []),
        f"Content-Length: {len(body) if length is None else length}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def status(answer: Answer | None) -> int:
    return answer.status if answer else 0


def test_q01_a_challenge_names_its_algorithm_and_offers_qop() -> None:
    async def scenario(_: World, ground: Ground) -> None:
        answer = await ground.peer.line.ask(ground.peer.next().written(ground.peer.line))
        assert answer is not None
        challenges = answer.values("WWW-Authenticate")
        assert challenges
        assert all(re.search(r"\balgorithm=(MD5|SHA-256|SM3)\b", value) for value in challenges)
        assert all('qop="auth"' in value for value in challenges)

    played(scenario)


def test_q02_a_proof_without_qop_and_algorithm_over_another_host_is_right() -> None:
    async def scenario(_: World, ground: Ground) -> None:
        asked = replace(await ground.peer.challenged(), algorithm="MD5", qop="")
        proof = replace(ground.peer.proof(), uri=f"sip:{OUTER_ID}@192.0.2.200:5061").header(asked)
        register = ground.peer.next(authorization=proof.replace(", algorithm=MD5", ""))
        assert status(await ground.peer.line.ask(register.written(ground.peer.line))) == 200

    played(scenario)


@pytest.mark.parametrize("host", ["192.0.2.50:5060", "camera.example", "4401060000"])
def test_q03_hosts_in_from_to_and_request_uri_mean_nothing(host: str) -> None:
    async def scenario(here: World, ground: Ground) -> None:
        line = ground.peer.line
        line.target = replace(TARGET, domain=host)
        await ground.peer.register()
        assert await ground.peer.beat() == 200
        (state,) = here.gateway.outer.side.as_upper.state()
        assert state.address == f"{HOST}:{line.address[1]}"

    played(scenario)


def test_q04_the_200_on_the_wire_is_complete() -> None:
    async def scenario(here: World, ground: Ground) -> None:
        wire_ = Wire(here.network)
        asked = await ground.peer.challenged()
        register = ground.peer.next(authorization=ground.peer.proof().header(asked))
        answer = await ground.peer.line.ask(register.written(ground.peer.line))
        assert answer is not None
        assert len(wire_.between(OUTER, HOST, "SIP/2.0 200 OK\r\n")) == 1
        (to,), (expires,), (contact,), (date,) = map(answer.values, ("To", "Expires", "Contact", "Date"))
        assert ";tag=" in to
        assert int(expires) > 0
        assert HOST in contact
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?", date)

    played(scenario)


def test_q07_answers_go_to_the_packets_source_whatever_via_says() -> None:
    async def scenario(here: World, ground: Ground) -> None:
        line, wire_ = ground.peer.line, Wire(here.network)
        hidden = message(line).replace(b";rport", b"")
        assert b"10.9.8.7:5060;branch" in hidden
        assert status(await line.ask(hidden)) == 200
        (answer,) = wire_.between(OUTER, HOST, "SIP/2.0 200")
        assert f"received={HOST}" in header(answer, "Via")
        assert wire_.between(OUTER, "10.9.8.7", "") == []

    played(scenario)


def test_q12_numbers_and_calls_that_never_change_are_requests_of_their_own() -> None:
    """CSeq 20 and one Call-ID without a host in each keepalive and each REGISTER: branches alone differ."""

    async def scenario(here: World, ground: Ground) -> None:
        line = ground.peer.line
        (before,) = here.gateway.outer.side.as_upper.state()
        lease = here.gateway.outer.side.as_upper.last_lease(before.peer)
        assert lease is not None
        for _ in range(4):
            await asyncio.sleep(50.0)
            fixed = re.sub(rb"Call-ID: [^\r]+", b"Call-ID: 12345", message(line))
            heard = lease.heard
            assert status(await line.ask(fixed)) == 200
            assert lease.heard > heard
        for _ in range(3):
            ground.peer.call_id, ground.peer.number = "12345", 19
            await ground.peer.register()
            (after,) = here.gateway.outer.side.as_upper.state()
            assert after.online

    played(scenario)


def test_q08_a_version_header_is_taken_and_ours_given_back() -> None:
    async def scenario(_: World, ground: Ground) -> None:
        asked = await ground.peer.challenged()
        register = ground.peer.next(authorization=ground.peer.proof().header(asked))
        register = replace(register, more=(("X-GB-Ver", "3.0"), ("X-Odd", "1")))
        answer = await ground.peer.line.ask(register.written(ground.peer.line))
        assert answer is not None
        assert answer.status == 200
        assert answer.values("X-GB-Ver")

    played(scenario)


def test_q44_q61_every_request_of_ours_is_complete_and_outside_dialogs_has_no_to_tag() -> None:
    async def scenario() -> None:
        async with world() as here:
            sent: list[tuple[tuple[str, int], str]] = []

            def note(
                _at: float, payload: bytes, source: tuple[str, int], _to: tuple[str, int], _came: bool
            ) -> None:
                if payload[:1].isalpha() and not payload.startswith(b"SIP/2.0"):
                    sent.append((source, payload.decode("gb18030", "replace")))

            here.network.taps.append(note)
            await here.shown()
            async with here.upper.play(here.shared()[0]):
                await asyncio.sleep(2.0)
            await here.upper.device_info(target=here.shared()[0])
            await asyncio.sleep(120.0)
            ours = {text: source for source, text in sent if source[0] in (OUTER, INNER)}  # repeats are one
            assert {text.partition(" ")[0] for text in ours} >= {
                "REGISTER",
                "MESSAGE",
                "INVITE",
                "ACK",
                "BYE",
            }
            branches = []
            for text, (host, port) in ours.items():
                method = text.partition(" ")[0]
                via = header(text, "Via")
                assert via.startswith(f"SIP/2.0/UDP {host}:{port};"), text
                branches.append((via.partition("branch=")[2], method))
                assert ";tag=" in header(text, "From"), text
                assert (";tag=" in header(text, "To")) == (method in {"ACK", "BYE"}), text
                assert header(text, "Max-Forwards") == "70", text
                assert header(text, "Content-Length"), text
            assert len(set(branches)) == len(branches)
            assert all(branch.startswith("z9hG4bK") for branch, _ in branches)

    run(scenario())


def test_q105_a_body_behind_a_length_of_zero_is_read_of_whom_we_know() -> None:
    async def scenario(here: World, ground: Ground) -> None:
        line = ground.peer.line
        assert status(await line.ask(message(line, length=0))) == 200
        assert here.gateway.outer.side.endpoint.stack.counters()["body_beyond_length"] == 1
        assert status(await line.ask(message(line, length=0, body=""))) == 400
        async with ground.line() as other:  # nobody we know: its body is not looked at
            assert status(await other.ask(message(other, length=0))) in (400, 403)

    played(scenario)


def test_q106_an_empty_line_in_a_body_belongs_to_it() -> None:
    """What stands behind the empty line is read: here, that the device is not well."""

    async def scenario(here: World, ground: Ground) -> None:
        line = ground.peer.line
        body = KEEPALIVE.replace("<Status>OK", "\r\n\r\n<Status>ERROR")
        assert status(await line.ask(message(line, body=body))) == 200
        assert here.gateway.outer.side.as_upper.state()[0].fault

    played(scenario)


@pytest.mark.parametrize("kind", [TYPE, ""])
def test_q107_a_message_without_a_body_is_400(kind: str) -> None:
    async def scenario(_: World, ground: Ground) -> None:
        line = ground.peer.line
        assert status(await line.ask(message(line, kind=kind, body=""))) == 400
        assert await ground.peer.beat() == 200

    played(scenario)


@pytest.mark.parametrize(
    "kind",
    [
        "Content-Type: application/manscdp+xml;charset=gb2312",
        "Content-Type: APPLICATION/MANSCDP+XML",
        'c: Application/MANSCDP+xml ; charset="GB2312"',
    ],
)
def test_q108_a_type_is_read_in_any_spelling_and_written_as_the_standard_has_it(kind: str) -> None:
    async def scenario(here: World, ground: Ground) -> None:
        line, wire_ = ground.peer.line, Wire(here.network)
        assert status(await line.ask(message(line, kind=kind))) == 200
        await ground.peer.register(expires=0)
        await ground.peer.register()
        await asyncio.sleep(1.0)  # it came back, and is asked for its catalog
        asked = wire_.between(OUTER, HOST, "MESSAGE")
        assert {header(one, "Content-Type") for one in asked} == {"Application/MANSCDP+xml"}

    played(scenario)


def test_q109_a_scanner_gets_little_and_writes_nothing_into_our_log(caplog: pytest.LogCaptureFixture) -> None:
    junk = "friendly-scanner"

    async def scenario() -> None:
        async with world() as here:
            await here.shown()
            scanner = Caller(here, STRANGER)
            lines = len(caplog.records)
            for number in range(200):
                method = ("OPTIONS", "REGISTER", "INVITE")[number % 3]
                headers = [
                    ("From", f'"{junk}" <sip:{100 + number}@1.1.1.1>;tag={junk}'),
                    ("To", f'"{junk}" <sip:{100 + number}@1.1.1.1>'),
                    ("Call-ID", f"{junk}{number}"),
                    ("CSeq", f"1 {method}"),
                    ("User-Agent", junk),
                ]
                question = wire.request(
                    method, "sip:100@1.1.1.1", STRANGER, wire.branch(), headers, junk.encode() * 50
                )
                scanner.throw(question.decode())
            await asyncio.sleep(60.0)
            assert len(scanner.answers) <= 200
            assert all(len(answer) < 700 for answer in scanner.answers)
            assert {answer[8:11] for answer in scanner.answers} <= {"401", "403", "404"}
            assert len(caplog.records) - lines < 10
            scanner.close()

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert junk not in caplog.text


def test_q110_what_a_device_says_of_its_refusal_is_for_our_operator_and_ours_for_the_upper(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = "channel offline at 10.9.8.7"

    async def scenario() -> None:
        async with below(link) as (here, lower):
            wire = Wire(here.network)

            async def refuse() -> None:
                invite = await lower.invited()
                lower.reply(invite, "480 Gone Fishing", headers=[f'Warning: 399 10.9.8.7 "{theirs}"'])

            refusing = asyncio.get_running_loop().create_task(refuse())
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(here.shared()[0]):
                    pass
            await refusing
            assert refused.value.status == 480
            (answer,) = set(wire.between(INNER, UPPER, "SIP/2.0 480"))
            assert header(answer, "Warning") == '399 lockgate "it is offline, or its platform is"'
            assert not any(theirs in text or "Fishing" in text for text in wire.between(INNER, UPPER, ""))

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert any(theirs in str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize(("below", "above"), [(699, 500), (606, 488), (433, 500), (499, 500), (503, 486)])
def test_q111_a_number_that_a_device_makes_up_is_a_status_of_ours_above(
    link: Link, below: int, above: int
) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            here.lower.senders.behaviours[channel] = Behaviour(refuse=below)
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(channel):
                    pass
            assert refused.value.status in FAILURE_STATUS.values()
            assert refused.value.status == above

    run(scenario())


def test_q111_every_failure_is_a_status_of_sip_and_every_status_a_failure() -> None:
    assert all(400 <= status < 700 for status in FAILURE_STATUS.values())
    for number in (-1024, 0, 199, 299, *range(300, 800), 10**9):
        assert 400 <= FAILURE_STATUS[failure_of(number)] < 700


def test_q13_of_the_connections_that_one_device_opens_the_newest_stay_and_others_lose_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with world(written=text(**LISTENING), below=TCP_BELOW, above=TCP_ABOVE) as here:
            await here.shown()
            opened = [Talker() for _ in range(40)]
            for number, talker in enumerate(opened):
                here.network.wires.connect(("203.0.113.120", 20_000 + number), (OUTER, 5060), talker)
                await asyncio.sleep(0.1)
            assert [talker.closed for talker in opened] == [True] * 32 + [False] * 8
            assert here.gateway.outer.side.counters()["streams_of_source"] == 32
            assert "limit connections_of_source met 32 times" in drawn(
                standing(here), None, "en", columns=240
            )
            assert here.gateway.outer.side.as_upper.state()[0].online

    with caplog.at_level(logging.WARNING, logger="gateway.side.router"):
        run(scenario())
    told = [vars(line) for line in caplog.records if line.getMessage() == "limit.reached"]
    assert [line["limit"] for line in told] == ["connections_of_source"]
