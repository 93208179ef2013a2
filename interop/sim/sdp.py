"""SDP of live streams and voices as the simulators read and write it (GB/T 28181-2016 C.1, 9.2): by line."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

CONTENT_TYPE: Final = "application/sdp"
PS: Final = 96
PCMA: Final = 8
PCMU: Final = 0
ENCODINGS: Final = {PS: "PS/90000", PCMA: "PCMA/8000", PCMU: "PCMU/8000"}
VOICE_FORMAT: Final = "v/////a/1/8/1"
"""f= of G.711: no video; audio codec 1, bit rate 8 (64 kbit/s), sampling 1 (8 kHz)."""


@dataclass(frozen=True, slots=True)
class Description:
    """One offer or answer. `ssrc` is y=, None where it is absent; `attributes` are all a= lines."""

    owner: str
    host: str
    port: int
    session: str = "Play"
    protocol: str = "RTP/AVP"
    formats: tuple[int, ...] = (PS,)
    direction: str = "recvonly"
    ssrc: int | None = None
    media_format: str = ""  # f=
    attributes: tuple[str, ...] = field(default=())
    media: str = "video"

    @property
    def payload_type(self) -> int | None:
        """The number under which program streams are offered, None where they are not."""
        for number, encoding in self._encodings():
            if encoding.startswith("PS/"):
                return number
        return PS if PS in self.formats else None

    @property
    def voice_type(self) -> int | None:
        """What a voice of ours can be sent as: G.711 A, then program streams (2014); None for neither."""
        if PCMA in self.formats and dict(self._encodings()).get(PCMA, "PCMA/8000").startswith("PCMA/8000"):
            return PCMA
        return self.payload_type

    def _encodings(self) -> list[tuple[int, str]]:
        """Number and encoding of each rtpmap line whose number is among the formats, in capitals."""
        found = []
        for attribute in self.attributes:
            name, _, value = attribute.partition(":")
            number, _, encoding = value.strip().partition(" ")
            if name == "rtpmap" and number in map(str, self.formats):
                found.append((int(number), encoding.strip().upper()))
        return found


def read(body: bytes) -> Description | None:
    """None when address, port, formats or SSRC are missing, no numbers, or out of range."""
    lines: dict[str, str] = {}
    attributes = []
    for line in body.decode("utf-8", "replace").splitlines():
        letter, equals, value = line.partition("=")
        if equals and letter == "a":
            attributes.append(value.strip())
        elif equals and len(letter) == 1:
            lines[letter] = value.strip()
    media = lines.get("m", "").split()
    host = lines.get("c", "").split()
    try:
        return Description(
            owner=(lines.get("o", "").split() or [""])[0],
            host=str(ip_address(host[2].partition("/")[0])),
            port=_within(media[1].partition("/")[0], 1, 0xFFFF),
            session=lines.get("s", ""),
            protocol=media[2],
            formats=tuple(_within(number, 0, 127) for number in media[3:]),
            direction=next((name for name in attributes if name in {"sendonly", "recvonly", "sendrecv"}), ""),
            ssrc=_within(lines["y"], 0, 0xFFFF_FFFF) if lines.get("y") else None,
            media_format=lines.get("f", ""),
            attributes=tuple(attributes),
            media=media[0],
        )
    except (IndexError, ValueError):
        return None


def _within(text: str, least: int, most: int) -> int:
    """The number. Raises ValueError when it is none, or outside."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and least <= int(text) <= most):
        raise ValueError(text[:20])
    return int(text)


def write(description: Description) -> bytes:
    """Lines in the order of the standard; only program streams and G.711, on UDP."""
    family = "IP6" if ":" in description.host else "IP4"
    address = f"IN {family} {description.host}"
    formats = description.formats
    lines = [
        "v=0",
        f"o={description.owner} 0 0 {address}",
        f"s={description.session}",
        f"c={address}",
        "t=0 0",
        f"m={description.media} {description.port} {description.protocol} {' '.join(map(str, formats))}",
        f"a={description.direction}",
        *(f"a=rtpmap:{number} {ENCODINGS.get(number, ENCODINGS[PS])}" for number in formats),
        *(f"a={attribute}" for attribute in description.attributes),
    ]
    if description.ssrc is not None:
        lines.append(f"y={description.ssrc:010d}")
    if description.media_format:
        lines.append(f"f={description.media_format}")
    return "".join(f"{line}\r\n" for line in lines).encode()
