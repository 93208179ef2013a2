"""The meaning of each command: one frozen `Struct`, the payload of a crossing as it stands.

A command is imported here once, so that the codec's union holds it; policy subjects, audit and
mapping follow its field types (`subjects`) and are written nowhere by hand.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

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


def subjects(value: object) -> Sequence[ChannelId | PlatformId]:
    """Whatever `value` names, in lists and parts too: the policy judges it, the audit lists it."""
    found: list[ChannelId | PlatformId] = []
    _gather(value, found)
    return found


def _gather(value: Any, found: list[ChannelId | PlatformId]) -> None:
    way = _ways.get(type(value))
    if way is None:
        way = _ways[type(value)] = _way(type(value))
    if way == _NAME:
        found.append(value)
    elif way == _PARTS:
        for part in astuple(value):
            kind = type(part)
            if kind is ChannelId or kind is PlatformId:
                found.append(part)
            elif kind not in _PLAIN:
                _gather(part, found)
    elif way == _ITEMS:
        for part in value:
            _gather(part, found)


_NOTHING, _NAME, _PARTS, _ITEMS = range(4)
_ways: Final[dict[type, int]] = {}


def _way(kind: type) -> int:
    """What there is in values of this kind."""
    if issubclass(kind, ChannelId | PlatformId):
        return _NAME
    if issubclass(kind, Struct):
        return _PARTS
    return _ITEMS if issubclass(kind, tuple) else _NOTHING


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
