"""Which wire form a head announces: one row for each command that crosses."""

from typing import Any, Final

from cascade.manscdp import device_control, device_info, device_status
from cascade.manscdp.wire import Wire
from cascade.model.commands import Command

_WIRES: Final = (device_info.QUESTION, device_info.ANSWER, device_status.QUESTION, device_status.ANSWER)

WIRES: Final[dict[tuple[str, str, str], Wire[Any]]] = {
    (wire.root, wire.cmd_type, ""): wire for wire in _WIRES
} | {(wire.root, wire.cmd_type, name): wire for name, wire in device_control.OPERATIONS.items()}

_BY_MEANING: Final[dict[type[Command], Wire[Any]]] = {wire.meaning: wire for wire in WIRES.values()}


def wire(root: str, cmd_type: str, operation: str = "") -> Wire[Any] | None:
    """The table of a command, None for one that we don't carry. `operation` is a DeviceControl's."""
    return WIRES.get((root, cmd_type, operation))


def wire_of(meaning: Command) -> Wire[Any]:
    """The table that writes this command.

    Raises:
        KeyError: it has no wire form: it never leaves as a message.
    """
    return _BY_MEANING[type(meaning)]
