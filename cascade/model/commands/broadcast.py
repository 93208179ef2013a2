"""A voice from above for a loudspeaker below (GB/T 28181-2016 9.12, annex A.2.5, A.2.6)."""

from typing import ClassVar, Final, Literal

from cascade.model.commands import Command, Invitation
from cascade.model.ids import ChannelId

BROADCAST: Final = "media.broadcast"
"""Its name in rules: one rule covers the announcement, the answer and the media."""


class AskBroadcast(Invitation, frozen=True):
    """Somebody above wants to speak to `target`. Whose voice it is stays on its side."""

    action: ClassVar[str] = BROADCAST


class Broadcast(Command, frozen=True):
    """Whether `target` will listen."""

    action: ClassVar[str] = BROADCAST

    target: ChannelId
    result: Literal["ok", "error"]
