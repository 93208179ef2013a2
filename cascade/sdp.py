"""Session descriptions of GB/T 28181 (2016 annex F and 9.2): what media is asked for, what is promised.

Over `sip.sdp`, which reads lines: here `y=` (SSRC), `f=` (format), `s=` (kind of session) and the
payload lists get their meaning. Media goes over UDP for now; whoever offers TCP gets 488.
Which addresses a peer may name is judged in `cascade.addresses`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal, get_args

from cascade.crossing import Encoding
from cascade.errors import Unacceptable
from cascade.model.ssrc import ten_digits
from sip.errors import MalformedSdp, UsageError
from sip.sdp import MediaLine, Sdp, parse

PS: Final = "PS/90000"


@dataclass(frozen=True, slots=True)
class Payload:
    """One RTP payload type and its encoding, name and clock as in `a=rtpmap`."""

    number: int
    encoding: str


OFFERED: Final = (Payload(96, PS), Payload(98, "H264/90000"), Payload(100, "H265/90000"))
"""PS first: it is what everybody sends. Some old recorders play only when they see others too (Q56)."""

STATIC: Final = {
    0: "PCMU/8000",
    4: "G723/8000",
    8: "PCMA/8000",
    9: "G722/8000",
    18: "G729/8000",
    20: "SVACA/8000",
    96: PS,  # dynamic, but never anything else where a peer leaves the rtpmap out
}

KNOWN: Final = frozenset(
    {"PS", "MPEG4", "MP4V-ES", "H264", "H265", "SVAC", "PCMU", "G723", "PCMA", "G722", "G729", "SVACA", "AAC"}
)
"""A vendor's own name announces a stream that only that vendor can read; such a payload is left out."""

SESSIONS: Final = ("Play", "Playback", "Download", "Talk")

MAX_MEDIA: Final = 2
MAX_SSRC: Final = 0xFFFF_FFFF

FORMAT: Final = re.compile(
    r"v/[1-5]?/(?:[1-6]|\d{2,5}x\d{2,5})?/\d{0,2}/[12]?/(?:\d{1,5}|100000)?"
    r"a/[1-6]?/(?:[1-9]|[12]\d|30)?/(?:[1-9]|1[0-7])?",
    re.ASCII,
)
"""`f=`: video codec, resolution, frame rate, rate type, kbit/s, then audio codec, bit rate, sampling."""

Kind = Literal["video", "audio"]
"""The word of `m=`. Video may hold sound too; audio is a voice alone (5.11)."""

VOICES: Final[tuple[Encoding, ...]] = get_args(Encoding)
"""What a voice may be sent as, best first (Q95)."""

VOICE_FORMAT: Final = "v/////a/1/8/1"
"""`f=` of G.711: uppers want one, whatever else the description says (Q97)."""

