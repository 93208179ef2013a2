import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.errors import MalformedMessage, PeerError
from sip.headers.name_addr import split_values, uri_of, without_tag
from sip.headers.reason import read_reason, reason
from sip.uri import SipUri, parse_uri


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:34020000001320000001@203.0.113.50:5061", SipUri("34020000001320000001", "203.0.113.50", 5061)),
        ("sip:4401000000", SipUri("", "4401000000")),
        ("SIPS:a@b;Transport=TCP;lr", SipUri("a", "b", None, (("transport", "TCP"), ("lr", "")), "sips")),
        ("sip:a@[2001:db8::1]:5060?Subject=x", SipUri("a", "2001:db8::1", 5060)),
        ("sip:name@camera@192.0.2.1", SipUri("name@camera", "192.0.2.1")),
        (" sip:a@192.0.2.1: ", SipUri("a", "192.0.2.1")),
    ],
)
def test_uris_of_the_field_are_read(text: str, expected: SipUri) -> None:
    assert parse_uri(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "tel:110",
        "sip:@host",
        "sip:a@",
        "sip:a@h:99999",
        "sip:a@h:x",
        "sip:a b@h",
        "sip:a@[::1",
        "sip:a@h<",
    ],
)
def test_what_is_no_uri_blames_the_peer(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_uri(text)


@given(st.text(max_size=60) | st.text(max_size=60).map("sip:".__add__))
def test_any_text_parses_or_blames_the_peer_and_reads_back(text: str) -> None:
    with contextlib.suppress(PeerError):
        uri = parse_uri(text)
        assert parse_uri(str(uri)) == uri


@given(st.text(max_size=60))
def test_any_header_text_is_split_or_blames_the_peer(text: str) -> None:
    for value in split_values([text]):
        without_tag(value)
        with contextlib.suppress(PeerError):
            uri_of(value)


def test_a_port_that_is_not_written_is_5060() -> None:
    assert parse_uri("sip:a@192.0.2.1").address == ("192.0.2.1", 5060)


@pytest.mark.parametrize(
    ("value", "uri", "rest"),
    [
        ("<sip:a@b>;tag=1", "sip:a@b", "<sip:a@b>"),
        (
            '"tag=x; <sip:no@no>" <sip:a@b;lr>;x=1;TAG=2;y',
            "sip:a@b;lr",
            '"tag=x; <sip:no@no>" <sip:a@b;lr>;x=1;y',
        ),
        ("sip:a@b;tag=1", "sip:a@b", "sip:a@b"),
        ("Camera <sip:a@b>", "sip:a@b", "Camera <sip:a@b>"),
    ],
)
def test_addresses_lose_their_brackets_or_their_tag(value: str, uri: str, rest: str) -> None:
    assert uri_of(value) == uri
    assert without_tag(value) == rest


def test_values_part_at_commas_that_stand_alone() -> None:
    header = ['<sip:a@b,c;lr> , "x, \\"<y" <sip:d@e>', "<sip:f@g>"]
    assert list(split_values(header)) == ["<sip:a@b,c;lr>", '"x, \\"<y" <sip:d@e>', "<sip:f@g>"]


@given(st.integers(100, 699), st.text(max_size=30))
def test_a_reason_is_one_line_and_reads_back(cause: int, text: str) -> None:
    value = reason(cause, text)
    assert value.isprintable()
    visible = "".join(char for char in text if char.isprintable())
    if "\\" not in visible and '"' not in visible:
        assert read_reason(value) == (cause, visible)


@pytest.mark.parametrize("value", ["", "SIP", "Q.850;cause=x", ";;;", "SIP;text"])
def test_a_reason_that_says_nothing_says_nothing(value: str) -> None:
    assert read_reason(value) == (None, "")
