"""What a camera films and what a screen shows: encoder, file, decoder. PyAV does the work.

Sources and screens may take milliseconds a picture: where `blocking` is true, call them in a thread,
one call at a time.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from interop.sim import strip
from interop.sim.picture import HEIGHT, WIDTH, TestPicture
from interop.sim.ps import CLOCK_RATE, AccessUnit
from interop.sim.reasons import Told
from interop.sim.strip import Reading
from interop.words import Saying, saying

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext

Image.preinit()  # now: the first PNG would pay for loading every format, in the middle of a stream

FRAME_RATE: Final = 25
_GROUP: Final = 25  # frames from key picture to key picture


class UnusableVideo(Told):
    """The user's file can't be sent; the text says why and what to do."""


class FrameSource(Protocol):
    """Gives one camera's pictures, one at a time. Close it when done."""

    blocking: bool
    frame_rate: float

    def next(self, frame: int, ticks: int, clock: float) -> AccessUnit:
        """Picture number `frame`, shown at `ticks` (90 kHz) and filmed at `clock` (seconds since 1970)."""
        ...

    def close(self) -> None: ...


SourceFactory = Callable[["CameraSpec"], FrameSource]
"""Opens the pictures of a camera for one stream. May raise UnusableVideo."""


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """One camera: the id it is asked by, its name, and the number in its strip (16 bit)."""

    id: str
    name: str
    number: int
    parent: str = ""  # id of an organisation or device; "" = the platform itself
    video: Path | None = None  # H.264 in any container; None = the test picture
    owner: str = "Owner"  # what its item says under Owner


def open_source(camera: CameraSpec) -> FrameSource:
    """The user's file where the camera names one, else the moving test picture."""
    return VideoFile(camera.video) if camera.video else Encoder(camera)


class Encoder:
    """The test picture through x264 without look-ahead: each picture in gives one access unit out."""

    blocking = True
    frame_rate = float(FRAME_RATE)

    def __init__(self, camera: CameraSpec) -> None:
        self._picture = TestPicture(camera.number, camera.name, camera.id)
        self._codec = av.CodecContext.create("libx264", "w")
        codec = self._codec
        codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        codec.time_base, codec.framerate = Fraction(1, CLOCK_RATE), Fraction(FRAME_RATE)
        codec.gop_size, codec.max_b_frames, codec.thread_count = _GROUP, 0, 1
        codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": "26",
            "x264-params": f"keyint={_GROUP}:min-keyint={_GROUP}:scenecut=0:repeat-headers=1:annexb=1",
        }
        codec.open()  # now: at the first picture it would be part of that picture's delay

    def next(self, frame: int, ticks: int, clock: float) -> AccessUnit:
        planes = self._picture.draw(frame, clock)
        picture = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, data in zip(picture.planes, (planes.y, planes.u, planes.v), strict=True):
            plane.update(_padded(data, plane.width, plane.line_size, plane.buffer_size))
        picture.pts, picture.time_base = ticks, Fraction(1, CLOCK_RATE)
        packets = self._codec.encode(picture)
        data = b"".join(bytes(packet) for packet in packets)
        return AccessUnit(data, ticks, key=any(packet.is_keyframe for packet in packets))

    def close(self) -> None:
        """Nothing to give back: the encoder ends with its last reference."""


def _padded(data: bytes, width: int, line_size: int, size: int) -> bytes:
    """A plane without gaps as the plane of a frame whose lines may be longer."""
    if line_size == width:
        return data.ljust(size, b"\0")
    gap = bytes(line_size - width)
    lines = (data[at : at + width] + gap for at in range(0, len(data), width))
    return b"".join(lines)[:size].ljust(size, b"\0")


class VideoFile:
    """Access units of the user's file as they are, looped; only their times are new."""

    blocking = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container, self._stream, self._filter = self._open()
        self.frame_rate = float(self._stream.average_rate or FRAME_RATE)
        self._units = self._loop()

    def next(self, frame: int, ticks: int, clock: float) -> AccessUnit:
        """`ticks` is when it is to be decoded; a reordered picture is shown as much later as in the file."""
        unit = next(self._units)
        later = max(0, (unit.pts or 0) - (unit.dts or 0))
        return replace(unit, pts=ticks + later, dts=ticks)

    def close(self) -> None:
        self._container.close()

    def _open(self) -> tuple[InputContainer, VideoStream, BitStreamFilterContext]:
        try:
            container = av.open(str(self._path))
        except (OSError, ValueError) as error:
            raise UnusableVideo(saying("video.unopened", path=str(self._path), reason=str(error))) from None
        stream = next(iter(container.streams.video), None)
        if stream is None or stream.codec_context.name != "h264":
            found: Saying | str = stream.codec_context.name if stream else saying("video.none")
            container.close()
            raise UnusableVideo(saying("video.codec", path=str(self._path), found=found))
        return container, stream, BitStreamFilterContext("h264_mp4toannexb", stream)

    def _loop(self) -> Iterator[AccessUnit]:
        while True:
            sent = 0
            for unit in self._once():
                sent += 1
                yield unit
            if not sent:
                raise UnusableVideo(saying("video.empty", path=str(self._path)))
            self._container.close()
            self._container, self._stream, self._filter = self._open()

    def _once(self) -> Iterator[AccessUnit]:
        for packet in self._container.demux(self._stream):
            for whole in self._filter.filter(packet if packet.size else None):
                base = float((whole.time_base or Fraction(1, CLOCK_RATE)) * CLOCK_RATE)
                dts = whole.dts if whole.dts is not None else whole.pts or 0
                pts = whole.pts if whole.pts is not None else dts
                yield AccessUnit(bytes(whole), int(pts * base), int(dts * base), key=whole.is_keyframe)