Allowed = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaOffer:
    """Where its sender wants media, and which. `host` is "" where it names no address."""

    host: str
    port: int
    ssrc: int | None = None  # None: the sender leaves the choice to us (Q47)
    session_name: str = "Play"
    payloads: tuple[Payload, ...] = OFFERED
    stream_number: int = 0  # 0 main, 1.. sub
    uri: str = ""  # u=
    description: str = ""  # f=, checked
    kind: Kind = "video"

    @property
    def uri_user(self) -> str:
        """The channel's id in `u=<id>:<type>`, "" where there is none or a link instead (Q59)."""
        user, colon, _ = self.uri.partition(":")
        return user if colon and _is_id(user) else ""

    @property
    def tcp(self) -> bool:
        """Never yet: `read_offer` refuses it."""
        return False

    def payload_type_of(self, encoding: str) -> int | None:
        """The number under which the offer takes `encoding` (case-insensitive), None if it does not."""
        wanted = encoding.upper()
        return next((each.number for each in self.payloads if each.encoding.upper() == wanted), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaAnswer:
    """What its sender will send, and from where. `host` is "" where it names no address."""

    host: str
    port: int
    ssrc: int | None = None  # None: it says nothing about it (Q47)
    payload_type: int = 96
    encoding: str = PS
    description: str = ""  # f=, checked
    session_name: str = "Play"
    kind: Kind = "video"


def voices(encodings: Iterable[Encoding]) -> tuple[Payload, ...]:
    """The payloads of an offer that takes a voice in these, best first."""
    numbers = {encoding: number for number, encoding in STATIC.items()}
    return tuple(Payload(numbers[encoding], encoding) for encoding in encodings)


def voices_of(offer: MediaOffer) -> tuple[Encoding, ...]:
    """In what its sender takes a voice, best first; () where that is nothing we carry."""
    return tuple(voice for voice in VOICES if offer.payload_type_of(voice) is not None)


def read_offer(body: bytes, allowed: Allowed | None = None, *, kind: Kind = "video") -> MediaOffer:
    """Read what an INVITE asks for. `allowed` judges the address it names.

    Raises:
        Unacceptable: unreadable, over TCP, without that kind of media, of unknown formats only, or not
            allowed. No other exception leaves this function (tests/cascade/test_sdp.py).
    """
    sdp = _parse(body)
    at, media = _media(sdp, kind)
    payloads = tuple(sorted(_payloads(sdp, at, media), key=_PREFERRED[kind]))
    if not payloads:
        raise Unacceptable(f"no format we know among {' '.join(media.formats)[:64]!r}")
    return MediaOffer(
        host=_host(sdp, at, allowed),
        port=media.port,
        ssrc=_ssrc(sdp),
        session_name=_session(sdp),
        payloads=payloads,
        stream_number=_stream_number(sdp),
        uri=(sdp.first("u") or "")[:256],
        description=_format(sdp),
        kind=kind,
    )


def read_answer(body: bytes, allowed: Allowed | None = None, *, kind: Kind = "video") -> MediaAnswer:
    """Read what a 200 to our INVITE promises. `allowed` judges the address it names.

    Raises:
        Unacceptable: as `read_offer`.
    """
    offer = read_offer(body, allowed, kind=kind)
    return MediaAnswer(
        host=offer.host,
        port=offer.port,
        ssrc=offer.ssrc,
        payload_type=offer.payloads[0].number,
        encoding=offer.payloads[0].encoding,
        description=offer.description,
        session_name=offer.session_name,
        kind=kind,
    )


def write_offer(offer: MediaOffer, *, user: str) -> bytes:
    """Ask for media at `offer.host`. `user` is the id in `o=`: ours, but some want another (Q57).

    Raises:
        UsageError: no port, or a host that is no address.
    """
    attributes = ["recvonly", *_rtpmaps(offer.payloads)]
    if offer.stream_number:
        attributes.append(f"streamnumber:{offer.stream_number}")
    media = MediaLine(offer.kind, offer.port, "RTP/AVP", tuple(str(each.number) for each in offer.payloads))
    uri = [("u", offer.uri)] if offer.uri else []
    return _write(offer, user, uri, media, attributes)


def write_answer(answer: MediaAnswer, *, user: str) -> bytes:
    """Promise media from `answer.port`, from which it really must come: uppers filter by it (Q58).

    Raises:
        UsageError: no port, or a host that is no address.
    """
    payload = Payload(answer.payload_type, answer.encoding)
    media = MediaLine(answer.kind, answer.port, "RTP/AVP", (str(answer.payload_type),))
    return _write(answer, user, [], media, ["sendonly", *_rtpmaps((payload,))])


def _write(
    what: MediaOffer | MediaAnswer,
    user: str,
    uri: list[tuple[str, str]],
    media: MediaLine,
    attributes: list[str],
) -> bytes:
    if not 0 < what.port < 65536:
        raise UsageError(f"no port to write: {what.port}")
    address = _connection(what.host)
    lines = [
        ("v", "0"),
        ("o", f"{user} 0 0 {address}"),
        ("s", what.session_name),
        *uri,
        ("c", address),
        ("t", "0 0"),
        ("m", str(media)),
        *(("a", attribute) for attribute in attributes),
    ]
    if what.ssrc is not None:
        lines.append(("y", ten_digits(what.ssrc)))
    if what.description:
        lines.append(("f", what.description))
    return Sdp(tuple(lines)).write()


def _connection(host: str) -> str:
    try:
        return f"IN IP{ip_address(host).version} {host}"
    except ValueError:
        raise UsageError(f"not an address to write: {host[:64]!r}") from None


def _rtpmaps(payloads: tuple[Payload, ...]) -> Iterator[str]:
    return (f"rtpmap:{each.number} {each.encoding}" for each in payloads)


def _parse(body: bytes) -> Sdp:
    try:
        return parse(body)
    except MalformedSdp as error:
        raise Unacceptable(str(error)) from None


def _media(sdp: Sdp, kind: Kind) -> tuple[int, MediaLine]:
    """The first section of that kind and its number."""
    if len(sdp.media) > MAX_MEDIA:
        raise Unacceptable(f"{len(sdp.media)} media")
    for at, media in enumerate(sdp.media):
        if media.kind.lower() != kind:
            continue
        if media.protocol.upper() not in {"RTP/AVP", "UDP/RTP/AVP"}:
            raise Unacceptable(f"media over {media.protocol[:32]!r} is not offered here")
        if media.port == 0:
            raise Unacceptable(f"{kind} with port 0")
        return at, media
    raise Unacceptable(f"no {kind}")


def _video_first(payload: Payload) -> int:
    return int(payload.encoding.upper() != PS)


def _voice_first(payload: Payload) -> int:
    wanted = payload.encoding.upper()
    return next((at for at, voice in enumerate(VOICES) if voice == wanted), len(VOICES))


_PREFERRED: Final[dict[Kind, Callable[[Payload], int]]] = {"video": _video_first, "audio": _voice_first}


def _payloads(sdp: Sdp, at: int, media: MediaLine) -> Iterator[Payload]:
    """Those of `m=` that we know, in its order, by the rtpmap's name and never by the number alone."""
    named = dict(_rtpmap(value) for value in sdp.attributes("rtpmap", at))
    for text in media.formats[:32]:
        number = _number(text, 127)
        encoding = None if number is None else named.get(number, STATIC.get(number))
        if number is not None and encoding is not None and encoding.partition("/")[0].upper() in KNOWN:
            yield Payload(number, encoding)


def _rtpmap(value: str) -> tuple[int | None, str]:
    number, _, encoding = value.partition(" ")
    encoding = encoding.strip()
    fits = re.fullmatch(r"[A-Za-z0-9-]{1,32}/\d{1,6}(?:/\d)?", encoding, re.ASCII)
    return _number(number, 127), encoding if fits else ""


def _host(sdp: Sdp, at: int, allowed: Allowed | None) -> str:
    """The address of `c=`, else that of `o=` (Q51), else ""."""
    host = sdp.connection_of(at)
    if host is None and sdp.first("c") is not None:
        raise Unacceptable(f"c= without an address: {(sdp.first('c') or '')[:64]!r}")
    host = host or sdp.origin_address or ""
    if allowed is not None and not allowed(host):
        raise Unacceptable(f"{host or 'no address'} is not allowed for media")
    return host


def _ssrc(sdp: Sdp) -> int | None:
    """The number in `y=`, wherever it stands; None where there is none that fits 32 bits."""
    return _number(sdp.first("y") or "", MAX_SSRC)


def _session(sdp: Sdp) -> str:
    name = sdp.session_name.strip()
    known = next((session for session in SESSIONS if session.lower() == name.lower()), None)
    return known or "".join(letter for letter in name if letter.isprintable())[:32]


def _stream_number(sdp: Sdp) -> int:
    """Main or sub stream; before 2022 each vendor had a word of its own for it."""
    for name in ("streamnumber", "streamprofile", "streammode"):
        for value in sdp.attributes(name):
            if value.lower() in {"main", "sub"}:
                return int(value.lower() == "sub")
            number = _number(value, 99)
            if number is not None:
                return number
    return 0


def _format(sdp: Sdp) -> str:
    """`f=` if it follows its grammar, else "": hardly anybody honours it, so it never costs a session."""
    text = (sdp.first("f") or "").replace(" ", "")
    return text if FORMAT.fullmatch(text) else ""


def _number(text: str, most: int) -> int | None:
    """One to ten ASCII digits up to `most`; `int` alone would take signs, blanks and underscores."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return int(text) if int(text) <= most else None


def _is_id(text: str) -> bool:
    return (
        1 <= len(text) <= 64 and text.isascii() and text.isalnum() and text.lower() not in {"http", "https"}
    )
