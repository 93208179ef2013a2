"""The meaning of each command: one frozen `Struct`, the payload of a crossing as it stands.

A command is imported here once, so that the codec's union holds it; policy subjects, audit and
mapping follow its field types (`subjects`) and are written nowhere by hand.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import astuple

from cascade.model.ids import ChannelId, PlatformId


class Command(Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Something a peer can ask, answer or announce. `action` is its name in rules."""

    action: ClassVar[str]


class Control(Command, frozen=True):
    """What a device below shall do, and answers nothing: it crosses as a `Notice`.

    Not as an `Ask`: both gates would keep every one open for an answer that never comes, and
    telling the asker of a failure would need an end that no message above can carry. Who is
    refused by the near door hears it at once; what is lost later is counted where it is lost.
    """

    target: ChannelId


class Invitation(Command, frozen=True):
    """A question that `target` answers twice: with its answer, and by calling for media.

    That `StreamOpen` comes the other way and bears the question's number. It passes by the rule of
    the question, while the question is open, and nothing else lets it pass.
    """

    target: ChannelId


def subjects(value: object) -> Iterator[ChannelId | PlatformId]:
    """Whatever `value` names, in lists and parts too: the policy judges it, the audit lists it."""
    found: list[ChannelId | PlatformId] = []
    _gather(value, found)
    return iter(found)


def _gather(value: object, found: list[ChannelId | PlatformId]) -> None:
    if isinstance(value, _NAMES):
        found.append(value)
        return
    parts = value if isinstance(value, tuple) else astuple(value) if isinstance(value, Struct) else ()
    for part in parts:
        if type(part) not in _PLAIN:
            _gather(part, found)


_NAMES: Final = (ChannelId, PlatformId)
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
