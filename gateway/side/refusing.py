"""What is refused, by status; and one line of each source, method and status.

Nothing that whoever was refused has written stands in a line but a method that we know.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.side.firsts import Firsts
from sip.endpoint import Reply
from sip.events import Event
from sip.uri import host_port

log = logging.getLogger(__name__)

LEAST: Final = 400
CHALLENGE: Final = 401
METHODS: Final = frozenset(
    {"REGISTER", "MESSAGE", "INVITE", "OPTIONS", "SUBSCRIBE", "NOTIFY", "INFO", "BYE", "UPDATE", "PRACK"}
)


class Refusing:
    """Of one side. A challenge is no refusal: who does not meet it is told of elsewhere."""

    def __init__(self, side: str) -> None:
        self._side = side
        self._firsts = Firsts()
        self.counts: Counter[int] = Counter()

    def review(self, events: Iterable[Event], replies: Sequence[Reply]) -> None:
        """Look at the replies to a run; it costs a comparison each where nothing is refused."""
        refused = {reply[0]: reply[1] for reply in replies if reply[1] >= LEAST and reply[1] != CHALLENGE}
        if refused:
            for event in events:
                status = refused.get(event.transaction)
                if status is not None:
                    self.note(event, status)

    def note(self, event: Event, status: int) -> None:
        """This one was refused."""
        self.counts[status] += 1
        host, port = event.source
        method = event.method if event.method in METHODS else "-"
        count = self._firsts.told(host, f"{method} {status}", event.arrived)
        if count is not None:
            fields = {"source": host_port(host, port), "method": method, "status": status, "count": count}
            log.warning("request.refused", extra={"side": self._side, **fields})

    def counters(self) -> dict[str, int]:
        return {f"refused_{status}": count for status, count in self.counts.items()}
