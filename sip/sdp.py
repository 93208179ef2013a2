"""Session descriptions (RFC 8866), read line by line as cameras write them.

Lines keep their order, and letters that RFC 8866 does not know (GB/T 28181's `y` and `f`) are kept like
the others and found wherever they stand. What is not ASCII is kept byte for byte.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import Final

from sip.errors import MalformedSdp, UsageError

MAX_BYTES: Final = 4096
MAX_LINES: Final = 256
MAX_MEDIA: Final = 16
SPACES: Final = " \t"


@dataclass(frozen=True, slots=True)
class MediaLine:
    """`m=`: `kind` and `protocol` as written, `formats` the payload types or whatever stands there."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.kind, str(self.port), self.protocol, *self.formats))


@dataclass(frozen=True)
class Sdp:
    """One description. `lines` are (letter, value) in their order; what follows an `m` belongs to it.

    Everything else is read from them; what is malformed but not needed reads as absent.
    """

    lines: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        """Hold what `parse` holds, so that everything written can be read.

        Raises:
            UsageError: a letter or value that can't be written.
            MalformedSdp: nothing in it, too much of it, or an `m` that is none.
        """
        if not 0 < len(self.lines) <= MAX_LINES:
            raise MalformedSdp(f"{len(self.lines)} lines")
        for letter, value in self.lines:
            if len(letter) != 1 or not (letter.isascii() and letter.isalpha()):
                raise UsageError(f"not a letter: {letter!r}")
            if value != value.strip(SPACES) or any(char in value for char in "\r\n\0"):
                raise UsageError(f"not a value: {value[:64]!r}")
        if len(self.media) > MAX_MEDIA:
            raise MalformedSdp(f"{len(self.media)} media")

    def write(self) -> bytes:
        """Every line ends with CRLF, the last one too: some devices want it after `y`."""
        text = "".join(f"{letter}={value}\r\n" for letter, value in self.lines)
        return text.encode("utf-8", "surrogateescape")

    def first(self, letter: str) -> str | None:
        """The value of the first line with that letter, at whatever level it stands."""
        return next((value for key, value in self.lines if key == letter), None)

    def attributes(self, name: str, media: int | None = None) -> list[str]:
        """The values of `a=name:value`, "" for `a=name`, in any case of the name.

        `media` limits it to the section of that index; otherwise every level counts.
        """
        lines = self.lines if media is None else self._sections[media + 1]
        pairs = (value.partition(":") for letter, value in lines if letter == "a")
        return [value.strip() for key, _, value in pairs if key.strip().lower() == name.lower()]

    @cached_property
    def media(self) -> tuple[MediaLine, ...]:
        return tuple(_media_line(value) for letter, value in self.lines if letter == "m")

    @property
    def connection(self) -> str | None:
        """The address of the first media: its own `c=`, else the session's."""
        return self.connection_of(0)

    def connection_of(self, media: int) -> str | None:
        """The address in `c=` of that section, else of the session; None where neither has one."""
        sections = self._sections
        wanted = (sections[media + 1] if media + 1 < len(sections) else (), sections[0])
        addresses = (_address(value) for lines in wanted for letter, value in lines if letter == "c")
        return next((address for address in addresses if address is not None), None)

    @property
    def origin_user(self) -> str:
        """The user name of `o=`, "" without one."""
        return (self.first("o") or "").partition(" ")[0]

    @property
    def origin_address(self) -> str | None:
        """The address in `o=`, which is the signalling's with some vendors; None if it is none."""
        words = (self.first("o") or "").split()
        return _address(" ".join(words[-3:]))

    @property
    def session_name(self) -> str:
        return self.first("s") or ""

    @cached_property
    def _sections(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """The session's lines, then those of each media."""
        sections: list[list[tuple[str, str]]] = [[]]
        for line in self.lines:
            if line[0] == "m":
                sections.append([])
            sections[-1].append(line)
        return tuple(map(tuple, sections))


def parse(body: bytes) -> Sdp:
    """Read a description: any line ends, spaces around, NULs behind, unknown letters.

    Raises:
        MalformedSdp: anything that is not lines of `letter=value`, or too many of them, or an `m` without
            a port. No other exception leaves this function, whatever the bytes
            (tests/sip/test_sdp.py::test_any_bytes_parse_or_blame_the_peer).
    """
    if len(body) > MAX_BYTES:
        raise MalformedSdp(f"{len(body)} bytes")
    return Sdp(tuple(_lines(body.rstrip(b"\0\r\n\t ").decode("utf-8", "surrogateescape"))))


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.replace("\r", "\n").split("\n"):
        line = line.strip(SPACES)
        if not line:
            continue
        letter, equals, value = line.partition("=")
        letter = letter.rstrip(SPACES)
        if not equals or len(letter) != 1 or not (letter.isascii() and letter.isalpha()) or "\0" in value:
            raise MalformedSdp(f"not a line: {line[:32]!r}")
        yield letter, value.strip(SPACES)


def _media_line(value: str) -> MediaLine:
    words = value.split()
    if len(words) < 3:
        raise MalformedSdp(f"m={value[:64]!r}")
    port = words[1].partition("/")[0]
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536):
        raise MalformedSdp(f"port {port[:16]!r}")
    return MediaLine(words[0], int(port), words[2], tuple(words[3:]))


def _address(value: str) -> str | None:
    """The address of `IN IP4 address[/ttl]`; None if it is no IP literal."""
    words = value.split()
    if len(words) != 3 or words[0].upper() != "IN" or words[1].upper() not in {"IP4", "IP6"}:
        return None
    try:
        return str(ip_address(words[2].partition("/")[0]))
    except ValueError:
        return None
