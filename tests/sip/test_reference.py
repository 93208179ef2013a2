"""The native parser and the readable one agree on every datagram.

Stated once: for any bytes both take it or both refuse it, and what they take they read alike.
"""

import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sip._native import parse
from sip.errors import PeerError
from tests.sip.reference.message import Message, parse_datagram

VECTORS: Final = Path(__file__).parent / "vectors"

REGISTER: Final = (
    b"REGISTER sip:44010000002000000001@4401000000 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 203.0.113.50:5060;rport;branch=z9hG4bKa02\r\n"
    b'From: "NVR 3" <sip:44010600001180000001@4401060000>;tag=r1\r\n'
    b"To: <sip:44010600001180000001@4401060000>\r\n"
    b"Call-ID: 7f21c0@203.0.113.50\r\n"
    b"CSeq: 2 REGISTER\r\n"
    b"Contact: <sip:44010600001180000001@203.0.113.50:5060>\r\n"
    b"Max-Forwards: 70\r\n"
    b"Expires: 86400\r\n"
    b"Content-Length: 0\r\n\r\n"
)
MESSAGE: Final = (
    b"MESSAGE sip:44010000002000000001@4401000000 SIP/2.0\r\n"
    b"v: SIP / 2.0 / UDP 10.0.0.5 : 5060 ; rport, SIP/2.0/UDP [2001:db8::1];branch=x\r\n"
    b"f: sip:44010600001180000001:pw@4401060000;tag=k9\r\n"
    b"t: Gate\r\n <sip:44010000002000000001@4401000000>\r\n\t;tag=1\r\n"
    b"i: 1984090469\r\n"
    b"CSeq: 20 MESSAGE\r\n"
    b"c: Application/MANSCDP+xml\r\n\r\n"
    b"<Notify><Name>\xc4\xa3\r\n\r\n\x00</Name></Notify>"
)
ANSWER: Final = (
    b"SIP/2.0 401 Unauthorized \r\n"
    b"Via: SIP/2.0/UDP 203.0.113.50:5060;rport=5060;received=203.0.113.50;branch=z9hG4bKa01\r\n"
    b"From: <sip:44010600001180000001@4401060000>;tag=r1\r\n"
    b'To: <sip:44010600001180000001@4401060000>;x="a;tag=no\\"";tag="s1"\r\n'
    b"Call-ID: 7f21c0@203.0.113.50\r\n"
    b"CSeq: 1 REGISTER\r\n"
    b"Content-Length: 2\r\n\r\nabc"
)
WHOLE: Final = (REGISTER, MESSAGE, ANSWER)

PIECES: Final = (
    *(b"\r\n", b"\r", b"\n", b" ", b"\t", b"\r\n ", b"\r\n\r\n", b"\0", b'"', b"\\", b'\\"'),
    *(b"<", b">", b";", b",", b":", b"=", b"@", b"/", b"[", b"]", b"%", b"\xe4\xb8\xad", b"\xff"),
    *(
        b"0",
        b"9",
        b"4294967296",
        b"2147483648",
        b"65536",
        b"tag=",
        b"branch=",
        b";tag=x",
        b"SIP/2.0",
        b"sips:",
    ),
    *(
        b"CSeq: 1 BYE\r\n",
        b"Via: SIP/2.0/UDP a\r\n",
        b"l: 3\r\n",
        b"Content-Length: 3\r\n",
        b"To: <sip:b>\r\n",
    ),
)


def native(data: bytes) -> Message | None:
    """What the engine reads, None where it refuses."""
    try:
        event = parse(data)
    except ValueError:
        return None
    return Message(**{field.name: getattr(event, field.name) for field in fields(Message)})


