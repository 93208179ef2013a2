"""An end that outlives the process at the other end: down until it is joined, and again when that dies.

One side's gate owns it as long as the side runs. Whoever makes connections joins one after the other;
each is a link of its own, so what was on its way when one broke is lost, and told anew by whoever hears
of the next through `on_linked`.
"""

import logging
from collections.abc import Callable
from typing import Final

from cascade.crossing import Crossing
from gateway.chamber.link import LinkEnd, LinkUnavailable, nobody, unheard

log: Final = logging.getLogger("gateway.chamber.link")


def _nobody_hears(linked: bool) -> None:
    pass


class RejoiningEnd:
    """Satisfies `LinkEnd`. `on_linked` is told when there is somebody beyond, and when that is over."""

    def __init__(self) -> None:
        self.on_linked: Callable[[bool], None] = _nobody_hears
        self._on_arrival: Callable[[Crossing], None] = nobody
        self._on_signal: Callable[[bool], None] = unheard
        self._end: LinkEnd | None = None

    @property
    def on_arrival(self) -> Callable[[Crossing], None]:
        return self._on_arrival

    @on_arrival.setter
    def on_arrival(self, gate: Callable[[Crossing], None]) -> None:
        self._on_arrival = gate
        if self._end is not None:
            self._end.on_arrival = gate

    @property
    def on_signal(self) -> Callable[[bool], None]:
        return self._on_signal

    @on_signal.setter
    def on_signal(self, gate: Callable[[bool], None]) -> None:
        self._on_signal = gate
        if self._end is not None:
            self._end.on_signal = gate

    def join(self, end: LinkEnd) -> None:
        """Go on over `end`; nothing is taken any more from the one before."""
        if self._end is not None:
            self.part(self._end)
        self._end = end
        end.on_signal = self._on_signal
        self.on_linked(True)
        end.on_arrival = self._on_arrival  # last: what came early is handed over now

    def part(self, end: LinkEnd) -> None:
        """`end` is over. Does nothing if another has taken its place."""
        if self._end is not end:
            return
        self._end = None
        end.on_arrival, end.on_signal = nobody, unheard
        self.on_linked(False)

    def deliver(self, crossing: Crossing) -> None:
        if self._end is None:
            raise LinkUnavailable("nobody is at the other end of the link")
        self._end.deliver(crossing)

    def signal(self, *, recording: bool) -> None:
        if self._end is not None:
            self._end.signal(recording=recording)
