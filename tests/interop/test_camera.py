from pathlib import Path
from typing import Literal

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from interop.sim import ps, strip
from interop.sim.camera import CameraSpec, Decoder, Encoder, FakeFrames, FakeScreen, UnusableVideo, VideoFile
from interop.sim.strip import Reading

CAMERA = CameraSpec("44010600001320000513", "North gate", 513)
CLOCK = 1_767_225_600.0


@settings(deadline=None)
@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFF), st.integers(0, strip.CLOCK_MODULUS - 1))
def test_a_strip_says_what_was_written(camera: int, frame: int, clock: int) -> None:
    reading = Reading(camera, frame, clock)
    edge = 16
    small = Image.frombytes("L", (strip.COLUMNS, strip.ROWS), strip.blocks(reading))
    large = small.resize((strip.COLUMNS * edge, strip.ROWS * edge), Image.Resampling.NEAREST).tobytes()
    assert strip.read(large, 640, 640, 48) == reading


@settings(deadline=None)
@given(st.binary(min_size=15, max_size=15))
def test_chance_is_no_strip(data: bytes) -> None:
    assert strip.decode(data) is None


def test_strips_survive_the_encoder_and_nothing_is_held_back() -> None:
    encoder, decoder = Encoder(CAMERA), Decoder()
    keys = []
    for frame in range(60):
        unit = encoder.next(frame, frame * 3600, CLOCK + frame / 25)
        keys += [frame] if unit.key else []
        back = ps.demux(ps.mux(unit))
        assert back is not None
        (shown,) = decoder.show(back)
        assert shown.reading == Reading(513, frame, int((CLOCK + frame / 25) * 1000) % strip.CLOCK_MODULUS)
        assert (shown.width, shown.height) == (640, 360)
    assert keys == [0, 25, 50]
    assert decoder.close() == []


def test_a_snapshot_is_a_picture_to_look_at(tmp_path: Path) -> None:
    encoder, decoder = Encoder(CAMERA), Decoder()
    assert decoder.still() is None
    decoder.show(encoder.next(0, 0, CLOCK))
    still = decoder.still()
    assert still is not None
    still(tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size == (640, 360)
        assert len(set(picture.convert("RGB").resize((40, 20)).tobytes())) > 40


def recorded(path: Path, codec: Literal["libx264", "mpeg4"], frames: int = 12) -> Path:
    encoder = Encoder(CAMERA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        if codec == "libx264":
            stream.codec_context.max_b_frames = 2
        decoder = av.CodecContext.create("h264", "r")
        for frame in range(frames):
            for picture in decoder.decode(av.Packet(encoder.next(frame, frame, CLOCK).data)):
                small = picture.reformat(320, 192)
                small.pts = frame
                container.mux(stream.encode(small))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_file_of_the_user_is_looped_with_times_that_go_on(tmp_path: Path, container: str) -> None:
    source, decoder = VideoFile(recorded(tmp_path / f"film.{container}", "libx264")), Decoder()
    shown = []
    units = [source.next(frame, frame * 3600, CLOCK) for frame in range(30)]
    for unit in units:
        back = ps.demux(ps.mux(unit))
        assert back is not None
        assert back.data == unit.data
        shown += decoder.show(back)
    shown += decoder.close()
    source.close()
    assert source.frame_rate == 25.0
    assert [unit.dts for unit in units] == [frame * 3600 for frame in range(30)]
    assert all((unit.pts or 0) >= (unit.dts or 0) for unit in units)
    assert len(shown) == 30
    assert {(picture.width, picture.height) for picture in shown} == {(320, 192)}


def test_a_file_that_can_not_be_sent_says_why(tmp_path: Path) -> None:
    with pytest.raises(UnusableVideo, match=r"not H\.264"):
        VideoFile(recorded(tmp_path / "film.mp4", "mpeg4"))
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(UnusableVideo, match="can't be opened"):
        VideoFile(tmp_path / "text.mp4")


def test_fake_frames_carry_the_same_numbers() -> None:
    source, screen = FakeFrames(CAMERA), FakeScreen()
    for frame in (0, 1, 26):
        unit = ps.demux(ps.mux(source.next(frame, frame * 3600, CLOCK)))
        assert unit is not None
        assert unit.key == (frame == 0)
        (shown,) = screen.show(unit)
        assert shown.reading == Reading(513, frame, int(CLOCK * 1000) % strip.CLOCK_MODULUS)
