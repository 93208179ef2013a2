"""What was sent and not yet heard: kept, so that a connection that breaks loses nothing.

Frames count from 1 in each era. An era begins when two ends meet that know nothing of each other, and
ends when one of them gives the other up.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from gateway.chamber.link import LinkFull
from gateway.chamber.link.frames import Kind

MAX_BYTES: Final = 32 * 1024 * 1024
"""As usual. Beyond it the newest crossing is refused, and its sender is told."""


class Unheard:
    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.bytes = 0
        self.max_bytes = max_bytes
        self._frames: deque[tuple[Kind, bytes]] = deque()
        self._heard = 0  # all before the first of these frames

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def sent(self) -> int:
        """How many frames this era has had."""
        return self._heard + len(self._frames)

    def add(self, kind: Kind, body: bytes) -> None:
        """Raises LinkFull: too much is kept."""
        if self.bytes + len(body) > self.max_bytes:
            raise LinkFull("the other side takes nothing: too much is waiting for it")
        self._frames.append((kind, body))
        self.bytes += len(body)

    def heard(self, count: int) -> bool:
        """Forget the first `count` of the era. False where it is more than were sent, or less than before."""
        if not self._heard <= count <= self.sent:
            return False
        while self._heard < count:
            _, body = self._frames.popleft()
            self.bytes -= len(body)
            self._heard += 1
        return True

    def clear(self) -> int:
        """Begin a new era. Returns how many frames nobody will hear."""
        lost = len(self._frames)
        self._frames.clear()
        self.bytes = self._heard = 0
        return lost

    def __iter__(self) -> Iterator[tuple[Kind, bytes]]:
        return iter(self._frames)
