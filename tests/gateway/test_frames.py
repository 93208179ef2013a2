"""Frames between two hosts: read whole however they are cut, and wrong at the first wrong byte."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.crossing import Crossing, Direction
from gateway.chamber.codec import encode
from gateway.chamber.link.frames import BadFrame, FrameReader, Kind, frame
from tests.gateway.chamber_ground import CROSSINGS


@settings(deadline=None)
@given(st.lists(CROSSINGS, min_size=1, max_size=4), st.data())
def test_frames_cut_anywhere_are_read_whole(crossings: list[Crossing], data: Any) -> None:
    bodies = [encode(crossing) for crossing in crossings]
    whole = b"".join(frame(Kind.CROSSING, number, body, "inward") for number, body in enumerate(bodies))
    reader = FrameReader("inward")
    got: list[tuple[Kind, bytes]] = []
    while whole:
        size = data.draw(st.integers(1, len(whole)))
        got += reader.feed(whole[:size])
        whole = whole[size:]
        assert reader.midway or not whole or len(got) < len(bodies)
    assert got == [(Kind.CROSSING, body) for body in bodies]
    assert not reader.midway


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6), st.sampled_from(["inward", "outward"]))
def test_any_bytes_are_frames_or_a_bad_frame(parts: list[bytes], towards: Direction) -> None:
    reader = FrameReader(towards)
    with contextlib.suppress(BadFrame):
        for part in parts:
            list(reader.feed(part))


@pytest.mark.parametrize("kind", list(Kind))
def test_a_frame_thrown_back_at_its_sender_is_wrong(kind: Kind) -> None:
    for towards, other in (("inward", "outward"), ("outward", "inward")):
        sent = frame(kind, 0, b"", towards)  # type: ignore[arg-type]
        assert list(FrameReader(towards).feed(sent)) == [(kind, b"")]  # type: ignore[arg-type]
        with pytest.raises(BadFrame, match="other direction"):
            list(FrameReader(other).feed(sent))  # type: ignore[arg-type]
