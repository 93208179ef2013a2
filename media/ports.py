"""Which local ports media use: even ones of a range, in no order that can be guessed.

A port that was given back rests before it is given out again, since the camera of the last session may
still be sending to it (GB/T 28181 gateways meet this daily).
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence

log = logging.getLogger(__name__)


class NoPortLeft(Exception):
    """Every port of the range is held or rests. Who asked for media is answered 486."""


class Ports:
    """The even ports from `low` to `high`, both included, of one local address.

    Args:
        address: the IP address that the ports are bound on.
        quarantine_seconds: how long a port rests after it was given back.
        clock: seconds, monotonic; `loop.time`.
        choose: picks one of the free ports, `random.choice` for instance.
        resting: ports of an earlier process, which somebody may still send to: they rest first.

    Raises:
        ValueError: there is no even port in the range, or it leaves 1 to 65535.
    """

    def __init__(
        self,
        address: str,
        low: int,
        high: int,
        *,
        quarantine_seconds: float,
        clock: Callable[[], float],
        choose: Callable[[Sequence[int]], int],
        resting: Iterable[int] = (),
    ) -> None:
        self.address = address
        self._free = [port for port in range(low, high + 1) if port % 2 == 0]
        if not self._free or low < 1 or high > 65_535:
            raise ValueError(f"no even port from {low} to {high}")
        self._resting: deque[tuple[float, int]] = deque()  # until when, which
        self._held: set[int] = set()
        self._quarantine = quarantine_seconds
        self._clock = clock
        self._choose = choose
        self.refused = 0
        """How often there was none; each was somebody's picture."""
        self._exhausted = False
        for port in set(resting).intersection(self._free):
            self._free.remove(port)
            self._resting.append((clock() + quarantine_seconds, port))

    @property
    def in_use(self) -> int:
        """Ports held now; those that rest are not counted."""
        return len(self._held)

    def take(self) -> int:
        """Hold one port until it is given back.

        Raises:
            NoPortLeft: none is free.
        """
        now = self._clock()
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
        self._tell(exhausted=not self._free)
        if not self._free:
            self.refused += 1
            raise NoPortLeft(f"{self.address}: {len(self._held)} media ports held, {len(self._resting)} rest")
        port = self._choose(self._free)
        self._free.remove(port)
        self._held.add(port)
        return port

    def _tell(self, *, exhausted: bool) -> None:
        """Raise the alarm once when it begins, and say once that it is over."""
        if exhausted and not self._exhausted:
            log.error(
                "media.ports_exhausted",
                extra={
                    "address": self.address,
                    "held": len(self._held),
                    "resting": len(self._resting),
                    "remedy": "give this side a wider range in media_ports",
                },
            )
        elif self._exhausted and not exhausted:
            log.info("media.ports_free", extra={"address": self.address, "refused": self.refused})
        self._exhausted = exhausted

    def give_back(self, port: int) -> None:
        """Let a port rest; one that is not held is left alone."""
        if port in self._held:
            self._held.remove(port)
            self._resting.append((self._clock() + self._quarantine, port))
