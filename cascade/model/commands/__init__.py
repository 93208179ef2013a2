"""The meaning of each command: one frozen `Struct`, the payload of a crossing as it stands.

A command is imported here once, so that the codec's union holds it; policy subjects, audit and
mapping follow its field types (`subjects`) and are written nowhere by hand.
"""

from collections.abc import Iterator
from typing import ClassVar

from msgspec import Struct

from cascade.model.ids import ChannelId, PlatformId


class Command(Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Something a peer can ask, answer or announce. `action` is its name in rules."""

    action: ClassVar[str]


def subjects(value: object) -> Iterator[ChannelId | PlatformId]:
    """Whatever `value` names, in lists and parts too: the policy judges it, the audit lists it."""
    match value:
        case ChannelId() | PlatformId():
            yield value
        case tuple():
            for part in value:
                yield from subjects(part)
        case Struct():
            for name in value.__struct_fields__:
                yield from subjects(getattr(value, name))
