"""What `lockgate trace --pcapng` writes, as tshark reads it."""

from pathlib import Path
from typing import Final

from gateway.trace.facts import Crossed, Message, SideName
from gateway.trace.pcapng import capture, verdicts
from interop.scenarios.capture import fields

OUTER: Final = ("203.0.113.20", 5060)
INNER: Final = ("198.51.100.20", 5060)


def invite(side: SideName, number: int, ours: tuple[str, int], peer: tuple[str, int], sent: bool) -> Message:
    data = (
        b"INVITE sip:34020000001320000001@a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
        b"From: <sip:1@a>;tag=1\r\nTo: <sip:2@a>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    return Message(
        side=side,
        at=1_772_352_000.5 + number,
        number=number,
        sent=sent,
        ours=ours,
        peer=peer,
        length=len(data),
        data=data,
    )


def test_tshark_finds_both_interfaces_the_messages_and_the_verdicts(tmp_path: Path) -> None:
    messages = [
        invite("inner", 1, INNER, ("198.51.100.10", 5060), False),
        invite("outer", 2, OUTER, ("203.0.113.30", 5060), True),
    ]
    crossed = Crossed(
        side="inner",
        at=1_772_352_001.6,
        number=1,
        door="send",
        direction="outward",
        kind="StreamOpen",
        action="media.live",
        origin="44000000002000000001",
        correlation=2,
        subjects=("lower/34020000001320000001",),
        passed=True,
        rule="live",
    )
    file = tmp_path / "trace.pcapng"
    file.write_bytes(capture(messages, verdicts(messages, [crossed]), about="It plays."))
    shown = fields(
        file,
        "sip.Method == INVITE",
        *("frame.interface_name", "ip.src", "ip.dst", "udp.dstport", "frame.packet_flags_direction"),
        *("ip.checksum.status", "frame.comment"),
    )
    assert [row[:5] for row in shown] == [
        ["inner", "198.51.100.10", "198.51.100.20", "5060", "0x00000001"],
        ["outer", "203.0.113.20", "203.0.113.30", "5060", "0x00000002"],
    ]
    assert "passed by rule live: StreamOpen media.live outward" in shown[0][-1]
    assert fields(file, "_ws.malformed", "frame.number") == []
