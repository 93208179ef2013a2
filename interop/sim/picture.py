"""The moving test picture of a camera: colour, a travelling disc, readable text, the strip of numbers.

Drawn straight into the planes of YUV 4:2:0, so that nothing has to be converted for the encoder.
"""

import colorsys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from interop.sim import strip

WIDTH: Final = 640
HEIGHT: Final = 360
BEIJING: Final = timezone(timedelta(hours=8))

Colour = tuple[int, int, int]
"""Y, U, V in 8 bits, limited range."""

WHITE: Final[Colour] = (235, 128, 128)
BLACK: Final[Colour] = (16, 128, 128)
_RADIUS: Final = 34
_TOP: Final = strip.ROWS * 16  # of the picture below the strip at 640 wide


def colour(hue: float, lightness: float) -> Colour:
    """BT.601, limited range. `hue` and `lightness` from 0 to 1."""
    red, green, blue = colorsys.hls_to_rgb(hue % 1.0, lightness, 0.55)
    y = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    u = 128 - 37.797 * red - 74.203 * green + 112.0 * blue
    v = 128 + 112.0 * red - 93.786 * green - 18.214 * blue
    return round(y), round(u), round(v)


@dataclass(frozen=True, slots=True)
class Planes:
    """Y at full size, U and V at half, without padding at line ends."""

    y: bytes
    u: bytes
    v: bytes


class TestPicture:
    """Pictures of one camera, 640 x 360. `number` (16 bit) goes into the strip, `title` into the text.

    The built-in font has no Chinese: of a title it can't show, the camera's number remains.
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    def __init__(self, number: int, title: str, channel: str) -> None:
        self.number = number & 0xFFFF
        self._hue = number * 0.381966 % 1.0  # golden angle: neighbours differ
        self._big = ImageFont.load_default(size=44)
        self._small = ImageFont.load_default(size=24)
        self._still = self._background(title if title.isascii() else f"camera {number}", channel)

    def draw(self, frame: int, clock: float) -> Planes:
        """The picture with this number. `clock`: seconds since 1970; text shows it as Beijing time."""
        planes = tuple(plane.copy() for plane in self._still)
        self._disc(planes, frame)
        moment = datetime.fromtimestamp(clock, BEIJING)
        self._text(planes, (24, 232), f"frame {frame}", self._big, WHITE)
        self._text(
            planes, (24, 300), f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}", self._big
        )
        self._strip(planes, strip.Reading(self.number, frame, int(clock * 1000)))
        return Planes(*(plane.tobytes() for plane in planes))

    def _background(self, title: str, channel: str) -> tuple[Image.Image, ...]:
        planes = (
            Image.new("L", (WIDTH, HEIGHT)),
            Image.new("L", (WIDTH // 2, HEIGHT // 2)),
            Image.new("L", (WIDTH // 2, HEIGHT // 2)),
        )
        bars = 8
        for bar in range(bars):
            box = (bar * WIDTH // bars, _TOP, (bar + 1) * WIDTH // bars - 1, HEIGHT - 1)
            self._fill(planes, box, colour(self._hue + bar / bars / 4, 0.28 + 0.02 * bar))
        self._text(planes, (24, 60), title[:28], self._big)
        self._text(planes, (24, 116), channel[:40], self._small)
        return planes

    def _disc(self, planes: tuple[Image.Image, ...], frame: int) -> None:
        """A disc that runs to and fro, 5 pixels a frame, with a smaller one that bounces in it."""
        span = WIDTH - 2 * _RADIUS
        step = frame * 5 % (2 * span)
        left = step if step < span else 2 * span - step
        top = 156
        bright = colour(self._hue + 0.5, 0.7)
        for plane, value, scale in zip(planes, bright, (1, 2, 2), strict=True):
            box = [left // scale, top // scale, (left + 2 * _RADIUS) // scale, (top + 2 * _RADIUS) // scale]
            ImageDraw.Draw(plane).ellipse(box, fill=value)
        inner = abs(frame * 3 % 40 - 20)
        ImageDraw.Draw(planes[0]).ellipse(
            (left + 24, top + 10 + inner, left + 44, top + 30 + inner), fill=BLACK[0]
        )

    def _strip(self, planes: tuple[Image.Image, ...], reading: strip.Reading) -> None:
        small = Image.frombytes("L", (strip.COLUMNS, strip.ROWS), strip.blocks(reading))
        edge = strip.block_size(WIDTH)
        planes[0].paste(small.resize((edge * strip.COLUMNS, edge * strip.ROWS), Image.Resampling.NEAREST))
        for plane in planes[1:]:
            plane.paste(128, (0, 0, WIDTH // 2, _TOP // 2))

    @staticmethod
    def _fill(planes: tuple[Image.Image, ...], box: tuple[int, int, int, int], fill: Colour) -> None:
        left, top, right, bottom = box
        for plane, value, scale in zip(planes, fill, (1, 2, 2), strict=True):
            area = (left // scale, top // scale, right // scale, bottom // scale)
            ImageDraw.Draw(plane).rectangle(area, fill=value)

    @staticmethod
    def _text(
        planes: tuple[Image.Image, ...],
        at: tuple[int, int],
        text: str,
        font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
        fill: Colour = WHITE,
    ) -> None:
        """Text on a dark box, so that it can be read on every colour; luminance carries the letters."""
        left, top, right, bottom = (
            int(edge) for edge in ImageDraw.Draw(planes[0]).textbbox(at, text, font=font)
        )
        TestPicture._fill(planes, (left - 8, top - 6, right + 8, bottom + 6), BLACK)
        ImageDraw.Draw(planes[0]).text(at, text, fill=fill[0], font=font)
