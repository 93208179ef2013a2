import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import Unacceptable
from cascade.model.ssrc import ten_digits
from cascade.sdp import (
    OFFERED,
    PS,
    MediaAnswer,
    MediaOffer,
    Payload,
    read_answer,
    read_offer,
    write_answer,
    write_offer,
)
from sip.errors import PeerError, UsageError
from tests.cascade.vectors import Vector, vectors

US = "44010000002000000001"
HOSTS = st.ip_addresses().map(str)
SSRCS = st.none() | st.integers(0, 0xFFFF_FFFF)
FORMATS = st.sampled_from(["", "v/2/6/25/1/4096a///", "v/////a/1/8/1", "v/5/3840x2160/25/2/8000a/6/13/11"])
OFFERS = st.builds(
    MediaOffer,
    host=HOSTS,
    port=st.integers(1, 65535),
    ssrc=SSRCS,
    session_name=st.sampled_from(["Play", "Playback"]),
    payloads=st.sampled_from([OFFERED, (Payload(96, PS),), (Payload(98, "H264/90000"),)]),
    stream_number=st.integers(0, 3),
    uri=st.sampled_from(["", "44010600001320000001:0"]),
    description=FORMATS,
)
ANSWERS = st.builds(
    MediaAnswer,
    host=HOSTS,
    port=st.integers(1, 65535),
    ssrc=SSRCS,
    payload_type=st.just(98),
    description=FORMATS,
)
PIECES = [
    b"m=video 30000 RTP/AVP 96",
    b"m=video 1 TCP/RTP/AVP 96",
    b"m=audio 2 RTP/AVP 8",
    b"c=IN IP4 1.2.3.4",
]
PIECES += [
    b"y=0000000001",
    b"y=x",
    b"f=v",
    b"a=rtpmap:96 PS/90000",
    b"a=rtpmap:x",
    b"a=streamnumber:-1",
    b"c=IN",
]
PIECES += [b"s=Play", b"u=:", b"o=a", b"\xff=\xff", b"m=video 99999 RTP/AVP 96", b"m=video", b"a=rtpmap:96 "]


@vectors("sdp")
def test_descriptions_are_read_as_the_vectors_say(vector: Vector) -> None:
    if vector.refused:
        with pytest.raises(Unacceptable) as caught:
            read_offer(vector.body)
        assert caught.value.status == 488
        return
    offer = read_offer(vector.body)
    payloads = [[each.number, each.encoding] for each in offer.payloads]
    read = {name: getattr(offer, name) for name in vector.expected if name != "payloads"}
    assert {**read, "payloads": payloads} == vector.expected


@given(OFFERS)
def test_a_written_offer_is_read_back(offer: MediaOffer) -> None:
    assert read_offer(write_offer(offer, user=US)) == offer


@given(ANSWERS)
def test_a_written_answer_is_read_back(answer: MediaAnswer) -> None:
    assert read_answer(write_answer(answer, user=US)) == answer


def test_an_offer_looks_as_the_standard_prints_it() -> None:
    offer = MediaOffer(host="203.0.113.21", port=30000, ssrc=100000001, stream_number=1)
    assert write_offer(offer, user=US).decode().split("\r\n") == [
        "v=0",
        "o=44010000002000000001 0 0 IN IP4 203.0.113.21",
        "s=Play",
        "c=IN IP4 203.0.113.21",
        "t=0 0",
        "m=video 30000 RTP/AVP 96 98 100",
        "a=recvonly",
        "a=rtpmap:96 PS/90000",
        "a=rtpmap:98 H264/90000",
        "a=rtpmap:100 H265/90000",
        "a=streamnumber:1",
        "y=0100000001",
        "",
    ]


def test_an_answer_promises_one_format() -> None:
    answer = MediaAnswer(host="203.0.113.50", port=15060, ssrc=7, description="v/2/6/25/1/4096a/1/8/1")
    text = write_answer(answer, user="44010600001320000001").decode()
    assert "m=video 15060 RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\ny=0000000007\r\n" in text
    assert text.endswith("f=v/2/6/25/1/4096a/1/8/1\r\n")


@pytest.mark.parametrize(
    ("host", "port"), [("192.0.2.1", 0), ("192.0.2.1", 65536), ("media.example.invalid", 5000)]
)
def test_we_never_write_port_zero_or_a_host_name(host: str, port: int) -> None:
    with pytest.raises(UsageError):
        write_answer(MediaAnswer(host=host, port=port), user=US)


def test_the_address_is_judged_by_whoever_knows_the_peer() -> None:
    body = write_offer(MediaOffer(host="192.0.2.1", port=5000), user=US)
    assert read_offer(body, allowed=lambda host: host == "192.0.2.1").host == "192.0.2.1"
    with pytest.raises(Unacceptable):
        read_offer(body, allowed=lambda host: False)


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("44010600001320000001:0", "44010600001320000001"),
        ("44010600001320000001:", "44010600001320000001"),
        ("http://44010600001320000001/folder/file", ""),
        ("", ""),
        ("no colon", ""),
    ],
)
def test_the_channel_in_u_is_found(uri: str, user: str) -> None:
    assert MediaOffer(host="", port=1, uri=uri).uri_user == user


def test_formats_are_found_by_name() -> None:
    offer = MediaOffer(host="", port=1)
    assert offer.payload_type_of("ps/90000") == 96
    assert offer.payload_type_of("H265/90000") == 100
    assert offer.payload_type_of("SVAC/90000") is None


@given(st.binary(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=12).map(b"\r\n".join))
def test_any_bytes_are_an_offer_or_blame_the_peer(body: bytes) -> None:
    with contextlib.suppress(PeerError):
        offer = read_offer(body)
        assert 0 < offer.port < 65536
        assert offer.payloads
    with contextlib.suppress(PeerError):
        read_answer(body)


def test_an_ssrc_is_written_in_ten_digits() -> None:
    assert ten_digits(7) == "0000000007"
