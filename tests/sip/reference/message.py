"""SIP messages as values, by the plainest code that does it: the oracle of `native/sip-core`.

The product never runs this. It states which datagrams the engine takes and what it reads from them, so
that a person can check it against RFC 3261 sections 7, 18.3 and 25 and against what cameras send
(missing branch cookies, spaces, either case). `tests/sip/test_reference.py` holds both to the same answers.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sip.errors import MalformedMessage, MessageTooLarge

MAX_MESSAGE_BYTES: Final = 65_535
MAX_HEAD_BYTES: Final = 16 * 1024
MAX_LINE_BYTES: Final = 4 * 1024
MAX_HEADERS: Final = 100
MAX_VIAS: Final = 20
MAX_CSEQ: Final = 2**31 - 1

SPACE: Final = b" \t\r\n"
"""White space inside a header; CR LF as part of a fold (RFC 3261 section 7.3.1)."""

COMPACT: Final = {
    b"v": b"via",
    b"f": b"from",
    b"t": b"to",
    b"i": b"call-id",
    b"l": b"content-length",
}
"""The compact forms of the headers that this parser reads (RFC 3261 section 7.3.3)."""

ONCE: Final = frozenset({b"from", b"to", b"call-id", b"cseq"})

TOKEN: Final = rb"[A-Za-z0-9.!%*_+`'~-]+"
WHITE: Final = rb"[ \t\r\n]"
REQUEST_LINE: Final = re.compile(rb"(%b)[ \t]+([^ \t]+)[ \t]+SIP/2\.0" % TOKEN, re.IGNORECASE)
STATUS_LINE: Final = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9])(?:[ \t](.*))?", re.IGNORECASE | re.DOTALL)
URI: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-~]+")
HEADER: Final = re.compile(rb"(%b)[ \t]*:(.*)" % TOKEN, re.DOTALL)
FOLD: Final = re.compile(rb"[ \t]*\r\n[ \t]+")
CSEQ: Final = re.compile(rb"([0-9]+)%b+(%b)" % (WHITE, TOKEN))
SENT_PROTOCOL: Final = re.compile(
    rb"SIP%b*/%b*2\.0%b*/%b*%b%b+(.+)" % (WHITE, WHITE, WHITE, WHITE, TOKEN, WHITE), re.IGNORECASE | re.DOTALL
)
SENT_BY: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?:%b*:%b*([0-9]+))?" % (WHITE, WHITE))


@dataclass(frozen=True, slots=True)
class Message:
    """What both parsers must agree on. Text is "" where the message has none; `status` 0 is a request."""

    method: str
    uri: str
    status: int
    reason: str
    branch: str
    from_user: str
    from_tag: str
    to_tag: str
    call_id: str
    cseq: int
    body: bytes


def parse_datagram(data: bytes) -> Message:
    """Read one message from one datagram.

    Bytes after Content-Length are dropped, as RFC 3261 section 18.3 asks for UDP; without it the body
    is the rest.

    Raises:
        MessageTooLarge: more than `MAX_MESSAGE_BYTES`.
        MalformedMessage: anything else; no other exception, whatever the bytes.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(f"{len(data)} bytes")
    message = data.lstrip(b"\r\n")
    head, blank, _ = message[:MAX_HEAD_BYTES].partition(b"\r\n\r\n")
    if not blank:
        raise MalformedMessage("no empty line after the headers")
    if b"\0" in head or re.search(rb"\r(?!\n)|(?<!\r)\n", head):
        raise MalformedMessage("NUL, or CR or LF alone, in the headers")
    start, *lines = re.split(rb"\r\n(?![ \t])", head)
    if any(len(line) > MAX_LINE_BYTES for line in (start, *lines)):
        raise MalformedMessage("a line over 4 KiB")
    headers = _parse_headers(lines)
    method, uri, status, reason = _parse_start(start)
    number, cseq_method = _parse_cseq(headers[b"cseq"][0])
    if method not in (b"", cseq_method):
        raise MalformedMessage("CSeq names another method")
    from_uri, from_parameters = _parse_address(headers[b"from"][0])
    _, to_parameters = _parse_address(headers[b"to"][0])
    return Message(
        method=_text(cseq_method),
        uri=_text(uri),
        status=status,
        reason=_text(reason),
        branch=_text(_parse_vias(headers[b"via"])),
        from_user=_text(_user(from_uri)),
        from_tag=_text(_parameter(from_parameters, b"tag")),
        to_tag=_text(_parameter(to_parameters, b"tag")),
        call_id=_text(headers[b"call-id"][0]),
        cseq=number,
        body=_parse_body(message[len(head) + 4 :], headers.get(b"content-length", [])),
    )


def _parse_start(line: bytes) -> tuple[bytes, bytes, int, bytes]:
    """Method, URI, status and reason; of a request the last two are empty, of a response the first."""
    if b"\r\n" in line:
        raise MalformedMessage("a start line that is folded")
    line = line.rstrip(b" \t")
    if response := STATUS_LINE.fullmatch(line):
        return b"", b"", int(response[1]), (response[2] or b"").strip(SPACE)
    request = REQUEST_LINE.fullmatch(line)
    if request is None or not URI.fullmatch(request[2]):
        raise MalformedMessage("neither a request line nor a status line")
    return request[1], request[2], 0, b""


