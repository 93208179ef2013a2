"""Which wire form a head announces: one row for each command that crosses."""

from typing import Any, Final

from cascade.manscdp import device_info, device_status
from cascade.manscdp.wire import Wire

_WIRES: Final = (device_info.QUESTION, device_info.ANSWER, device_status.QUESTION, device_status.ANSWER)

WIRES: Final[dict[tuple[str, str], Wire[Any]]] = {(wire.root, wire.cmd_type): wire for wire in _WIRES}


def wire(root: str, cmd_type: str) -> Wire[Any] | None:
    """The table of a command, None for one that we don't carry."""
    return WIRES.get((root, cmd_type))
