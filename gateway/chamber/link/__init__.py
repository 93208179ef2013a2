"""Links between the two gates: in memory, encoded, or over a stream socket. All keep the order."""

from collections.abc import Callable
from typing import Protocol

from cascade.crossing import Crossing


class LinkUnavailable(Exception):
    """The crossing could not be handed over: the link is closed, or full."""


class LinkEnd(Protocol):
    """One end, owned by one gate; what arrives is handed to `on_arrival` in the order of sending."""

    on_arrival: Callable[[Crossing], None]

    def deliver(self, crossing: Crossing) -> None:
        """Take `crossing` for the other end. Never blocks.

        Raises:
            LinkUnavailable: nothing was taken.
        """
        ...


def nobody(crossing: Crossing) -> None:
    """The `on_arrival` of an end without a gate: what arrives is lost, as on a link that is down."""