class FakeFrames:
    """Pictures without an encoder, for tests in virtual time: the numbers stand in them as text."""

    blocking = False
    frame_rate = float(FRAME_RATE)

    def __init__(self, camera: CameraSpec, *, size: int = 2000, key_size: int = 9000) -> None:
        self._number = camera.number
        self._size = size
        self._key_size = key_size

    def next(self, frame: int, ticks: int, clock: float) -> AccessUnit:
        key = frame % _GROUP == 0
        text = f"camera={self._number} frame={frame} clock={int(clock * 1000)};".encode()
        head = b"\0\0\0\x01\x67fake\0\0\0\x01\x68fake\0\0\0\x01\x65" if key else b"\0\0\0\x01\x41"
        data = (head + text).ljust(self._key_size if key else self._size, b"\xa5")
        return AccessUnit(data, ticks, key=key)

    def close(self) -> None:
        """Nothing was opened."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One decoded picture. `reading` is None where its strip can't be read (the user's own video)."""

    reading: Reading | None
    width: int = 0
    height: int = 0


Still = Callable[[Path], None]
"""Writes one picture to a file as PNG."""


class Screen(Protocol):
    """Decodes one stream."""

    blocking: bool

    def show(self, unit: AccessUnit) -> list[Shown]:
        """Pictures that this unit completes, in the order in which they are shown."""
        ...

    def still(self) -> Still | None:
        """The last picture, to be saved in any thread; None when there was none."""
        ...

    def close(self) -> list[Shown]:
        """Pictures that were held back for reordering."""
        ...


ScreenFactory = Callable[[], Screen]


class Decoder:
    """H.264 by PyAV. Fed with whole access units it holds nothing back but reordered pictures."""

    blocking = True

    def __init__(self) -> None:
        self._codec: VideoCodecContext = av.CodecContext.create("h264", "r")
        self._codec.thread_count = 1
        self._codec.flags |= int(av.codec.context.Flags.low_delay)
        self._last: VideoFrame | None = None
        self.errors = 0

    def show(self, unit: AccessUnit) -> list[Shown]:
        packet = av.Packet(unit.data)
        packet.pts, packet.dts = unit.pts, unit.dts if unit.dts is not None else unit.pts
        packet.time_base = Fraction(1, CLOCK_RATE)
        return self._decode(packet)

    def still(self) -> Still | None:
        return partial(_save, self._last) if self._last is not None else None

    def close(self) -> list[Shown]:
        return self._decode(None)

    def _decode(self, packet: "Packet[Stream] | None") -> list[Shown]:
        try:
            pictures = self._codec.decode(cast("Packet[VideoStream]", packet))
        except av.FFmpegError:
            self.errors += 1
            return []
        shown = []
        for picture in pictures:
            self._last = picture
            plane = picture.planes[0]
            reading = strip.read(memoryview(plane), plane.line_size, picture.width, picture.height)
            shown.append(Shown(reading, picture.width, picture.height))
        return shown


def _save(frame: VideoFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = cast("Callable[[], Image.Image]", frame.to_image)()  # untyped in PyAV's stubs
    picture.save(path, format="PNG", compress_level=3)


class FakeScreen:
    """Reads what FakeFrames wrote."""

    blocking = False

    def show(self, unit: AccessUnit) -> list[Shown]:
        found = re.search(rb"camera=(\d+) frame=(\d+) clock=(\d+);", unit.data)
        if found is None:
            return []
        camera, frame, clock = (int(group) for group in found.groups())
        return [Shown(Reading(camera, frame, clock % strip.CLOCK_MODULUS))]

    def still(self) -> Still | None:
        """There is no picture to save."""
        return None

    def close(self) -> list[Shown]:
        return []
