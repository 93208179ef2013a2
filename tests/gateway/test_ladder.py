"""The drawing: every width, both languages, and nothing from the wire that could move a cursor."""

from datetime import UTC
from itertools import count

import pytest
from rich.cells import cell_len

from gateway.trace.diagnosis import diagnose
from gateway.trace.facts import Began, Counted, Crossed, Message, PortOpened, Sent, SideName
from gateway.trace.ladder import ASCII, BOX, MOST_ROWS, NARROW, Row, draw, rows, signs_for
from gateway.trace.reading import read
from gateway.trace.story import Story
from gateway.words import LANGUAGES, Language, Words

EN = Words("en")
_number = count(1)


def message(
    side: SideName, at: float, sent: bool, start: str, *, call: str = "c1", cseq: str = "1 INVITE"
) -> Message:
    data = (
        f"{start}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{call}\r\n"
        f"From: <sip:1@a>;tag=1\r\nTo: <sip:2@b>\r\nCall-ID: {call}\r\nCSeq: {cseq}\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()
    ours, peer = ("10.0.0.1", 5060), ("10.0.0.2", 5060)
    return Message(
        side=side, at=at, number=next(_number), sent=sent, ours=ours, peer=peer, length=len(data), data=data
    )


def opened(*, passed: bool = True, rule: str = "live", side: SideName = "inner", at: float = 0.1) -> Crossed:
    return Crossed(
        side=side,
        at=at,
        number=next(_number),
        door="send" if side == "inner" else "receive",
        direction="outward",
        kind="StreamOpen",
        action="media.live",
        origin="44000000002000000001",
        correlation=2,
        subjects=("lower/34020000001320000001",),
        passed=passed,
        rule=rule,
    )


STORY = Story(
    "stream",
    "inner",
    2,
    "lower/34020000001320000001",
    "44000000002000000001",
    "media.live",
    [opened(), opened(side="outer")],
    [read(message("inner", 0.0, False, "INVITE sip:34020000001320000001@b SIP/2.0"))],
    [
        read(message("outer", 0.2, True, "INVITE sip:34020000001320000001@b SIP/2.0", call="c2")),
        read(message("outer", 0.7, True, "INVITE sip:34020000001320000001@b SIP/2.0", call="c2")),
        read(message("outer", 0.9, False, "SIP/2.0 200 OK", call="c2")),
        read(message("outer", 0.9, True, "ACK sip:2@b SIP/2.0", call="c2", cseq="1 ACK")),
    ],
    [
        PortOpened(side="outer", at=0.15, number=1, stream="s", host="10.0.0.1", port=30_000),
        PortOpened(side="inner", at=0.9, number=2, stream="s", host="10.1.0.1", port=31_000, viewer="2"),
        Began(side="outer", at=1.0, number=3, stream="s", ssrc=7, host="10.0.0.2", port=40_000),
        Counted(
            side="outer", at=5.0, number=4, stream="s", over=False, admitted=90, lost=10, first=1.0, last=4.5
        ),
        Sent(side="outer", at=5.0, number=5, stream="s", viewer="2", over=False, packets=90),
    ],
    now=5.0,
)


def test_the_picture() -> None:
    shown = draw(rows(STORY, EN), 130, EN, ASCII, UTC)
    assert [line.split("|")[0].strip()[:40] for line in shown[1:]] == [
        "00:00:00.000",
        "00:00:00.100",
        "00:00:00.200 <- INVITE 34020000001320000",
        "00:00:00.900 200 OK (INVITE) -----------",
        "00:00:00.900 <--------------------------",
        "00:00:01.000 first RTP from 10.0.0.2:400",
        "00:00:04.500 last RTP: 90 packets, 10 lo",
        "00:00:04.500",
    ]
    assert [line.split("|")[1].strip(" <=") for line in shown[1:] if "StreamOpen" in line] == [
        "StreamOpen [live]"
    ]
    assert "last RTP: 90 packets" in shown[-1].split("|")[2]  # the viewer's leg is inside


def test_repetitions_are_one_row() -> None:
    (again,) = [row.text for row in rows(STORY, EN) if "again" in row.text]
    assert again.endswith("(again 1 times in 0.5 s)")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [20, 40, NARROW - 1, NARROW, 80, 100, 132, 250])
def test_it_is_never_wider_than_the_terminal(width: int, language: Language) -> None:
    words = Words(language)
    for line in draw(rows(STORY, words), width, words, BOX, UTC):
        assert cell_len(line) <= width, line


def test_a_refusal_has_no_head() -> None:
    story = Story(
        "stream", "inner", 2, "lower/1", "up", "media.live", [opened(passed=False, rule="no-schools")]
    )
    (line,) = draw(rows(story, EN), 130, EN, ASCII, UTC)[1:]
    assert "X=" in line
    assert "StreamOpen [no-schools]" in line
    assert diagnose(story).key == "trace.refused"


def test_what_a_peer_wrote_moves_no_cursor() -> None:
    odd = message("outer", 0.0, False, "SIP/2.0 486 \x1b[2J\x07Busy")
    story = Story("talk", below=[read(odd)])
    for width in (60, 130):
        for line in draw(rows(story, EN), width, EN, BOX, UTC):
            assert line.isprintable()


def test_a_long_story_is_bounded() -> None:
    many = [Row(float(number), "outer", "left", f"row {number}") for number in range(200)]
    shown = draw(many, 100, EN, BOX, UTC)
    assert len(shown) == MOST_ROWS + 2
    assert "140 earlier rows" in shown[0]
    assert "row 199" in shown[-1]


def test_terminals_without_boxes_get_letters() -> None:
    assert signs_for("utf-8") is BOX
    assert signs_for("ascii") is ASCII
    assert signs_for("no such encoding") is ASCII
    for width in (60, 130):
        assert "\n".join(draw(rows(STORY, EN), width, EN, ASCII, UTC)).isascii()
