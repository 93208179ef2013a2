"""The capture file, read back block by block as the draft has it."""

import asyncio
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.trace.facts import Crossed, Message
from gateway.trace.pcapng import capture, verdicts
from sip._native import parse
from tests.clock import run
from tests.gateway.traced import answered
from tests.gateway.world import LOWER, OUTER, WALL, Link, world


@dataclass
class Block:
    kind: int
    body: bytes
    options: dict[int, list[bytes]] = field(default_factory=dict)


FIXED = {0x0A0D0D0A: 16, 1: 8, 6: 20}


def blocks(data: bytes) -> Iterator[Block]:
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, length - 4) == (length,)
        body = data[8 : length - 4]
        at = FIXED[kind]
        if kind == 6:
            at += -(-struct.unpack_from("<I", body, 12)[0] // 4) * 4
        block = Block(kind, body)
        while at < len(body):
            code, size = struct.unpack_from("<HH", body, at)
            if code:
                block.options.setdefault(code, []).append(body[at + 4 : at + 4 + size])
            at += 4 + -(-size // 4) * 4
        yield block
        data = data[length:]


def test_both_sides_are_interfaces_and_verdicts_are_comments(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            async with here.upper.play(channel):
                await asyncio.sleep(1.0)
                answer = answered(here, channel)
            messages = [fact for fact in answer.facts if isinstance(fact, Message)]
            crossings = [fact for fact in answer.facts if isinstance(fact, Crossed)]
            data = capture(messages, verdicts(messages, crossings), about="It plays.")
            section, outer, inner, *packets = blocks(data)
            assert section.options[1] == [b"It plays."]
            assert [block.options[2] for block in (outer, inner)] == [[b"outer"], [b"inner"]]
            assert struct.unpack_from("<H", outer.body) == (101,)
            assert len(packets) == len(messages)
            comments = [text.decode() for block in packets for text in block.options.get(1, [])]
            assert len(comments) == len(crossings)
            assert any(
                "passed by rule live: StreamOpen media.live outward, send door" in it for it in comments
            )

    run(scenario())


def test_a_message_stands_in_its_datagram() -> None:
    text = (
        b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a>\r\nTo: <sip:a>\r\n"
        b"Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n"
    )
    for sent in (False, True):
        message = Message(
            side="inner",
            at=WALL + 0.25,
            number=1,
            sent=sent,
            ours=(OUTER, 5060),
            peer=(LOWER, 5061),
            length=len(text),
            data=text,
        )
        packet = list(blocks(capture([message], {})))[-1]
        interface, high, low, kept, whole = struct.unpack_from("<5I", packet.body)
        assert (interface, (high << 32 | low) / 1e6) == (1, WALL + 0.25)
        assert kept == whole == 28 + len(text)
        datagram = packet.body[20 : 20 + kept]
        words = struct.unpack("!10H", datagram[:20])
        total = sum(words)
        assert (total & 0xFFFF) + (total >> 16) == 0xFFFF  # the checksum of the header
        assert struct.unpack("!HH", datagram[20:24]) == ((5060, 5061) if sent else (5061, 5060))
        assert parse(datagram[28:]).method == "OPTIONS"
        assert packet.options[2] == [struct.pack("<I", 2 if sent else 1)]


def test_a_message_that_was_cut_says_how_long_it_was() -> None:
    message = Message(
        side="outer",
        at=1.0,
        number=1,
        sent=True,
        ours=(OUTER, 1),
        peer=(LOWER, 2),
        length=9000,
        data=b"x" * 8192,
    )
    packet = list(blocks(capture([message], {("outer", 1): ["note"]})))[-1]
    assert struct.unpack_from("<2I", packet.body, 12) == (28 + 8192, 28 + 9000)
    assert packet.options[1] == [b"note"]
