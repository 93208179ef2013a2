"""A strip of light and dark blocks along the top of a picture: numbers that survive an encoder.

40 columns by 3 rows of blocks as large as a macroblock (16 x 16 at 640 wide), read row by row, the
first bit at the top left, light is 1: 8 bits of mark, camera 16, frame 24, clock 40, CRC-32 of the
80 bits between. Only luminance counts, so the reader needs no colour and no numpy.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

COLUMNS: Final = 40
ROWS: Final = 3
LIGHT: Final = 210  # luminance
DARK: Final = 40
_THRESHOLD: Final = (LIGHT + DARK) // 2
_MARK: Final = 0xB2
_BYTES: Final = COLUMNS * ROWS // 8

CLOCK_MODULUS: Final = 1 << 40
"""The clock is in milliseconds and wraps after 34 years."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a strip says. `clock_ms` is the millisecond clock of the sender modulo 2**40."""

    camera: int
    frame: int
    clock_ms: int


def encode(reading: Reading) -> bytes:
    """15 bytes, in the order in which the blocks stand. Numbers too large wrap."""
    body = (
        (reading.camera & 0xFFFF).to_bytes(2, "big")
        + (reading.frame & 0xFFFFFF).to_bytes(3, "big")
        + (reading.clock_ms % CLOCK_MODULUS).to_bytes(5, "big")
    )
    return bytes((_MARK,)) + body + zlib.crc32(body).to_bytes(4, "big")


def decode(data: bytes) -> Reading | None:
    """None when mark or checksum don't agree: no strip, or a damaged one."""
    if len(data) != _BYTES or data[0] != _MARK:
        return None
    body = data[1:11]
    if zlib.crc32(body).to_bytes(4, "big") != data[11:]:
        return None
    number = int.from_bytes
    return Reading(number(body[:2], "big"), number(body[2:5], "big"), number(body[5:], "big"))


def block_size(width: int) -> int:
    """Edge of a block in pixels for a picture that wide; at least 8."""
    return max(8, width // COLUMNS)


def blocks(reading: Reading) -> bytes:
    """Luminance of each block, row by row: an image of 40 x 3 pixels to be enlarged."""
    bits = int.from_bytes(encode(reading), "big")
    count = COLUMNS * ROWS
    return bytes(LIGHT if bits >> (count - 1 - index) & 1 else DARK for index in range(count))


def read(luminance: memoryview | bytes, line_size: int, width: int, height: int) -> Reading | None:
    """Read the strip of a decoded picture: `line_size` bytes a row, 8-bit luminance first."""
    edge = block_size(width)
    if width < edge * COLUMNS or height < edge * ROWS or len(luminance) < line_size * edge * ROWS:
        return None
    bits = 0
    for level in _levels(luminance, line_size, edge):
        bits = bits << 1 | (level > _THRESHOLD)
    return decode(bits.to_bytes(_BYTES, "big"))


def _levels(luminance: memoryview | bytes, line_size: int, edge: int) -> Iterator[int]:
    """Mean of five pixels about the middle of each block."""
    for row in range(ROWS):
        middle = (row * edge + edge // 2) * line_size
        for column in range(COLUMNS):
            at = middle + column * edge + edge // 2
            around = (at, at - 2, at + 2, at - 2 * line_size, at + 2 * line_size)
            yield sum(luminance[index] for index in around) // len(around)
