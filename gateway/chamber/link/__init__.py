"""Links between the two gates: in memory, encoded, or between two hosts. All keep the order."""

from collections.abc import Callable
from typing import Literal, Protocol

from cascade.crossing import Crossing

Signal = Literal["shut", "open", "anew"]
"""What a door says of itself, and nothing else: it cannot record what crosses; it can again; it judges
otherwise than it did, so that whatever rows there are should be told to it anew."""


class LinkUnavailable(Exception):
    """The crossing could not be handed over: the link is closed, or full."""


class LinkFull(LinkUnavailable):
    """Too much is on its way already; a little later it may be taken."""


class LinkEnd(Protocol):
    """One end, owned by one gate; what arrives is handed to `on_arrival` in the order of sending, and in
    the same order what the other door says of itself to `on_signal`."""

    on_arrival: Callable[[Crossing], None]
    on_signal: Callable[[Signal], None]

    @property
    def up(self) -> bool:
        """Is there somebody at the other end now?"""
        ...

    @property
    def linked(self) -> bool:
        """Is there, or may there soon be again, somebody who has heard what was said so far?"""
        ...

    def deliver(self, crossing: Crossing) -> None:
        """Take `crossing` for the other end. Never blocks.

        Raises:
            LinkUnavailable: nothing was taken.
        """
        ...

    def signal(self, signal: Signal) -> None:
        """Say something of this door. It is no crossing and has no content. A link that is down loses it."""
        ...


def unheard(signal: Signal) -> None:
    """The `on_signal` of an end without a gate."""


def nobody(crossing: Crossing) -> None:
    """The `on_arrival` of an end without a gate: what arrives is lost, as on a link that is down."""
