"""Two platforms that write a marker wherever a peer can write anything, for the leak proof.

They speak raw SIP, SDP, XML and RTP over the made-up network, and play registration, catalog,
questions, media and every refusal that they know.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from sip._native import authorize
from tests.gateway.markers import Marks
from tests.sip.network import Network

Address = tuple[str, int]

PASSWORD: Final = "open-sesame"
OFTEN: Final = 3
PACK: Final = b"\x00\x00\x01\xba\x44\x00\x04\x00\x04\x01\x00\x00\x03\xf8"
XML: Final = "Application/MANSCDP+xml"
SDP: Final = "application/sdp"


@dataclass(frozen=True, slots=True)
class Message:
    """One that came in."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def read(cls, datagram: bytes) -> "Message":
        head, _, body = datagram.partition(b"\r\n\r\n")
        start, *lines = head.decode("gb18030", "replace").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return cls(start, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs), body)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    def get(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def method(self) -> str:
        return self.get("CSeq").split()[1]

    @property
    def is_request(self) -> bool:
        return not self.start.startswith("SIP/")

    @property
    def status(self) -> int:
        return 0 if self.is_request else int(self.start.split()[1])

    def element(self, tag: str) -> str:
        return self.body.decode("gb18030", "replace").partition(f"<{tag}>")[2].partition("</")[0]

    def line(self, letter: str) -> str:
        lines = self.body.decode().split("\r\n")
        return next((line[2:] for line in lines if line.startswith(f"{letter}=")), "")


Answer = Callable[[Message], None]


class Peer:
    """One of the two. Everything that comes in is answered by `on_request` or waited for."""

    def __init__(
        self,
        network: Network,
        marks: Marks,
        *,
        name: str,
        id: str,
        address: Address,
        gateway: Address,
        us: str,
    ) -> None:
        self.network, self.marks, self.name, self.id = network, marks, name, id
        self.address, self.gateway, self.us = address, gateway, us
        self.contact = f"{address[0]}:{address[1]}"
        self.heard: list[Message] = []
        self.answers: dict[str, Answer] = {}  # by method, in place of a marked 200
        self._news = asyncio.Event()
        self._port = network.datagrams(address, self._take)
        self._cseq = 0
        self._dressed: Counter[str] = Counter()

    def close(self) -> None:
        self._port.close()

    # Markers

    def mark(self, place: str) -> str:
        return self.marks.text(f"{self.name}: {place}")

    def words(self, place: str, *, crosses: str = "") -> str:
        return self.marks.words(f"{self.name}: {place}", crosses=crosses)

    def host(self, place: str) -> str:
        return f"{self.mark(place)}.example"

    def stray(self, place: str) -> str:
        return self.marks.address(f"{self.name}: {place}")

    def headers(self, where: str, kind: str) -> list[str]:
        """A marker in each header that says nothing to us, and in some that do; thrice for each kind."""
        self._dressed[kind] += 1
        if self._dressed[kind] > OFTEN:
            return [f"X-Again: {self.mark(f'{where}, once more')}"]

        def m(header: str) -> str:
            return self.mark(f"{where}, {header}")

        def w(header: str) -> str:
            return self.words(f"{where}, {header}")

        def a(header: str) -> str:
            return self.stray(f"{where}, {header}")

        return [
            f"User-Agent: {m('User-Agent')}/1.0 ({w('User-Agent comment')})",
            f"Server: {m('Server')} {a('Server')}",
            f"Organization: {w('Organization')}",
            f'Warning: 399 {self.host(f"{where}, Warning agent")} "{w("Warning")} {a("Warning")}"',
            f'Reason: Q.850;cause=16;text="{w("Reason")} {a("Reason")}";{m("Reason parameter")}=1',
            f"Call-Info: <http://{a('Call-Info')}/{m('Call-Info')}>;purpose=info",
            f"Alert-Info: <http://{a('Alert-Info')}/{m('Alert-Info')}>",
            f"Error-Info: <sip:{m('Error-Info')}@{a('Error-Info')}>",
            f"In-Reply-To: {m('In-Reply-To')}@{a('In-Reply-To')}",
            f'P-Asserted-Identity: "{w("P-Asserted-Identity")}" <sip:{m("PAI user")}@{a("PAI host")}>',
            f'Monitor-User-Identity: operation="{m("Monitor-User-Identity")}"',
            f'Note: Digest nonce="{m("Note")}", algorithm=SHA1',
            f"X-RoutePath: {self.marks.digits(f'{self.name}: {where}, X-RoutePath', 20)}",
            f"X-PreferredPath: {self.marks.digits(f'{self.name}: {where}, X-PreferredPath', 20)}",
            f"X-GB-Ver: {m('X-GB-Ver')}",
            f"X-{m('name of a header')}: {w('unknown header')}",
            f"Reply-To: <sip:{m('Reply-To')}@{a('Reply-To')}>",
            f"History-Info: <sip:{m('History-Info')}@{a('History-Info')}>;index=1",
            f"Supported: {m('Supported')}",
            f"Accept: application/{m('Accept')}",
            f"Accept-Language: {m('Accept-Language')}",
            f"Content-Disposition: session;{m('Content-Disposition')}=1",
            f"Content-Language: {m('Content-Language')}",
            f"MIME-Version: {m('MIME-Version')}",
            f"Priority: {m('Priority')}",
            f"Timestamp: {self.marks.digits(f'{self.name}: {where}, Timestamp', 9)}",
            f"Date: {m('Date')}",
            f"Retry-After: 18000;{m('Retry-After parameter')}=1 ({w('Retry-After comment')})",
            f"Record-Route: <sip:{m('Record-Route user')}@{self.contact};lr;{m('Record-Route parameter')}=1>",
            f"Service-Route: <sip:{m('Service-Route')}@{a('Service-Route')};lr>",
            f"Path: <sip:{m('Path')}@{a('Path')};lr>",
            f"Geolocation: <cid:{m('Geolocation')}@{a('Geolocation')}>",
        ]

    # Requests of theirs

    def request(
        self,
        method: str,
        where: str,
        *,
        user: str = "",
        body: bytes = b"",
        content_type: str = "",
        more: Iterable[str] = (),
        call_id: str = "",
        from_tag: str = "",
        to_tag: str = "",
        cseq: int | None = None,
        branch: str = "",
        uri: str = "",
    ) -> bytes:
        """A request with a marker in every place that it has."""

        def m(part: str) -> str:
            return self.mark(f"{where}, {part}")

        self._cseq += 1
        number = self._cseq if cseq is None else cseq
        host = self.host(f"{where}, Via host")
        via = branch or self.mark(f"{where}, Via branch")
        user = user or self.us
        lines = [
            f"{method} {uri or f'sip:{user}@{self.gateway[0]}:{self.gateway[1]}'} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:5060;rport;branch=z9hG4bK{via};{m('Via parameter')}=1",
            f"Via: SIP/2.0/UDP {self.stray(f'{where}, 2nd Via')};branch=z9hG4bK{m('2nd branch')}",
            f'From: "{self.words(f"{where}, From name")}" <sip:{self.id}@{self.host(f"{where}, From host")};'
            f"{m('From URI parameter')}=1>;tag={from_tag or m('From tag')};{m('From parameter')}=1",
            f'To: "{self.words(f"{where}, To name")}" <sip:{self.id if method == "REGISTER" else user}@'
            f"{self.host(f'{where}, To host')};{self.mark(f'{where}, To URI parameter')}=1>"
            + (f";tag={to_tag}" if to_tag else f";{self.mark(f'{where}, To parameter')}=1"),
            f"Call-ID: {call_id or self.mark(f'{where}, Call-ID') + '@' + self.stray(f'{where}, Call-ID')}",
            f"CSeq: {number} {method}",
            "Max-Forwards: 70",
            f'Contact: "{self.words(f"{where}, Contact name")}" <sip:{self.mark(f"{where}, Contact user")}@'
            f"{self.contact};{self.mark(f'{where}, Contact URI parameter')}=1>;"
            f"{self.mark(f'{where}, Contact parameter')}=1",
            *more,
            *self.headers(where, method),
        ]
        if content_type:
            lines.append(f"Content-Type: {content_type};{self.mark(f'{where}, Content-Type parameter')}=1")
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode("gb18030") + body

    def send(self, datagram: bytes) -> None:
        self._port.send(datagram, self.gateway)

    async def ask(self, datagram: bytes, *, seconds: float = 4.0) -> Message | None:
        """Send, and return the final answer of its transaction, None if none came."""
        asked = Message.read(datagram)
        self.send(datagram)

        def fits(message: Message) -> bool:
            same = message.get("Call-ID") == asked.get("Call-ID") and message.get("CSeq") == asked.get("CSeq")
            return same and message.status >= 200

        return await self.expect(fits, seconds=seconds)

    async def expect(self, fits: Callable[[Message], bool], *, seconds: float = 40.0) -> Message | None:
        """The first message that fits and was not taken yet."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for at, message in enumerate(self.heard):
                        if fits(message):
                            return self.heard.pop(at)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None

    # Answers of theirs

    def answer(
        self,
        request: Message,
        status: int,
        where: str,
        *,
        phrase: str = "",
        more: Iterable[str] = (),
        body: bytes = b"",
        content_type: str = "",
        to_tag: str = "",
    ) -> None:
        """Answer with a marker in every place that an answer has."""
        place = f"{status} to {request.method} ({where})"
        to = request.get("To")
        tagged = to if "tag=" in to else f"{to};tag={to_tag or self.mark(f'{place}, To tag')}"
        vias = request.all("Via")
        lines = [
            f"SIP/2.0 {status} {phrase or self.words(f'{place}, reason phrase')}",
            f"Via: {vias[0]};received={self.gateway[0]};{self.mark(f'{place}, Via parameter')}=1",
            f"From: {request.get('From')}",
            f"To: {tagged};{self.mark(f'{place}, To parameter')}=1",
            f"Call-ID: {request.get('Call-ID')}",
            f"CSeq: {request.get('CSeq')}",
            *more,
            *self.headers(place, f"{status} {request.method}"),
        ]
        if request.method == "INVITE":
            lines.append(
                f'Contact: "{self.words(f"{place}, Contact name")}" '
                f"<sip:{self.mark(f'{place}, Contact user')}@{self.contact};"
                f"{self.mark(f'{place}, Contact parameter')}=1>"
            )
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        lines += [f"Content-Length: {len(body)}", "", ""]
        self.send("\r\n".join(lines).encode("gb18030") + body)

    def _take(self, datagram: bytes, source: Address) -> None:
        if not datagram[:1].isalpha():
            return
        message = Message.read(datagram)
        if message.is_request and message.method != "ACK":
            known = self.answers.get(message.method)
            if known is not None:
                known(message)
            else:
                self.answer(message, 200, "as usual")
        self.heard.append(message)
        self._news.set()


def tag_of(value: str) -> str:
    return value.partition("tag=")[2].partition(";")[0]


def sdp(
    peer: Peer,
    where: str,
    *,
    host: str,
    port: int,
    y: int | None,
    direction: str,
    user: str = "",
    session: str = "Play",
    description: str = "",
    payloads: tuple[str, ...] = ("96 PS/90000",),
    media: str = "video",
) -> bytes:
    """A session description with a marker in every line that it may have."""

    def m(line: str) -> str:
        return peer.mark(f"{where}, {line}")

    def a(line: str) -> str:
        return peer.stray(f"{where}, {line}")

    numbers = " ".join(payload.split()[0] for payload in payloads)
    lines = [
        "v=0",
        f"o={user or m('o= user')} {peer.marks.digits(f'{peer.name}: {where}, o= session', 10)} "
        f"{peer.marks.digits(f'{peer.name}: {where}, o= version', 10)} IN IP4 {a('o=')}",
        f"s={session}",
        f"i={peer.words(f'{where}, i=')}",
        f"u={peer.marks.digits(f'{peer.name}: {where}, u=', 20)}:3 http://{a('u=')}/{m('u=')}",
        f"e={m('e=')}@{m('e= host')}.example ({peer.words(f'{where}, e= name')})",
        f"p=+{peer.marks.digits(f'{peer.name}: {where}, p=', 11)}",
        f"c=IN IP4 {host}",
        f"b={m('b= kind')}:{peer.marks.digits(f'{peer.name}: {where}, b=', 7)}",
        f"t={peer.marks.digits(f'{peer.name}: {where}, t= start', 10)} "
        f"{peer.marks.digits(f'{peer.name}: {where}, t= stop', 10)}",
        f"r=7d 1h 0 {peer.marks.digits(f'{peer.name}: {where}, r=', 8)}",
        f"z={peer.marks.digits(f'{peer.name}: {where}, z=', 9)} 0",
        f"k=clear:{m('k=')}",
        f"a=tool:{m('a=tool')}",
        f"a={m('unknown a= flag')}",
        f"a={m('unknown a=')}:{peer.words(f'{where}, unknown a= value')}",
        f"m={media} {port} RTP/AVP {numbers}",
        f"i={m('i= of the media')}",
        f"b=AS:{peer.marks.digits(f'{peer.name}: {where}, b=AS', 9)}",
        f"k=base64:{m('k= of the media')}",
        f"a={direction}",
        *(f"a=rtpmap:{payload}" for payload in payloads),
        f"a=fmtp:{payloads[0].split()[0]} {m('a=fmtp')}={m('a=fmtp value')}",
        f"a=rtcp:{port + 1} IN IP4 {a('a=rtcp')}",
        f"a=candidate:1 1 UDP 1 {a('a=candidate')} 5000 typ host",
        f"a=ssrc:{peer.marks.number(f'{peer.name}: {where}, a=ssrc')} cname:{m('a=ssrc cname')}",
        f"a=username:{m('a=username')}",
        f"a=password:{m('a=password')}",
        f"a=setup:{m('a=setup')}",
        f"a=connection:{m('a=connection')}",
        f"a=filesize:{peer.marks.digits(f'{peer.name}: {where}, a=filesize', 9)}",
        f"a=downloadspeed:{m('a=downloadspeed')}",
        f"a=extmap:1 urn:{m('a=extmap')}",
        f"a=label:{m('a=label')}",
        f"a=mid:{m('a=mid')}",
        *([f"y={y:010d}"] if y is not None else []),
        *([f"f={description}"] if description else []),
        f"q={m('unknown letter')}",
        f"x={peer.words(f'{where}, another unknown letter')}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("gb18030")


def rtp(
    marks: Marks,
    where: str,
    *,
    ssrc: int,
    sequence: int,
    timestamp: int,
    payload: bytes,
    payload_type: int = 96,
    dressed: bool = True,
) -> bytes:
    """One packet; dressed: with CSRC list, header extension and padding, all marked."""
    if not dressed:
        head = bytes([0x80, 0x80 | payload_type]) + sequence.to_bytes(2, "big") + timestamp.to_bytes(4, "big")
        return head + ssrc.to_bytes(4, "big") + payload
    first = 0x80 | 0x20 | 0x10 | 2
    sources = b"".join(marks.number(f"{where}, CSRC {at}").to_bytes(4, "big") for at in range(2))
    extension = b"\xbe\xde\x00\x03" + marks.raw(f"{where}, header extension", 12)
    padding = marks.raw(f"{where}, padding", 11) + b"\x0c"
    head = bytes([first, 0x80 | payload_type]) + sequence.to_bytes(2, "big") + timestamp.to_bytes(4, "big")
    return head + ssrc.to_bytes(4, "big") + sources + extension + payload + padding


def rtcp(marks: Marks, where: str, ssrc: int) -> bytes:
    """A sender report, a source description and a goodbye in one compound packet."""
    report = bytes([0x80, 200, 0, 6]) + ssrc.to_bytes(4, "big") + marks.raw(f"{where}, sender report", 20)
    name = marks.text(f"{where}, CNAME").encode()
    items = bytes([1, len(name)]) + name + bytes(4 - (2 + len(name)) % 4)
    described = ssrc.to_bytes(4, "big") + items
    source = bytes([0x81, 202]) + (len(described) // 4).to_bytes(2, "big") + described
    words = marks.text(f"{where}, goodbye", size=11).encode()
    bye = bytes([0x81, 203, 0, 4]) + ssrc.to_bytes(4, "big") + bytes([len(words)]) + words
    application = bytes([0x80, 204, 0, 4]) + ssrc.to_bytes(4, "big") + b"MARK" + marks.raw(f"{where}, APP", 8)
    return report + source + application + bye


def authorization(challenge: Message, user: str, uri: str, cnonce: str) -> str:
    value: str = authorize([challenge.get("WWW-Authenticate")], user, PASSWORD, "REGISTER", uri, cnonce)
    return value
