import io

import av
import pytest
from av.container import InputContainer
from hypothesis import given, settings
from hypothesis import strategies as st

from interop.sim import ps
from interop.sim.camera import CameraSpec, Encoder
from interop.sim.ps import AccessUnit

SIZES = st.integers(6, 300) | st.sampled_from([0xFF80 - 1, 0xFF80, 0xFF80 + 1, 2 * 0xFF80, 200_001])
TICKS = st.integers(0, (1 << 33) - 1)


def picture(size: int, key: bool, filler: int = 0x11) -> bytes:
    head = b"\0\0\0\x01\x65" if key else b"\0\0\0\x01\x41"
    return head.ljust(size, bytes((filler,)))


@settings(deadline=None)
@given(SIZES, TICKS, st.none() | TICKS, st.booleans(), st.integers(1, 255))
def test_what_is_muxed_is_demuxed(size: int, pts: int, dts: int | None, key: bool, filler: int) -> None:
    unit = AccessUnit(picture(size, key, filler), pts, None if dts == pts else dts, key=key)
    assert ps.demux(ps.mux(unit)) == unit


@settings(deadline=None)
@given(st.binary(max_size=400) | st.binary(max_size=60).map(b"\0\0\x01\xba".__add__))
def test_any_bytes_give_a_picture_or_none(data: bytes) -> None:
    ps.demux(data)


@settings(deadline=None)
@given(st.data())
def test_a_pack_cut_short_is_damaged_or_no_picture(data: st.DataObject) -> None:
    pack = ps.mux(AccessUnit(picture(900, True), 3600, key=True))
    cut = data.draw(st.integers(1, len(pack) - 1))
    unit = ps.demux(pack[:cut])
    assert unit is None or unit.damaged


def test_a_large_frame_is_several_packets_of_which_one_has_a_time() -> None:
    pack = ps.mux(AccessUnit(picture(150_000, False), 90_000))
    starts = [at for at in range(len(pack) - 4) if pack[at : at + 4] == b"\0\0\x01\xe0"]
    lengths = [int.from_bytes(pack[at + 4 : at + 6], "big") for at in starts]
    assert [pack[at + 7] & 0xC0 for at in starts] == [0x80, 0, 0]
    assert lengths == [0xFF80 + 8, 0xFF80 + 3, 150_000 - 2 * 0xFF80 + 3]


def test_headers_and_map_stand_before_key_frames_only() -> None:
    key = ps.mux(AccessUnit(picture(50, True), 0, key=True))
    plain = ps.mux(AccessUnit(picture(50, False), 0))
    assert [code in key for code in (b"\0\0\x01\xbb", b"\0\0\x01\xbc")] == [True, True]
    assert [code in plain for code in (b"\0\0\x01\xbb", b"\0\0\x01\xbc")] == [False, False]


def test_audio_private_data_and_length_zero_are_read() -> None:
    audio = b"\0\0\x01\xc0" + (5).to_bytes(2, "big") + b"\x80\x00\x00ab"
    private = b"\0\0\x01\xbd" + (4).to_bytes(2, "big") + b"\0\0\x01\xe0"
    video = b"\0\0\x01\xe0\0\0\x80\x00\x00" + picture(40, False)
    unit = ps.demux(private + audio + video + audio)
    assert unit == AccessUnit(picture(40, False), None)


def test_a_unit_without_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time"):
        ps.mux(AccessUnit(b"x", None))


def read_by_ffmpeg(units: list[AccessUnit]) -> tuple[bytes, list[int | None]]:
    """(all H.264 bytes, presentation times) as PyAV's demuxer of program streams finds them."""
    with av.open(io.BytesIO(b"".join(map(ps.mux, units)))) as container:
        assert isinstance(container, InputContainer)
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert (container.format.name, container.streams.video[0].codec_context.name) == ("mpeg", "h264")
    return b"".join(map(bytes, packets)), [packet.pts for packet in packets]


def test_another_demuxer_reads_the_same_pictures() -> None:
    encoder = Encoder(CameraSpec("44010600001320000001", "Gate", 1))
    units = [encoder.next(frame, 90_000 + frame * 3600, 0.0) for frame in range(30)]
    data, times = read_by_ffmpeg(units)
    assert data == b"".join(unit.data for unit in units)
    assert times == [unit.pts for unit in units]


def test_another_demuxer_reads_frames_of_more_than_64_kib() -> None:
    encoder = Encoder(CameraSpec("44010600001320000001", "Gate", 1))
    units = [encoder.next(frame, 90_000 + frame * 3600, 0.0) for frame in range(4)]
    filler = b"\0\0\x01\x0c" + b"\xff" * 150_000 + b"\x80"
    units[2] = AccessUnit(units[2].data + filler, units[2].pts)
    data, _ = read_by_ffmpeg(units)
    assert data == b"".join(unit.data for unit in units)
