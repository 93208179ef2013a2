"""Types of the native load: a fleet of devices that register, keep alive and answer, over UDP."""

from typing import Literal, TypeAlias, final

_Address: TypeAlias = tuple[str, int]
_Work: TypeAlias = Literal["register", "keepalive", "forged"]

__all__ = ["Fleet"]

@final
class Fleet:
    """Devices with ids that count up, on some sockets. They repeat what nobody answers, answer challenges
    (Digest, the strongest), come back after a 503 when told to, and list themselves when asked for a catalog.
    """

    def __new__(
        cls,
        server: _Address,
        local: _Address,
        *,
        server_id: str,
        domain: str,
        first_id: str,
        count: int,
        password: str,
        expires: int = 3600,
        sockets: int = 1,
        buffer: int = 8_388_608,
        seed: int = 1,
    ) -> Fleet:
        """`local`: port 0 lets the system choose, else sockets count up from it. `expires` in seconds.

        Raises:
            ValueError: an id or the domain can't stand in a message.
            OSError: an address is not to be had.
        """

    def aim(self, what: _Work, *, window: int = 0, rate: float = 0.0, count: int | None = None) -> None:
        """Do this from now on, `count` times or without an end.

        `window` under way at once, or `rate` a second. "keepalive" is for devices that are registered;
        "forged" are REGISTERs of strangers, to which no answer is waited for.

        Raises:
            ValueError: no such work, or not one of window and rate.
        """

    def rest(self, what: _Work) -> None:
        """Start no more of this."""

    def run(self, seconds: float) -> bool:
        """Send, receive and wait for so long without the GIL, or until all is done; is it?

        Raises:
            OSError: a socket failed.
        """

    def counters(self) -> dict[str, int]:
        """Totals by name: registered, under_way, retransmitted, challenged, put_off, catalogs, answered,
        stray, unreadable, dropped; `{work}_started`, `{work}_finished`, `{work}_lost`, and
        `{work}_{status}` for each other end.
        """

    def latency(self, what: _Work) -> tuple[int, float, float, float]:
        """Of what ended in 200: how many, and the seconds of p50, p99 and the longest; each to 3 %."""

    def forget_latency(self) -> None:
        """Count latencies anew from here."""
