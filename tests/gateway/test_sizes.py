"""How long a message may be: 65,535 bytes by UDP, by a stream what its sender has shown itself to be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from sip._native import Core
from sip.aio.ask import ask
from sip.endpoint import Party
from sip.events import Kind
from tests.clock import run
from tests.gateway.test_transports import LISTENING, TCP_ABOVE, TCP_BELOW
from tests.gateway.torture import finals
from tests.gateway.world import INNER_ID, LOWER_ID, OUTER, OUTER_ID, World, text, world
from tests.sip.bytestreams import Talker

MIB: Final = 1 << 20
DATAGRAM: Final = 65_535
US, PEER = ("192.0.2.1", 5060), ("203.0.113.50", 5060)
WRITTEN: Final = text(**LISTENING).replace(
    f'id = "{LOWER_ID}"\n', f'id = "{LOWER_ID}"\nsubscribe = ["catalog"]\nmessage_bytes = {16 * MIB}\n'
)


def long(length: int, head: str, tail: str = "") -> bytes:
    """A message of exactly so many bytes: `head` with its Content-Length, `tail` at the end of its body."""
    body = length - len(head) - len("Content-Length: \r\n\r\n")
    body -= len(str(body - 5))
    made = f"{head}Content-Length: {body}\r\n\r\n".encode() + b"x" * (body - len(tail)) + tail.encode()
    assert len(made) == length
    return made


def head(transport: str, branch: str) -> str:
    return (
        f"MESSAGE sip:{OUTER_ID}@4401000000 SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} 203.0.113.50:5060;branch=z9hG4bK{branch}\r\n"
        f"From: <sip:{LOWER_ID}@4401060000>;tag=1\r\n"
        f"To: <sip:{OUTER_ID}@4401000000>\r\n"
        f"Call-ID: {branch}\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Type: text/plain\r\n"
    )


def test_a_datagram_may_have_as_many_bytes_as_udp_can_count_both_ways() -> None:
    core = Core(US, "4401000000", ["203.0.113.0/24"], bytes(32))
    datagram = long(DATAGRAM, head("UDP", "in"), "end")
    core.feed(datagram, PEER, 0.0)
    [event] = core.take_events(10)
    assert (event.kind, event.raw, event.body[-3:]) == (Kind.MESSAGE, datagram, b"end")
    headers = [
        ("From", f"<sip:{OUTER_ID}@4401000000>;tag=f"),
        ("To", f"<sip:{LOWER_ID}@4401060000>"),
        ("Call-ID", "out"),
        ("CSeq", "1 MESSAGE"),
        ("Max-Forwards", "70"),
        ("Content-Type", "text/plain"),
    ]
    core.send([("MESSAGE", f"sip:{LOWER_ID}@203.0.113.50", PEER, headers, b"x" * 60_000, 0)], 0.0)
    [(sent, _)] = core.take_outputs()
    most = 60_000 + DATAGRAM - len(sent)
    core.send([("MESSAGE", f"sip:{LOWER_ID}@203.0.113.50", PEER, headers, b"x" * most, 0)], 0.0)
    [(sent, _)] = core.take_outputs()
    assert len(sent) == DATAGRAM
    with pytest.raises(ValueError, match="65535"):
        core.send([("MESSAGE", f"sip:{LOWER_ID}@203.0.113.50", PEER, headers, b"x" * (most + 1), 0)], 0.0)


@pytest.mark.parametrize(("length", "status"), [(64 * 1024 - 1, "403"), (66 * 1024, "513"), (2 * MIB, "513")])
def test_a_stranger_may_say_64_kib_by_a_stream(length: int, status: str) -> None:
    async def scenario() -> None:
        async with world(written=WRITTEN, below=TCP_BELOW, above=TCP_ABOVE) as here:
            talker = Talker()
            here.network.wires.connect(("203.0.113.99", 0), (OUTER, 5060), talker)
            await asyncio.sleep(0.1)
            talker.end.write(long(length, head("TCP", "stranger")))
            await asyncio.sleep(2.0)
            assert list(finals(bytes(talker.heard))) == [status]
            assert talker.closed is (status == "513")
            talker.end.close()

    run(scenario())


@asynccontextmanager
async def registered(written: str = WRITTEN) -> AsyncIterator[World]:
    async with world(written=written, below=TCP_BELOW, above=TCP_ABOVE) as here:
        await here.shown()
        await here.upper.wait_registered(INNER_ID)
        await asyncio.sleep(1.0)
        yield here


def response(kind: str, length: int) -> bytes:
    start = f'<?xml version="1.0"?>\r\n<Response>\r\n<CmdType>{kind}</CmdType>\r\n<SN>77</SN>\r\n'
    start += f"<DeviceID>{LOWER_ID}</DeviceID>\r\n<Note>"
    end = "</Note>\r\n</Response>\r\n"
    return f"{start}{'x' * (length - len(start) - len(end))}{end}".encode()


@pytest.mark.parametrize(
    ("kind", "length", "status"),
    [
        ("DeviceInfo", MIB - 1024, 200),
        ("DeviceInfo", 2 * MIB, 513),
        ("Catalog", 8 * MIB, 200),
        ("RecordInfo", 16 * MIB - 1024, 200),
        ("RecordInfo", 17 * MIB, 513),
    ],
)
def test_a_registered_peer_may_say_a_mebibyte_and_sixteen_of_a_catalog_or_records(
    kind: str, length: int, status: int
) -> None:
    async def scenario() -> None:
        async with registered() as here:
            endpoint, party = here.lower_calls.endpoint, Party(OUTER_ID, OUTER_ID[:10])
            message = endpoint.request(
                "MESSAGE",
                party,
                (OUTER, 5060),
                body=response(kind, length),
                content_type="Application/MANSCDP+xml",
            )
            assert (await ask(endpoint, message)).status == status
            await asyncio.sleep(100.0)
            assert here.gateway.outer.side.as_upper.state()[0].online
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 20

    run(scenario())


@pytest.mark.parametrize(("allowed", "status"), [(True, 200), (False, 513)])
def test_a_notify_of_sixteen_mebibytes_is_taken_of_whom_the_configuration_allows_it(
    allowed: bool, status: int
) -> None:
    async def scenario() -> None:
        written = WRITTEN if allowed else WRITTEN.replace(f"message_bytes = {16 * MIB}\n", "")
        async with registered(written) as here:
            first, last = here.tree.cameras[0].id, here.tree.cameras[2].id
            assert {first, last} <= set(here.shared())
            body = notice(first, last, 16 * MIB - 2048)
            assert await here.lower.notifier.send(body) == status
            await asyncio.sleep(30.0)
            shared = here.gateway.inner.side.shared
            states = [(shared.find(LOWER_ID, name) or {})["status"] for name in (first, last)]
            assert states == (["OFF", "OFF"] if allowed else ["ON", "ON"])
            assert here.gateway.outer.side.as_upper.state()[0].online

    run(scenario())


def notice(first: str, last: str, length: int) -> bytes:
    """Two cameras go off, at the two ends of a notice that is about the first over and over between."""
    off = "<Event>OFF</Event>\r\n"
    between = f"<Item>\r\n<DeviceID>{first}</DeviceID>\r\n{off}<Info>{'x' * 900}</Info>\r\n</Item>\r\n"
    final = f"<Item>\r\n<DeviceID>{last}</DeviceID>\r\n{off}</Item>\r\n"
    count = (length - len(final) - 400) // len(between) + 1
    return (
        '<?xml version="1.0" encoding="GB2312"?>\r\n<Notify>\r\n<CmdType>Catalog</CmdType>\r\n<SN>9</SN>\r\n'
        f"<DeviceID>{LOWER_ID}</DeviceID>\r\n<SumNum>{count}</SumNum>\r\n"
        f'<DeviceList Num="{count}">\r\n{between * (count - 1)}{final}</DeviceList>\r\n</Notify>\r\n'
    ).encode()
