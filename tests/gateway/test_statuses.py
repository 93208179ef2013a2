"""What nobody here can serve: the status of RFC 3261 and the header that helps, by UDP and TCP alike."""

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from tests.clock import run
from tests.gateway.torture import LISTENING
from tests.gateway.world import INNER, INNER_ID, UPPER, UPPER_ID, World, header, text, world
from tests.sip.bytestreams import Talker

AT: Final = (UPPER, 5071)
"""Where the upper platform speaks from, beside its usual place."""

SDP: Final = "v=0\r\no=- 0 0 IN IP4 198.51.100.10\r\ns=Play\r\nc=IN IP4 198.51.100.10\r\nt=0 0\r\n"


def request(
    method: str,
    *lines: str,
    transport: str,
    uri: str = f"sip:{INNER_ID}@{INNER}:5060",
    version: str = "SIP/2.0",
    body: str = "",
    branch: str = "one",
) -> bytes:
    head = [
        f"{method} {uri} {version}",
        f"Via: SIP/2.0/{transport.upper()} {UPPER}:{AT[1]};rport;branch=z9hG4bK{branch}",
        f"From: <sip:{UPPER_ID}@{UPPER}>;tag=up",
        f"To: <sip:{INNER_ID}@{INNER}>",
        "Call-ID: statuses",
        f"CSeq: 1 {method}",
        "Max-Forwards: 70",
        f"Contact: <sip:{UPPER_ID}@{UPPER}:{AT[1]}>",
        *lines,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", body]).encode()


class By:
    """Somebody who speaks from `AT` by one transport; answers in order."""

    def __init__(self, here: World, transport: str) -> None:
        self._here, self._heard = here, bytearray()
        self._talker = Talker()
        self._port = None
        if transport == "udp":
            self._port = here.network.datagrams(AT, lambda data, _source: self._heard.extend(data))
        else:
            here.network.wires.connect(AT, (INNER, 5060), self._talker)

    def send(self, *messages: bytes) -> None:
        for message in messages:
            if self._port is not None:
                self._port.send(message, (INNER, 5060))
            else:
                self._talker.end.write(message)

    def finals(self) -> list[str]:
        """The final answers so far."""
        texts = (bytes(self._heard) + bytes(self._talker.heard)).decode().split("SIP/2.0 ")[1:]
        return [f"SIP/2.0 {answer}" for answer in texts if answer[0] != "1"]

    def close(self) -> None:
        if self._port is not None:
            self._port.close()
        else:
            self._talker.end.close()


QUERY: Final = (
    f'<?xml version="1.0"?>\r\n<Query>\r\n<CmdType>Catalog</CmdType>\r\n<SN>1</SN>\r\n'
    f"<DeviceID>{INNER_ID}</DeviceID>\r\n</Query>\r\n"
)
ENCODED: Final = "Content-Encoding: gzip"
SOON: Final = ("Event: Catalog;id=1", "Expires: 5", "Content-Type: Application/MANSCDP+xml")

CASES: Final[dict[str, tuple[Callable[[str], bytes], str, str]]] = {
    "405": (lambda by: request("PUBLISH", transport=by), "Allow", "OPTIONS, INVITE, ACK, CANCEL, BYE, "),
    "415 encoded": (
        lambda by: request("MESSAGE", ENCODED, transport=by, body="x"),
        "Accept-Encoding",
        "identity",
    ),
    "415 type": (
        lambda by: request("MESSAGE", "Content-Type: application/json", transport=by, body="{}"),
        "Accept",
        "Application/MANSCDP+xml",
    ),
    "416": (lambda by: request("MESSAGE", transport=by, uri="tel:+8610"), "", ""),
    "420": (
        lambda by: request("MESSAGE", "Require: 100rel, path", transport=by),
        "Unsupported",
        "100rel, path",
    ),
    "423": (lambda by: request("SUBSCRIBE", *SOON, transport=by, body=QUERY), "Min-Expires", "30"),
    "505": (lambda by: request("MESSAGE", transport=by, version="SIP/7.0"), "", ""),
}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_what_would_help(case: str, transport: str) -> None:
    asks, name, value = CASES[case]

    async def scenario() -> None:
        async with world(written=text(**LISTENING)) as here:
            await here.upper.wait_registered(INNER_ID)
            by = By(here, transport)
            await asyncio.sleep(0.1)
            by.send(asks(transport))
            await asyncio.sleep(1.0)
            (answer,) = by.finals()
            assert answer.startswith(f"SIP/2.0 {case[:3]} ")
            assert header(answer, name).startswith(value)
            via = set(header(answer, "Via").split(";"))
            assert {f"rport={AT[1]}", f"received={UPPER}"} <= via  # RFC 3581
            by.close()
            await asyncio.sleep(40.0)
            assert here.gateway.inner.side.endpoint.stack.counters()["now_open"] == 0
            assert here.gateway.inner.side.as_lower.state()[0].registered

    run(scenario())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_invite_that_came_two_ways_is_482_the_second_time(transport: str) -> None:
    """RFC 3261 section 8.2.2.2: the same From tag, Call-ID and CSeq, and another branch."""

    async def scenario() -> None:
        async with world(written=text(**LISTENING)) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            await here.upper.catalog()
            by = By(here, transport)
            await asyncio.sleep(0.1)
            uri = f"sip:{here.shared()[0]}@{INNER}:5060"
            lines = ("Content-Type: application/sdp", f"Subject: {here.shared()[0]}:0100000001,{UPPER_ID}:0")
            body = f"{SDP}m=video 40000 RTP/AVP 96\r\na=recvonly\r\na=rtpmap:96 PS/90000\r\ny=0100000001\r\n"
            by.send(
                request("INVITE", *lines, transport=transport, uri=uri, body=body),
                request("INVITE", *lines, transport=transport, uri=uri, body=body, branch="two"),
            )
            await asyncio.sleep(0.2)
            assert [answer for answer in by.finals() if answer.startswith("SIP/2.0 482 Loop Detected\r\n")]
            await asyncio.sleep(60.0)
            by.close()
            await asyncio.sleep(40.0)
            assert here.gateway.orphans == 0

    run(scenario())
