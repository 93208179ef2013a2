"""Which of our peers came or went. Keepalives and refreshes never cross; this does."""

from typing import ClassVar

from msgspec import Struct

from cascade.model.commands import Command
from cascade.model.ids import PlatformId


class PeerState(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    peer: PlatformId
    online: bool


class Presence(Command, frozen=True):
    action: ClassVar[str] = "notice.presence"

    states: tuple[PeerState, ...]
