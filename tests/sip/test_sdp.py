import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.errors import MalformedSdp, PeerError, UsageError
from sip.sdp import MAX_BYTES, MAX_LINES, MediaLine, Sdp, parse

PLAY = b"\r\n".join(
    [
        b"v=0",
        b"o=44010600001320000001 0 0 IN IP4 203.0.113.50",
        b"s=Play",
        b"c=IN IP4 203.0.113.51",
        b"t=0 0",
        b"m=video 15060 RTP/AVP 96 98",
        b"a=sendonly",
        b"a=rtpmap:96 PS/90000",
        b"a=rtpmap:98 H264/90000",
        b"y=0100000001",
        b"f=v/2/6/25/1/4096a/1/8/1",
        b"",
    ]
)

LETTERS = st.sampled_from([letter for letter in string.ascii_lowercase if letter != "m"])
VALUES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=40)
PORTS = st.integers(0, 65535).map(lambda port: ("m", f"video {port} RTP/AVP 96"))
LINES = st.lists(
    st.tuples(LETTERS, VALUES.map(lambda text: text.strip(" \t"))) | PORTS, min_size=1, max_size=12
)


def test_an_answer_of_a_camera_is_read() -> None:
    sdp = parse(PLAY)
    assert sdp.media == (MediaLine("video", 15060, "RTP/AVP", ("96", "98")),)
    assert (sdp.session_name, sdp.origin_user) == ("Play", "44010600001320000001")
    assert (sdp.connection, sdp.origin_address) == ("203.0.113.51", "203.0.113.50")
    assert sdp.attributes("rtpmap") == ["96 PS/90000", "98 H264/90000"]
    assert sdp.attributes("sendonly") == [""]
    assert (sdp.first("y"), sdp.first("f")) == ("0100000001", "v/2/6/25/1/4096a/1/8/1")


def test_what_was_read_is_written_byte_for_byte() -> None:
    assert parse(PLAY).write() == PLAY


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(PLAY.replace(b"\r\n", b"\n"), id="LF"),
        pytest.param(PLAY.replace(b"\r\n", b"\r"), id="CR"),
        pytest.param(PLAY.replace(b"\r\n", b"\n", 3), id="mixed"),
        pytest.param(PLAY.rstrip(), id="no final CRLF"),
        pytest.param(PLAY.replace(b"y=", b" y = "), id="spaces"),
        pytest.param(PLAY.replace(b"y=", b"\r\n\r\ny="), id="y after a blank line"),
        pytest.param(PLAY + b"\0\0", id="NUL behind"),
    ],
)
def test_every_habit_of_line_ends_and_spaces_reads_the_same(body: bytes) -> None:
    assert parse(body).write() == PLAY


def test_y_and_f_are_found_before_the_media_too() -> None:
    body = PLAY.replace(b"y=0100000001\r\n", b"").replace(b"t=0 0\r\n", b"t=0 0\r\ny=0100000001\r\n")
    assert parse(body).first("y") == "0100000001"


def test_the_connection_of_a_media_is_its_own_or_the_sessions() -> None:
    sdp = parse(PLAY.replace(b"a=sendonly", b"c=IN IP4 203.0.113.52/127") + b"m=audio 15062 RTP/AVP 8\r\n")
    assert (sdp.connection, sdp.connection_of(1)) == ("203.0.113.52", "203.0.113.51")
    assert sdp.attributes("rtpmap", media=1) == []


def test_an_address_that_is_none_reads_as_absent() -> None:
    sdp = parse(PLAY.replace(b"203.0.113.51", b"camera.example").replace(b"203.0.113.50", b"nowhere"))
    assert (sdp.connection, sdp.origin_address) == (None, None)


def test_names_in_another_charset_keep_their_bytes() -> None:
    body = PLAY.replace(b"s=Play", b"s=" + "点播".encode("gb18030"))
    assert parse(body).write() == body


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<xml/>", id="not SDP"),
        pytest.param(b"v=0\r\nm=video\r\n", id="m without a port"),
        pytest.param(b"v=0\r\nm=video 65536 RTP/AVP 96\r\n", id="port too big"),
        pytest.param(b"v=0\r\nm=video -1 RTP/AVP 96\r\n", id="port below zero"),
        pytest.param("v=0\r\nm=video ４０ RTP/AVP 96\r\n".encode(), id="port in other digits"),
        pytest.param(b"a=" + b"x" * MAX_BYTES, id="too many bytes"),
        pytest.param(b"a=\r\n" * (MAX_LINES + 1), id="too many lines"),
        pytest.param(b"m=a 1 b\r\n" * 17, id="too many media"),
    ],
)
def test_nonsense_earns_488(body: bytes) -> None:
    with pytest.raises(MalformedSdp) as caught:
        parse(body)
    assert caught.value.status == 488


@given(
    st.binary(max_size=300)
    | st.binary(max_size=80).map(PLAY.__add__)
    | st.binary(max_size=80).map(b"m=".__add__)
)
def test_any_bytes_parse_or_blame_the_peer(body: bytes) -> None:
    with contextlib.suppress(PeerError):
        sdp = parse(body)
        assert parse(sdp.write()) == sdp
        assert sdp.connection is None or sdp.media is not None
        assert sdp.attributes("rtpmap") is not None
        assert sdp.origin_user is not None
        assert sdp.origin_address is None or sdp.origin_address


@given(LINES)
def test_what_is_written_is_read_back(lines: list[tuple[str, str]]) -> None:
    sdp = Sdp(tuple(lines))
    assert parse(sdp.write()) == sdp


@pytest.mark.parametrize("line", [("a", "x\r\ny=1"), ("ab", "x"), ("", "x"), ("a", " x"), ("é", "x")])
def test_our_own_code_can_not_write_what_it_could_not_read(line: tuple[str, str]) -> None:
    with pytest.raises(UsageError):
        Sdp((line,))
