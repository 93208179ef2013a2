import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import BadCommand
from cascade.manscdp import commands, device_control, head
from cascade.manscdp.device_control import read_movement, write_movement
from cascade.manscdp.wire import NamesOf
from cascade.model.commands.device_control import ControlPtz, Movement
from cascade.model.ids import ChannelId, PeerName, PlatformId
from tests.cascade.vectors import Vector, vectors

PEER = PlatformId("44010600001180000001")
BELOW = NamesOf(PEER)
TARGET = ChannelId(PEER, PeerName("44010600001320000001"))

SPEEDS = st.integers(0, 255)


MOVEMENTS = st.builds(
    lambda pan, tilt, zoom: Movement(
        pan=pan[0], pan_speed=pan[1], tilt=tilt[0], tilt_speed=tilt[1], zoom=zoom[0], zoom_speed=zoom[1]
    ),
    st.just((None, 0)) | st.tuples(st.sampled_from(["left", "right"]), SPEEDS),
    st.just((None, 0)) | st.tuples(st.sampled_from(["up", "down"]), SPEEDS),
    st.just((None, 0)) | st.tuples(st.sampled_from(["in", "out"]), st.integers(0, 15)),
)
"""Every movement there is."""


@vectors("device_control")
def test_controls_are_read_as_the_vectors_say(vector: Vector) -> None:
    if vector.refused:
        with pytest.raises(BadCommand, match=re.escape(vector.expected["refused"])):
            device_control.PTZ.read(vector.body, BELOW)
        return
    target = ChannelId(PEER, PeerName(vector.expected["target"]))
    expected = ControlPtz(target=target, movement=Movement(**vector.expected["movement"]))
    assert device_control.PTZ.read(vector.body, BELOW) == expected


@given(MOVEMENTS, st.sampled_from(["GB2312", "GB18030", "UTF-8"]))
def test_what_is_written_is_read_back(movement: Movement, charset: str) -> None:
    control = ControlPtz(target=TARGET, movement=movement)
    body = commands.wire_of(control).write(control, sn=3, names=BELOW, charset=charset)
    found = head(body)
    assert found is not None
    wire = commands.wire(found.root, found.cmd_type, found.operation)
    assert wire is device_control.PTZ
    assert wire.read(body, BELOW) == control


@given(st.text(max_size=20) | st.binary(min_size=8, max_size=8).map(bytes.hex))
def test_any_text_is_a_movement_that_is_written_and_read_again_or_none(text: str) -> None:
    try:
        movement = read_movement(text)
    except ValueError:
        return
    assert read_movement(write_movement(movement)) == movement


def test_every_one_of_the_eight_bytes_is_under_the_check() -> None:
    good = bytes.fromhex("A50F01292020506E")
    for place in range(8):
        for wrong in range(1, 256):
            bent = bytes((*good[:place], good[place] ^ wrong, *good[place + 1 :]))
            with pytest.raises(ValueError, match=r"begins with|checksum"):
                read_movement(bent.hex())


def test_a_speed_without_a_direction_has_no_meaning() -> None:
    with pytest.raises(ValueError, match="without a direction"):
        Movement(pan_speed=1)
    with pytest.raises(ValueError, match="without a direction"):
        Movement(pan="left", tilt_speed=1)
    with pytest.raises(ValueError, match="without a direction"):
        Movement(zoom_speed=1)
    assert Movement().stop
    assert not Movement(pan="left").stop


def test_operations_that_nobody_carries_have_no_table() -> None:
    assert commands.wire("Control", "DeviceControl", "TeleBoot") is None
    assert commands.wire("Control", "DeviceControl") is None
