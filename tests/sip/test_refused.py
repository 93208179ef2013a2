"""Sound requests that ask for what nobody here does: a status, and no transaction (RFC 3261 8.2)."""

import asyncio

import pytest

from sip._native import Core, parse
from sip.aio.calls import Calls
from sip.errors import TransactionTimeout
from sip.events import Kind
from tests.sip.ground import AT_CAMERA, AT_GATEWAY, CAMERA, GATEWAY, Puppet, endpoint, header
from tests.sip.network import Network
from tests.sip.talk import invite, play

SOUND = (
    f"INVITE {GATEWAY.uri} SIP/2.0\n"
    "Via: SIP/2.0/UDP 203.0.113.50:5060;branch=z9hG4bK7\n"
    f"From: <{CAMERA.uri}>;tag=1\nTo: <{GATEWAY.uri}>\nCall-ID: c1\nCSeq: 1 INVITE\n"
    "Max-Forwards: 70\nContent-Length: 0\n\n"
)


def core() -> Core:
    return Core(AT_GATEWAY, "r", ["203.0.113.0/24"], bytes(32))


def fed(text: str) -> tuple[str, list[int], dict[str, int]]:
    """The answer, the kinds of the events, and the counters."""
    engine = core()
    engine.feed(text.replace("\n", "\r\n").encode(), AT_CAMERA, 0.0)
    answers = [payload.decode() for payload, _ in engine.take_outputs()]
    return "".join(answers), [event.kind for event in engine.take_events(9)], engine.counters()


@pytest.mark.parametrize(
    ("old", "new", "status", "name", "value"),
    [
        (GATEWAY.uri + " ", "tel:110 ", 416, "", ""),
        (GATEWAY.uri + " ", "sip:a@b?Subject=x ", 400, "", ""),
        (GATEWAY.uri + " ", "sip:2001:db8::1 ", 400, "", ""),
        ("Max-Forwards: 70", "Max-Forwards: 0", 483, "", ""),
        ("Max-Forwards: 70", "Require: 100rel\nRequire: path, x", 420, "Unsupported", "100rel, path, x"),
        ("Max-Forwards: 70", "Content-Encoding: gzip", 415, "Accept-Encoding", "identity"),
        ("Max-Forwards: 70", "e: GZIP", 415, "Accept-Encoding", "identity"),
        ("CSeq: 1 INVITE", "CSeq: 1 INVITE\nCSeq: 2 INVITE", 400, "", ""),
        ("SIP/2.0", "SIP/3.1", 505, "", ""),
    ],
)
def test_each_has_its_status_and_no_transaction(
    old: str, new: str, status: int, name: str, value: str
) -> None:
    answer, kinds, counters = fed(SOUND.replace(old, new))
    assert answer.startswith(f"SIP/2.0 {status} ")
    assert header(answer, name) == value if name else True
    assert (kinds, counters["now_open"]) == ([Kind.MALFORMED], 0)
    assert counters["unsupported"] + counters["malformed"] == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Max-Forwards: 70", "e: identity"),
        ("Max-Forwards: 70", "Proxy-Require: x"),
        (f"To: <{GATEWAY.uri}>\n", f"To: <{GATEWAY.uri}>;tag=9\n"),
        ("INVITE", "MESSAGE"),
    ],
)
def test_what_is_no_reason_to_refuse(old: str, new: str) -> None:
    text = SOUND.replace(old, new)
    if old != "Max-Forwards: 70":  # it ends here, so nobody carries it on
        text = text.replace("Max-Forwards: 70", "Max-Forwards: 0")
    answer, kinds, _ = fed(text)
    assert (answer, len(kinds)) == ("", 1)
    assert kinds[0] in (Kind.INVITE, Kind.MESSAGE)


@pytest.mark.parametrize("way", ["straight", "through a proxy", "through two"])
def test_a_request_of_ours_that_comes_back_is_482(way: str) -> None:
    engine = core()
    headers = [("From", "<sip:a@b>;tag=1"), ("To", "<sip:c@d>"), ("Call-ID", "c"), ("CSeq", "1 MESSAGE")]
    engine.send([("MESSAGE", "sip:c@d", AT_CAMERA, headers, b"", 0)], 0.0)
    [(ours, _)] = engine.take_outputs()
    proxy = b"Via: SIP/2.0/UDP 203.0.113.50;branch=z9hG4bKp\r\n"
    if way != "straight":
        ours = ours.replace(b"Via: ", proxy + b"Via: ", 1)
    if way == "through two":
        ours = ours.replace(b"z9hG4bKp\r\nVia: ", b"z9hG4bKp, SIP/2.0/UDP x;branch=z9hG4bKq, ", 1)
    engine.feed(ours, AT_CAMERA, 0.1)
    [(answer, _)] = engine.take_outputs()
    assert parse(answer).status == 482
    assert engine.counters()["unsupported"] == 1


def test_their_invite_in_the_dialog_that_ours_has_not_made_yet_is_491() -> None:
    async def scenario(network: Network) -> None:
        end, _ = endpoint(network, GATEWAY, AT_GATEWAY)
        puppet = Puppet(network)

        async def place(calls: Calls) -> None:
            with pytest.raises(TransactionTimeout):
                async with calls.place(invite(end), answer_seconds=5.0):
                    pass

        async with Calls(end) as calls, asyncio.TaskGroup() as tasks:
            tasks.create_task(place(calls))
            asked = await puppet.expect("INVITE")
            puppet.answer(asked, "180 Ringing")
            crossing = SOUND.replace("Call-ID: c1", f"Call-ID: {header(asked, 'Call-ID')}")
            puppet.say(crossing.replace(f"To: <{GATEWAY.uri}>", f"To: {header(asked, 'From')}"))
            assert (await puppet.expect("SIP/2.0 4")).startswith("SIP/2.0 491 Request Pending")
            puppet.answer(await puppet.expect("CANCEL"), "200 OK")
            puppet.answer(asked, "487 Request Terminated")
        puppet.close()

    play(scenario)