def _parse_headers(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    """Values by lower-case long name, in order; the required ones are there."""
    if len(lines) > MAX_HEADERS:
        raise MalformedMessage("more than 100 headers")
    headers: dict[bytes, list[bytes]] = {}
    for line in lines:
        header = HEADER.fullmatch(line)
        if header is None:
            raise MalformedMessage("a header without a name and a colon")
        name, value = header[1].lower(), header[2].strip(SPACE)
        name = COMPACT.get(name, name)
        if name in ONCE:
            if name in headers:
                raise MalformedMessage(f"{name.decode()} twice")
            if not value:
                continue
        headers.setdefault(name, []).append(value)
    if len(headers.get(b"max-forwards", [])) > 1:
        raise MalformedMessage("more than one Max-Forwards")
    for name in (b"via", b"from", b"to", b"call-id", b"cseq"):
        if name not in headers:
            raise MalformedMessage(f"no {name.decode()}")
    return headers


def _parse_vias(values: list[bytes]) -> bytes:
    """The branch of the topmost Via, empty when it has none (RFC 3261 section 20.42)."""
    if sum(len(_split(value, b",")) for value in values) > MAX_VIAS:
        raise MalformedMessage("more than 20 Via")
    sender, *parameters = _split(_split(values[0], b",")[0], b";")
    protocol = SENT_PROTOCOL.fullmatch(sender.strip(SPACE))
    sent_by = SENT_BY.fullmatch(protocol[1]) if protocol else None
    if sent_by is None or (sent_by[1] and not 1 <= int(sent_by[1]) <= 65_535):
        raise MalformedMessage("Via is not SIP/2.0/transport and a sender")
    return _parameter(parameters, b"branch")


def _parse_address(value: bytes) -> tuple[bytes, list[bytes]]:
    """URI and header parameters of From or To (RFC 3261 section 20.10)."""
    name, *_ = _split(value, b"<")
    if len(name) < len(value):
        uri, bracket, behind = value[len(name) + 1 :].partition(b">")
        if not bracket:
            raise MalformedMessage("< without > in an address")
        before, *parameters = _split(behind, b";")
        if before.strip(SPACE):
            raise MalformedMessage("text behind the > of an address")
    else:
        uri, *parameters = _split(value, b";")
    uri = uri.strip(SPACE)
    if not uri or re.search(rb'[\x00-\x20\x7f"<]', uri):
        raise MalformedMessage("an address without a usable URI")
    return uri, parameters


def _parse_cseq(value: bytes) -> tuple[int, bytes]:
    cseq = CSEQ.fullmatch(value)
    # Ten digits at most: int() of thousands of them is slow, and refuses in an exception of its own.
    if cseq is None or len(cseq[1].lstrip(b"0")) > 10 or int(cseq[1]) > MAX_CSEQ:
        raise MalformedMessage("CSeq is not a number below 2^31 and a method")
    return int(cseq[1]), cseq[2]


def _parse_body(rest: bytes, lengths: list[bytes]) -> bytes:
    if not lengths:
        return rest
    length = lengths[0]
    if len(set(lengths)) > 1 or not re.fullmatch(rb"[0-9]+", length):
        raise MalformedMessage("Content-Length is no number, or two different ones")
    if len(length.lstrip(b"0")) > 5 or int(length) > len(rest):
        raise MalformedMessage("Content-Length is more than the datagram holds")
    return rest[: int(length)]


def _split(value: bytes, separator: bytes) -> list[bytes]:
    """Split at separators outside quoted strings; an open quote reaches to the end."""
    cuts = [-1]
    quoted = escaped = False
    for place, character in enumerate(value):
        if escaped:
            escaped = False
        elif character == ord("\\") and quoted:
            escaped = True
        elif character == ord('"'):
            quoted = not quoted
        elif character == ord(separator) and not quoted:
            cuts.append(place)
    return [value[start + 1 : end] for start, end in pairwise([*cuts, len(value)])]


def _parameter(parameters: list[bytes], name: bytes) -> bytes:
    """The value of the first parameter of that name without its quotes; empty when there is none."""
    for parameter in parameters:
        key, *_ = _split(parameter, b"=")
        if key.strip(SPACE).lower() == name:
            value = parameter[len(key) + 1 :].strip(SPACE)
            return value[1:-1] if re.fullmatch(rb'"[\s\S]*"', value) and len(value) > 1 else value
    return b""


def _user(uri: bytes) -> bytes:
    """What stands between `sip:` and `@`, without password; empty when there is none."""
    user = re.match(rb"sips?:([^@:]*)(?::[^@]*)?@", uri, re.IGNORECASE)
    return user[1] if user else b""


def _text(value: bytes) -> str:
    return FOLD.sub(b" ", value).decode(errors="replace")
