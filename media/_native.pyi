"""Types of the native relay. Commands, events and counters are JSON, as `media.relay` and `media.stats` say.

An address is (host, port), where host is an IP address.
"""

from typing import TypeAlias, final

_Address: TypeAlias = tuple[str, int]

__all__ = ["Core", "Engine"]

@final
class Engine:
    """The relay's thread, and the sockets that it owns. Packets never need the GIL."""

    def __new__(cls) -> Engine:
        """Start the thread.

        Raises:
            OSError: the system gives no thread or descriptor.
        """

    def command(self, json: bytes) -> bytes:
        """`{"port": n}` to what binds, else `{}`; `{"error": text, "taken": bool}` when it is refused.

        Only a command that binds waits for the thread (some microseconds); the others are queued.

        Raises:
            ValueError: the relay is closed. The same holds for the methods below.
        """

    def offer(self) -> bytes:
        """A new key for the other host, as `relay_core::Trunk` says.

        Raises:
            ValueError: there is no trunk, or no randomness.
        """

    def accept(self, offer: bytes) -> None:
        """Raises ValueError: it is no offer, or there is no trunk."""

    def fileno(self) -> int:
        """Readable while events wait."""

    def take_events(self) -> bytes:
        """A JSON list."""

    def counters(self) -> bytes: ...
    def sockets(self) -> int:
        """Sockets held: one for each stream and one for each viewer."""

    def close(self) -> None:
        """End the thread and close every socket; return when that is done. Again does nothing."""

@final
class Core:
    """The same relay without sockets: `now` is seconds of any monotonic clock, not below 0."""

    def __new__(cls, seed: int = 0) -> Core:
        """`seed`: where the first sequence numbers of viewers come from."""

    def command(self, json: bytes, now: float) -> bytes:
        """As in `Engine`; nothing is bound, the port asked for is the answer."""

    def offer(self) -> bytes: ...
    def accept(self, offer: bytes) -> None: ...
    def feed(self, port: _Address, packet: bytes, source: _Address, now: float) -> None:
        """A datagram that came to `port`; one for a port that is not open is dropped."""

    def advance(self, now: float) -> None: ...
    def deadline(self) -> float | None:
        """When `advance` is to be called; it may then find nothing to do."""

    def take_events(self) -> bytes: ...
    def take_outputs(self) -> list[tuple[bytes, _Address, _Address]]:
        """Datagram, destination, and the port of ours that it leaves from."""

    def counters(self) -> bytes: ...
    def sockets(self) -> int: ...
