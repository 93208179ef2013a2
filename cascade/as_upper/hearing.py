"""What those below have said, read after it was answered: business answers, and notices of changes.

Each peer's in the order of their coming, from a turn of the loop after their 200s on. A turn reads so many
bytes and no more, some of each peer's in its turn: who sends a catalog of 16 MiB waits for it himself, and
nobody else does. What can't be read is counted, and told of now and then.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cascade.as_upper.catalogs import Catalogs
from cascade.as_upper.questions import Asker
from cascade.deviations import Deviations
from cascade.limits import Bounds
from cascade.manscdp import Head, xml
from cascade.manscdp.pieces import pieces
from cascade.peers import LowerPeer
from cascade.sparse import Sparse
from sip.errors import PeerError

if TYPE_CHECKING:
    from cascade.model.ids import PlatformId

log = logging.getLogger(__name__)

TURN_BYTES: Final = 128 * 1024
"""Read in one turn of the loop, and the rest of the piece that this ends in."""

SHARE_BYTES: Final = 16 * 1024
"""Of these what one peer may have before it is another's turn."""


@dataclass(slots=True)
class _Said:
    peer: LowerPeer
    head: Head
    notice: bool
    length: int
    parts: Iterator[bytes]


class Hearing:
    """Of one face. `plan` is called when deadlines may have changed; `counts` is the face's."""

    def __init__(
        self,
        *,
        catalogs: Catalogs,
        asker: Asker,
        deviations: Deviations,
        loop: asyncio.AbstractEventLoop,
        counts: Counter[str],
        plan: Callable[[], None],
        bounds: Bounds | None = None,
    ) -> None:
        self._catalogs = catalogs
        self._asker = asker
        self._deviations = deviations
        self._loop = loop
        self._counts = counts
        self._plan = plan
        self._bounds = bounds or Bounds()
        self._unreadable = Sparse(loop.time)
        self._said: dict[PlatformId, deque[_Said]] = {}  # whose turn is next comes first
        self._unread = 0

    def take(self, peer: LowerPeer, head: Head, body: bytes, *, notice: bool = False) -> None:
        """An answer, or a notice of catalog changes, to be read soon. What comes where too much waits is
        lost, and its question asked again."""
        if self._unread + len(body) > self._bounds.limits.unread_bytes:
            self._bounds.meet("unread_bytes")
            self._counts["responses_too_many"] += 1
            return
        if not self._said:
            self._loop.call_soon(self._read)
        parts = pieces(body) if head.cmd_type == "Catalog" else iter((body,))
        said = _Said(peer, head, notice, len(body), parts)
        self._said.setdefault(peer.id, deque()).append(said)
        self._unread += len(body)

    def _read(self) -> None:
        read = 0
        while self._said and read < TURN_BYTES:
            peer = next(iter(self._said))
            waiting = self._said.pop(peer)
            share = 0
            while waiting and share < SHARE_BYTES:
                part = self._next(waiting[0])
                if part is None:
                    self._unread -= waiting.popleft().length
                else:
                    share += len(part)
            read += share
            if waiting:
                self._said[peer] = waiting
        if self._said:
            self._loop.call_soon(self._read)
        self._plan()

    def _next(self, said: _Said) -> bytes | None:
        """The next part of what was said, once it was followed; None: that was all of it."""
        try:
            part = next(said.parts, None)
            if part is not None:
                self._follow(said, xml.recoded(part, said.peer.charset_in))
        except (PeerError, ValueError) as error:
            self._counts["responses_unreadable"] += 1
            self._deviations.note(said.peer.id, "unreadable")
            if self._unreadable.due(said.peer.id):
                log.warning(
                    "response.unreadable",
                    extra={"peer": said.peer.id, "command": said.head.cmd_type, "reason": str(error)},
                )
            return None
        return part

    def _follow(self, said: _Said, body: bytes) -> None:
        if said.notice:
            self._catalogs.notified(said.peer, body)
        elif said.head.cmd_type == "Catalog":
            self._catalogs.take(said.peer.id, said.head, body)
        else:
            self._asker.take(said.peer.id, said.head, body)
