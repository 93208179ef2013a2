"""Whatever is wrong on the wire: a status, a counter, and one line of each source and kind, however often."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest

from interop.attacks.ground import Target, prepared
from tests.clock import run
from tests.gateway.test_bad_input import Caller
from tests.gateway.world import LOWER_ID, OUTER, OUTER_ID, PASSWORD, text, world

HOST: Final = "203.0.113.77"
AWAY: Final = ("203.0.113.99", 5060)
TARGET: Final = Target((OUTER, 5060), OUTER_ID, OUTER_ID[:10], LOWER_ID, PASSWORD)
TIMES: Final = 5
DOMAIN: Final = OUTER_ID[:10]


def xml(root: str, command: str, rest: str = "") -> str:
    return f"<{root}><CmdType>{command}</CmdType><SN>7</SN><DeviceID>{LOWER_ID}</DeviceID>{rest}</{root}>"


def request(
    method: str,
    *,
    body: str = "",
    kind: str = "Application/MANSCDP+xml",
    uri: str = f"sip:{OUTER_ID}@{DOMAIN}",
    more: str = "",
    cseq: str = "",
    version: str = "2.0",
    tag: str = "",
) -> Callable[[int], str]:
    """Writes it once more, as another request each time."""

    def written(number: int) -> str:
        return (
            f"{method} {uri} SIP/{version}\r\n"
            f"Via: SIP/2.0/UDP 10.9.8.7:5060;rport;branch=z9hG4bK{number}\r\n"
            f"From: <sip:{LOWER_ID}@{DOMAIN}>;tag=t{number}\r\n"
            f"To: <sip:{OUTER_ID}@{DOMAIN}>{tag}\r\n"
            f"Call-ID: table-{number}\r\nCSeq: {cseq or f'20 {method}'}\r\n"
            f"Contact: <sip:{LOWER_ID}@10.9.8.7:5060>\r\n"
            f"{'' if 'Max-Forwards' in more else 'Max-Forwards: 70' + chr(13) + chr(10)}{more}"
            + (f"Content-Type: {kind}\r\n" if body else "")
            + f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    return written


@dataclass(frozen=True)
class Row:
    """`status` 0 is no answer; `counter` counts each, `line` is the event that tells of the first."""

    name: str
    wrong: Callable[[int], str]
    status: int
    counter: str
    line: str
    peer: bool = True  # from the address of a peer that is registered, else of nobody we know


KEEPALIVE: Final = xml("Notify", "Keepalive", "<Status>OK</Status>")
SECRET: Final = 'Digest username="{0}", realm="{1}", nonce="n", uri="sip:x", response="{2}", algorithm=MD5'
WRONG: Final = f"Authorization: {SECRET.format(LOWER_ID, DOMAIN, '0' * 32)}\r\n"


def malformed(name: str, wrong: Callable[[int], str], status: int, counter: str = "malformed") -> Row:
    return Row(name, wrong, status, counter, "sip.malformed")


def refused(name: str, wrong: Callable[[int], str], status: int) -> Row:
    return Row(name, wrong, status, f"refused_{status}", "request.refused")


def strange(name: str, wrong: Callable[[int], str], counter: str = "strangers") -> Row:
    return Row(f"{name} of a stranger", wrong, 403, counter, "request.refused", peer=False)


CATALOG: Final = "Event: Catalog\r\n"
ACTIVE: Final = "Subscription-State: active\r\n"
LONG: Final = f"<AlarmDescription>{'x' * 5000}</AlarmDescription>"
OFFER: Final = {"body": "v=0", "kind": "APPLICATION/SDP"}
ALARM: Final = request("MESSAGE", body=xml("Notify", "Alarm", LONG))
GUESS: Final = request("REGISTER", more=f"Expires: 60\r\n{WRONG}")

ROWS: Final = [
    malformed("no message at all", lambda n: f"junk {n}\r\n\r\n", 0),
    malformed("another method in CSeq", request("MESSAGE", cseq="1 INVITE"), 400),
    malformed("another version", request("OPTIONS", version="7.0"), 505),
    malformed("a URI of another scheme", request("OPTIONS", uri="tel:1"), 416, "unsupported"),
    malformed("an extension", request("OPTIONS", more="Require: nothing\r\n"), 420, "unsupported"),
    refused("a method that nobody knows", request("DANCE"), 405),
    refused("no dialog", request("BYE", tag=";tag=none"), 481),
    refused("a body of no kind of ours", request("MESSAGE", body="x", kind="text/plain"), 415),
    refused("a body without a head", request("MESSAGE", body="<Notify>"), 400),
    refused("no body", request("MESSAGE"), 400),
    refused("a command from below", request("MESSAGE", body=xml("Control", "DeviceControl")), 403),
    refused("a question from below", request("MESSAGE", body=xml("Query", "Catalog")), 403),
    refused("a subscription from below", request("SUBSCRIBE", more=CATALOG), 403),
    refused(
        "a notice that nobody asked for",
        request("NOTIFY", body=xml("Notify", "Catalog"), more=CATALOG + ACTIVE),
        481,
    ),
    refused("a picture asked for from below", request("INVITE", **OFFER), 403),
    Row("an alarm that cannot be read", ALARM, 400, "alarms_unreadable", "alarm.unreadable"),
    Row("a wrong digest", GUESS, 401, "digest_wrong", "registrations.refused"),
    strange("a keepalive", request("MESSAGE", body=KEEPALIVE)),
    strange("a question", request("OPTIONS")),
    strange("an INVITE", request("INVITE", **OFFER)),
    strange("a notice", request("NOTIFY", more=CATALOG)),
    strange("a subscription", request("SUBSCRIBE", more=CATALOG)),
    Row("junk of a stranger", lambda n: f"junk {n}\r\n\r\n", 0, "malformed", "sip.malformed", peer=False),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_has_a_status_a_counter_and_one_line(row: Row, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with (
            world(written=text(), lower_runs=False) as here,
            prepared(here.network, TARGET, HOST, HOST) as ground,
        ):
            peer = ground.peer.line
            side = here.gateway.outer.side
            stranger = Caller(here, AWAY)
            before = dict(side.counters()) | dict(side.as_upper.counters())
            lines = len(caplog.records)
            for number in range(TIMES):
                if row.peer and row.status == 0:
                    peer.throw(row.wrong(number).encode())
                    status = 0
                elif row.peer:
                    answer = await peer.ask(row.wrong(number).encode())
                    status = 0 if answer is None else answer.status
                else:
                    said = await stranger.send(row.wrong(number))
                    status = int(said.split()[1]) if said else 0
                assert status == row.status
            await asyncio.sleep(11.0)  # sums are written now and then
            after = dict(side.counters()) | dict(side.as_upper.counters())
            assert after[row.counter] - before.get(row.counter, 0) == TIMES
            told = [one for one in caplog.records[lines:] if one.getMessage() == row.line]
            assert len(told) == 1, [one.getMessage() for one in caplog.records[lines:]]
            assert (HOST if row.peer else AWAY[0]) in str(vars(told[0])) or LOWER_ID in str(vars(told[0]))
            assert await ground.peer.beat() == 200  # and the peer is as it was
            stranger.close()

    with caplog.at_level(logging.WARNING):
        run(scenario())
