"""DeviceControl on the wire: one table an operation (GB/T 28181-2016 annex A.2.3.1, A.3)."""

from typing import Any, Final

from cascade.manscdp import xml
from cascade.manscdp.wire import CHANNEL, Converter, Element, Names, Wire
from cascade.model.commands.device_control import ControlPtz, Movement

FIRST: Final = 0xA5
SECOND: Final = 0x0F
"""Version 0 in the high nibble; in the low one the check of A, 5 and the version."""
ADDRESS: Final = 0x01
"""Means nothing, since the DeviceID selects the target; most senders write 1 (read: anything)."""

LEFT, RIGHT, UP, DOWN, IN, OUT = 0x02, 0x01, 0x08, 0x04, 0x10, 0x20
_OPPOSITES: Final = (LEFT | RIGHT, UP | DOWN, IN | OUT)
_PTZ: Final = LEFT | RIGHT | UP | DOWN | IN | OUT


def read_movement(text: str) -> Movement:
    """The eight bytes of a PTZCmd as a movement. Speeds of axes that rest say nothing and are dropped.

    Raises:
        ValueError: not eight bytes in hex, a wrong check, or an instruction that is no movement
            (focus, iris, preset, cruise, scan, auxiliary).
    """
    data = bytes.fromhex(text) if len(text) == 16 and text.isalnum() else b""
    if len(data) != 8:
        raise ValueError(f"not eight bytes in hex: {text[:32]!r}")
    first, second, _address, instruction, pan, tilt, last, check = data
    if (first, second) != (FIRST, SECOND):
        raise ValueError(f"begins with {first:02X}{second:02X} instead of A50F")
    if sum(data[:7]) % 256 != check:
        raise ValueError(f"checksum {check:02X} instead of {sum(data[:7]) % 256:02X}")
    if instruction & ~_PTZ:
        raise ValueError(f"instruction {instruction:02X} is no movement")
    if any(instruction & both == both for both in _OPPOSITES):
        raise ValueError(f"instruction {instruction:02X} goes two opposite ways")
    return Movement(
        pan="left" if instruction & LEFT else "right" if instruction & RIGHT else None,
        tilt="up" if instruction & UP else "down" if instruction & DOWN else None,
        zoom="in" if instruction & IN else "out" if instruction & OUT else None,
        pan_speed=pan if instruction & (LEFT | RIGHT) else 0,
        tilt_speed=tilt if instruction & (UP | DOWN) else 0,
        zoom_speed=last >> 4 if instruction & (IN | OUT) else 0,
    )


def write_movement(movement: Movement) -> str:
    """The PTZCmd of a movement: sixteen hex digits, upper case by habit."""
    instruction = (
        {None: 0, "left": LEFT, "right": RIGHT}[movement.pan]
        | {None: 0, "up": UP, "down": DOWN}[movement.tilt]
        | {None: 0, "in": IN, "out": OUT}[movement.zoom]
    )
    data = bytes(
        (
            *(FIRST, SECOND, ADDRESS, instruction),
            *(movement.pan_speed, movement.tilt_speed, movement.zoom_speed << 4),
        )
    )
    return f"{data.hex().upper()}{sum(data) % 256:02X}"


def read_priority(body: bytes) -> int | None:
    """ControlPriority of a control that was read (11, 16); None where it says none, or no number up to 255.

    It is a word between the sender and us, about who gives way, and no part of what crosses.
    """
    info = xml.child(xml.read_root(body), "Info")
    text = "" if info is None else xml.text_of(info, "ControlPriority")
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255):
        return None
    return int(text)


def _read(text: str, _names: Names) -> Movement:
    return read_movement(text)


def _write(movement: Movement, _names: Names) -> str:
    return write_movement(movement)


PTZ: Final = Wire(
    ControlPtz,
    root="Control",
    cmd_type="DeviceControl",
    elements=(
        Element("DeviceID", "target", CHANNEL, required=True),
        Element("PTZCmd", "movement", Converter(_read, _write), required=True),
    ),
)

OPERATIONS: Final[dict[str, Wire[Any]]] = {"PTZCmd": PTZ}
"""By the element that says what to do. What is not here crosses under no rule."""