def reference(data: bytes) -> Message | None:
    try:
        return parse_datagram(data)
    except PeerError:
        return None


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sound message with a few pieces put in, taken out, doubled or moved."""
    data = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 40)))
        match draw(st.sampled_from(("insert", "replace", "remove", "double", "swap case"))):
            case "insert":
                data = data[:start] + draw(st.sampled_from(PIECES)) + data[start:]
            case "replace":
                data = data[:start] + draw(st.sampled_from(PIECES)) + data[stop:]
            case "remove":
                data = data[:start] + data[stop:]
            case "double":
                data = data[:stop] + data[start:]
            case _:
                data = data[:start] + data[start:stop].swapcase() + data[stop:]
    return data


@st.composite
def relined(draw: st.DrawFn) -> bytes:
    """Lines of sound messages in any number and order."""
    lines = [line for data in WHOLE for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n")]
    start, *rest = draw(st.sampled_from(WHOLE)).partition(b"\r\n\r\n")[0].split(b"\r\n")
    extra = draw(st.lists(st.sampled_from(lines), max_size=4))
    return b"\r\n".join([start, *draw(st.permutations([*rest, *extra]))]) + b"\r\n\r\nbody"


@settings(deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=80).map(REGISTER.__add__))
def test_any_bytes_are_read_alike(data: bytes) -> None:
    assert native(data) == reference(data)


@settings(max_examples=1500, deadline=None)
@given(mutated())
@example(REGISTER)
@example(MESSAGE)
@example(ANSWER)
def test_mutated_messages_are_read_alike(data: bytes) -> None:
    assert native(data) == reference(data)


@settings(max_examples=300, deadline=None)
@given(relined())
def test_messages_of_any_lines_are_read_alike(data: bytes) -> None:
    assert native(data) == reference(data)


@settings(deadline=None)
@given(st.text(alphabet='ab":;,<>=@\\ \t.12%', max_size=60))
def test_values_of_any_form_are_read_alike(value: str) -> None:
    for name in (b"From", b"To", b"Via", b"CSeq", b"Content-Length"):
        data = REGISTER.replace(name + b": ", name + b": " + value.encode(), 1)
        assert native(data) == reference(data), name


@pytest.mark.parametrize("data", WHOLE)
def test_sound_messages_are_taken(data: bytes) -> None:
    assert reference(data) is not None


def headers(count: int, line: bytes) -> bytes:
    return REGISTER.replace(b"Expires", line * count + b"Expires", 1)


@pytest.mark.parametrize(
    ("sized", "fits"),
    [
        (lambda n: headers(n, b"X: y\r\n"), 100 - 9),
        (lambda n: headers(n, b"Via: SIP/2.0/UDP a, SIP/2.0/UDP b\r\n"), 9),
        (lambda n: headers(1, b"X:" + b"y" * n + b"\r\n"), 4096 - 2),
        (lambda n: headers(1, b"X:" + b"\r\n y" * n + b"\r\n"), (4096 - 2) // 4),
        (
            lambda n: headers(10, b"X:" + b"y" * 1500 + b"\r\n").replace(
                b"Via", b"X:" + b"y" * n + b"\r\nVia", 1
            ),
            None,
        ),
        (lambda n: REGISTER.replace(b"Content-Length: 0\r\n", b"") + b"y" * n, 65_535 - len(REGISTER) + 19),
    ],
    ids=["headers", "vias", "line", "folded line", "header block", "datagram"],
)
def test_limits_are_exact_and_the_same(sized: Callable[[int], bytes], fits: int | None) -> None:
    """`fits` is the largest size that is taken; None: it is found by search, below 16 KiB."""
    if fits is None:
        fits = 16 * 1024 - len(sized(0))
    assert native(sized(fits)) == reference(sized(fits)) is not None
    assert native(sized(fits + 1)) is reference(sized(fits + 1)) is None


def _expected(name: str) -> dict[str, dict[str, str]]:
    return tomllib.loads((VECTORS / name).read_text("utf-8"))


OWN: Final = _expected("expected.toml")
TORTURE: Final = {
    rfc: {name: row["parser"] for name, row in rows.items()}
    for rfc, rows in tomllib.loads((VECTORS / "conformance.toml").read_text("utf-8")).items()
}
TORTURE_FILES: Final = Path(__file__).parents[3] / "shared" / "testdata"
"""The messages of RFC 4475 and RFC 5118, for whoever has them beside the project."""


def judged_as_written(path: Path, expected: dict[str, dict[str, str]]) -> None:
    data = path.read_bytes()
    verdict, _, _ = expected[path.parent.name][path.stem].partition(":")
    assert native(data) == reference(data)
    assert verdict == ("refused" if native(data) is None else "taken")


@pytest.mark.parametrize("path", sorted((VECTORS / "cameras").glob("*.dat")), ids=lambda path: path.stem)
def test_vectors_are_taken_or_refused_as_written(path: Path) -> None:
    judged_as_written(path, OWN)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("rfc*/*.dat")), ids=lambda path: path.stem)
def test_torture_messages_are_taken_or_refused_as_written(path: Path) -> None:
    judged_as_written(path, TORTURE)
    printed = TORTURE_FILES / path.parent.name / path.name
    if printed.exists():
        judged_as_written(printed, TORTURE)


def test_every_expectation_has_its_vector() -> None:
    there = {(path.parent.name, path.stem) for path in (VECTORS / "cameras").glob("*.dat")}
    assert there == {(folder, name) for folder, vectors in OWN.items() for name in vectors}
