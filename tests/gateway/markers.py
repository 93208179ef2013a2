"""Markers that must not cross, every form in which one may hide, and a search for them all.

A marker is unique and random; its `place` says where a peer wrote it. What is searched for is not
only the text itself: charsets, hex, Base64 at each alignment, percent forms, escapes, reversed text,
and for numbers and addresses their integers in both byte orders.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random
from typing import Final

CHARSETS: Final = ("utf-8", "gb18030", "utf-16-le", "utf-16-be")
WINDOW: Final = 6
"""A needle has so many bytes or more, or it is one of `BINARY`: shorter text would be found by chance."""

BINARY: Final = ("big endian", "little endian")
"""Four bytes: all that there is of a number on a wire."""

NUMBER: Final = 4

Form = tuple[str, bytes]
"""Its name, and what it looks like."""


def of_text(text: str) -> Iterator[Form]:
    """A text in every charset and dress."""
    for charset in CHARSETS:
        raw = text.encode(charset)
        if charset != "gb18030" or not text.isascii():
            yield charset, raw
            yield from of_bytes(raw, charset)
    yield "lower case", text.lower().encode()
    yield "upper case", text.upper().encode()
    yield "reversed", text[::-1].encode()
    yield "JSON escapes", json.dumps(text)[1:-1].encode()
    yield "XML numbers", "".join(f"&#{ord(char)};" for char in text).encode()
    yield "XML hex numbers", "".join(f"&#x{ord(char):x};" for char in text).encode()


def of_bytes(raw: bytes, name: str) -> Iterator[Form]:
    """Bytes written as text."""
    digits, percent = raw.hex().encode(), b"%" + raw.hex("%").encode()
    yield f"{name}, hex", digits
    yield f"{name}, HEX", digits.upper()
    yield f"{name}, percent", percent
    yield f"{name}, PERCENT", percent.upper()
    for offset in range(3):
        letters = _base64(raw, offset)
        yield f"{name}, Base64 at {offset}", letters
        if b"+" in letters or b"/" in letters:
            yield f"{name}, Base64 for URLs at {offset}", letters.replace(b"+", b"-").replace(b"/", b"_")


def _base64(raw: bytes, offset: int) -> bytes:
    """The letters of Base64 that depend on `raw` alone, where it begins `offset` bytes into a triple."""
    written = base64.b64encode(bytes(offset) + raw).rstrip(b"=")
    whole = (offset + len(raw)) % 3 == 0
    return written[(0, 2, 3)[offset] : len(written) if whole else -1]


def of_number(number: int) -> Iterator[Form]:
    """A 32-bit number: decimal, hex, and its bytes in both orders."""
    yield "decimal", str(number).encode()
    for order in ("big", "little"):
        raw = number.to_bytes(4, "big" if order == "big" else "little")
        yield f"{order} endian", raw
        yield f"{order} endian, decimal", str(int.from_bytes(raw, "big")).encode()
        yield from of_bytes(raw, f"{order} endian")


def of_address(text: str) -> Iterator[Form]:
    """An IPv4 address: dotted in both orders, padded, mapped, in arpa form, and as a number."""
    address = IPv4Address(text)
    yield from of_text(text)
    yield from of_number(int(address))
    parts = text.split(".")
    yield "dotted backwards", ".".join(reversed(parts)).encode()
    yield "dotted, padded", ".".join(f"{int(part):03d}" for part in parts).encode()
    yield "dotted hex", ".".join(f"0x{int(part):02x}" for part in parts).encode()
    yield "dotted octal", ".".join(f"0{int(part):o}" for part in parts).encode()
    yield "dashed", "-".join(parts).encode()
    high, low = divmod(int(address), 1 << 16)
    yield "IPv6, mapped", f"{high:x}:{low:x}".encode()


@dataclass(frozen=True, slots=True)
class Marker:
    """`place` is where it was planted; `crosses` the field of a crossing that may carry it, "" for none."""

    place: str
    value: str
    forms: tuple[Form, ...]
    crosses: str = ""


class Marks:
    """All markers of one scenario. The same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.planted: list[Marker] = []
        self._values: set[str] = set()

    def text(self, place: str, *, crosses: str = "", size: int = 12) -> str:
        """ASCII letters and digits, beginning with a letter: fits wherever SIP wants a token."""
        alphabet = "bcdfghjkmnpqrstvwxyz23456789BCDFGHJKMNPQRSTVWXYZ"
        text = "M" + "".join(self.random.choices(alphabet, k=size - 1))
        return self._plant(place, text, of_text(text), crosses)

    def words(self, place: str, *, crosses: str = "") -> str:
        """ASCII and Chinese together, each a marker of its own: the one may pass where the other does not."""
        han = bytes(
            self.random.randrange(0xB0, 0xD7) if at % 2 == 0 else self.random.randrange(0xA1, 0xFF)
            for at in range(10)
        ).decode("gb2312")
        self._plant(f"{place} (Chinese)", han, of_text(han), crosses)
        return self.text(place, crosses=crosses) + han

    def digits(self, place: str, count: int, *, crosses: str = "", prefix: str = "") -> str:
        text = prefix + "".join(self.random.choices("123456789", k=count - len(prefix)))
        return self._plant(place, text, of_text(text), crosses)

    def number(self, place: str) -> int:
        """32 bits, and not a small number, which would be found by chance."""
        number = self.random.randrange(1 << 26, 1 << 32)
        self._plant(place, str(number), of_number(number), "")
        return number

    def address(self, place: str, network: str = "") -> str:
        """An address within `network` (its first three numbers), or of a made-up private one."""
        while True:
            start = network or f"10.{self.random.randrange(20, 250)}.{self.random.randrange(20, 250)}"
            text = f"{start}.{self.random.randrange(60, 250)}"
            if text not in self._values:
                return self._plant(place, text, of_address(text), "")

    def raw(self, place: str, count: int) -> bytes:
        """Bytes of no meaning, at least 4."""
        raw = self.random.randbytes(count)
        forms = [("raw", raw), ("reversed", raw[::-1]), *of_bytes(raw, "raw")]
        self._plant(place, raw.hex(), iter(forms), "")
        return raw

    def known(self, place: str, value: str, *, crosses: str = "") -> str:
        """Something that is given: an address or id of ours, or a number somebody chose."""
        if value not in self._values:
            forms = of_address(value) if _is_address(value) else of_text(value)
            self._plant(place, value, forms, crosses)
        return value

    def known_number(self, place: str, number: int) -> None:
        """A number of ours that a peer was told, such as an SN or an SSRC."""
        if str(number) not in self._values:
            self._plant(place, str(number), of_number(number), "")

    def _plant(self, place: str, value: str, forms: Iterator[Form], crosses: str) -> str:
        shortest: dict[bytes, str] = {}
        for name, needle in forms:
            if len(needle) >= WINDOW or (len(needle) == NUMBER and name in BINARY):
                shortest.setdefault(needle, name)
        named = tuple((name, needle) for needle, name in shortest.items())
        self.planted.append(Marker(place, value, named, crosses))
        self._values.add(value)
        return value


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


