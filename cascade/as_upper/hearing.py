"""What those below have said, read after it was answered: business answers, and notices of changes.

Each peer's in the order of their coming, a turn of the loop after their 200s. What can't be read is counted,
and told of now and then.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from cascade.as_upper.catalogs import Catalogs
from cascade.as_upper.questions import Asker
from cascade.deviations import Deviations
from cascade.manscdp import Head, xml
from cascade.peers import LowerPeer
from cascade.sparse import Sparse
from sip.errors import PeerError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Said:
    peer: LowerPeer
    head: Head
    body: bytes
    notice: bool


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
    ) -> None:
        self._catalogs = catalogs
        self._asker = asker
        self._deviations = deviations
        self._loop = loop
        self._counts = counts
        self._plan = plan
        self._unreadable = Sparse(loop.time)
        self._said: list[_Said] = []

    def take(self, peer: LowerPeer, head: Head, body: bytes, *, notice: bool = False) -> None:
        """An answer, or a notice of catalog changes, to be read soon."""
        if not self._said:
            self._loop.call_soon(self._read)
        self._said.append(_Said(peer, head, xml.recoded(body, peer.charset_in), notice))

    def _read(self) -> None:
        said, self._said = self._said, []
        for each in said:
            try:
                self._follow(each)
            except (PeerError, ValueError) as error:
                self._counts["responses_unreadable"] += 1
                self._deviations.note(each.peer.id, "unreadable")
                if self._unreadable.due(each.peer.id):
                    log.warning(
                        "response.unreadable",
                        extra={"peer": each.peer.id, "command": each.head.cmd_type, "reason": str(error)},
                    )
        self._plan()

    def _follow(self, said: _Said) -> None:
        if said.notice:
            self._catalogs.notified(said.peer, said.body)
        elif said.head.cmd_type == "Catalog":
            self._catalogs.take(said.peer.id, said.head, said.body)
        else:
            self._asker.take(said.peer.id, said.head, said.body)