class Haystack:
    """Everything of one kind that one side wrote, kept or sent; pieces do not run into each other."""

    def __init__(self, pieces: Mapping[bytes, str]) -> None:
        """`pieces`: what was written, and how to call it in a report."""
        self._pieces = pieces
        self._whole = b"\x00\xff|\xff\x00".join(pieces)
        whole = self._whole
        self.windows = {whole[at : at + WINDOW] for at in range(len(whole) - WINDOW + 1)}
        self.windows |= {whole[at : at + NUMBER] for at in range(len(whole) - NUMBER + 1)}

    def __len__(self) -> int:
        return len(self._whole)

    def holds(self, needle: bytes) -> bool:
        """A needle of one window is one of them; of a longer one, both ends are before it is sought."""
        if needle[:WINDOW] not in self.windows or needle[-WINDOW:] not in self.windows:
            return False
        return len(needle) <= WINDOW or needle in self._whole

    def form_of(self, marker: Marker) -> str | None:
        """The name of the first form in which the marker is in here, None when it is not."""
        return next((name for name, needle in likely(marker, self.windows) if self.holds(needle)), None)

    def where(self, marker: Marker) -> str:
        """The piece that holds it, cut, for a report."""
        for _, needle in marker.forms:
            for piece, name in self._pieces.items():
                at = piece.find(needle)
                if at >= 0:
                    return f"{name}: …{piece[max(0, at - 60) : at + len(needle) + 40]!r}…"
        return "?"


def likely(marker: Marker, windows: Set[bytes]) -> list[Form]:
    """The forms that may be where these windows are from, by how they begin and end."""
    return [form for form in marker.forms if form[1][:WINDOW] in windows and form[1][-WINDOW:] in windows]
