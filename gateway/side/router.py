"""Which face a request belongs to: the one table between a side's endpoint and its two faces.

A peer is known by its source and binding, never by From alone (GB/T 28181: `owns` of each face).
Runs of equal kind stay runs: nothing here makes a task, a queue item or a log line per message.
"""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

from cascade.accepting import SDP
from cascade.manscdp import COMMAND_TYPES, CONTENT_TYPE, Alive, Head, heads, keepalives
from gateway.side.firsts import Firsts
from gateway.side.refusing import Refusing
from gateway.words.limits import LIMITS
from sip.endpoint import Endpoint, Reply
from sip.events import Event, Kind
from sip.uri import host_port

log = logging.getLogger(__name__)

FORBIDDEN: Final = 403
BAD_REQUEST: Final = 400
UNSUPPORTED_MEDIA: Final = 415
READ: Final = COMMAND_TYPES | {""}
"""Types of a MESSAGE's body that hold commands."""

ACCEPT: Final = f"{CONTENT_TYPE}, {SDP}"
COMMANDING: Final = frozenset({"Query", "Control"})
VOICE: Final = "Broadcast"
SUBSCRIPTION: Final = ("SUBSCRIBE", "NOTIFY")
NO_SUBSCRIPTION: Final = 481

Run = list[tuple[Event, Head]]


class Registrar(Protocol):
    """The face towards those below, as the router needs it."""

    def owns(self, event: Event) -> bool: ...

    def registers(self, events: list[Event]) -> Sequence[Reply]: ...

    def keepalives(self, run: Sequence[Alive]) -> tuple[list[Reply], list[Event]]: ...

    def messages(self, pairs: Sequence[tuple[Event, Head]]) -> Sequence[Reply]: ...

    def notified(self, event: Event, head: Head | None) -> Reply | None: ...

    def awaits(self, event: Event) -> bool: ...


class Sharer(Protocol):
    """The face towards those above, as the router needs it."""

    def owns(self, event: Event) -> bool: ...

    def resolves(self, event: Event) -> bool: ...

    def subscribes(self, event: Event, head: Head | None) -> Reply: ...

    def messages(self, pairs: Sequence[tuple[Event, Head]]) -> Sequence[Reply]: ...


class Router:
    """Sorts the requests of one side. `strangers` counts those of nobody we know, answered 403."""

    def __init__(self, name: str, as_upper: Registrar, as_lower: Sharer) -> None:
        self._name = name
        self._as_upper = as_upper
        self._as_lower = as_lower
        self.strangers = 0
        self.headless = 0
        self._firsts = Firsts()
        self._refusing = Refusing(name)
        self._endpoint: Endpoint | None = None

    def attach(self, endpoint: Endpoint) -> None:
        endpoint.handle(Kind.REGISTER, self._as_upper.registers)
        endpoint.handle(Kind.MESSAGE, self._messages)
        endpoint.handle(Kind.REQUEST, self._others, methods=SUBSCRIPTION)
        endpoint.handle(Kind.MALFORMED, self._malformed)
        self._endpoint = endpoint
        endpoint.handle(Kind.LIMITED, self._limited)
        endpoint.unwelcome = self._stranger
        endpoint.review = self._refusing.review
        endpoint.accept = ACCEPT

    def unwelcome(self, event: Event) -> int | None:
        """The status for an INVITE of nobody who may invite us, None for one that may go on."""
        if self._as_lower.owns(event) or self._as_upper.awaits(event):
            return None
        self.strangers += 1
        return FORBIDDEN

    def _stranger(self, event: Event) -> int | None:
        """403 for OPTIONS and whatever else of nobody we know, so that it registers."""
        if self._as_upper.owns(event) or self._as_lower.owns(event):
            return None
        self.strangers += 1
        return FORBIDDEN

    def counters(self) -> dict[str, int]:
        """What was turned away here, and by any decider of this side."""
        return {"strangers": self.strangers, "headless": self.headless, **self._refusing.counters()}

    def calls_for_voice(self, event: Event) -> bool:
        """Is this INVITE of a lower that was told of a voice? One box may be an upper too (Q98)."""
        return self._as_upper.awaits(event) and not self._as_lower.resolves(event)

    def _messages(self, events: list[Event]) -> Sequence[Reply]:
        replies: list[Reply] = []
        below: Run = []
        above: Run = []
        alive, others = keepalives(events)
        if alive:
            answered, strange = self._as_upper.keepalives(alive)
            replies.extend(answered)
            others += zip(strange, heads([event.body for event in strange]), strict=True)
        for event, head in others:
            mine = self._face(event, head, below, above)
            if mine is None:
                self.strangers += 1
                replies.append((event.transaction, FORBIDDEN))
                continue
            if head is None:
                self.headless += 1
                if event.content_type in READ:
                    replies.append((event.transaction, BAD_REQUEST))
                else:
                    replies.append((event.transaction, UNSUPPORTED_MEDIA, [("Accept", CONTENT_TYPE)]))
            else:
                mine.append((event, head))
        if below:
            replies.extend(self._as_upper.messages(below))
        if above:
            replies.extend(self._as_lower.messages(above))
        return replies

    def _others(self, events: list[Event]) -> Sequence[Reply]:
        """SUBSCRIBE of those above, NOTIFY of those below; nothing is told by us to the one, or taken of the
        other."""
        replies: list[Reply] = []
        for event, head in zip(events, heads([event.body for event in events]), strict=True):
            reply = self._other(event, head)
            if reply is not None:
                replies.append(reply)
        return replies

    def _other(self, event: Event, head: Head | None) -> Reply | None:
        if event.method not in SUBSCRIPTION:
            allow = "" if self._endpoint is None else self._endpoint.allow
            return (event.transaction, 405, [("Allow", allow)])
        if event.method == "SUBSCRIBE":
            above = self._as_lower.owns(event)
            return self._as_lower.subscribes(event, head) if above else (event.transaction, FORBIDDEN)
        if not self._as_upper.owns(event):
            return (event.transaction, NO_SUBSCRIPTION)
        if event.body and event.content_type not in COMMAND_TYPES:
            return (event.transaction, UNSUPPORTED_MEDIA, [("Accept", CONTENT_TYPE)])
        return self._as_upper.notified(event, head)

    def _face(self, event: Event, head: Head | None, below: Run, above: Run) -> Run | None:
        """The run of the face whose peer sent this; None for a stranger.

        One box may be above and below us (Q98): then it commands as an upper and answers as a lower.
        """
        lower, upper = self._as_upper.owns(event), self._as_lower.owns(event)
        if lower and upper:
            return above if head is not None and _from_above(head) else below
        if lower:
            return below
        return above if upper else None

    def _malformed(self, events: list[Event]) -> Sequence[Reply]:
        for event in events:  # the engine gives at most a few of these each second, and counts all
            host, port = event.source
            kind, _, _where = event.reason.partition(" (byte ")
            count = self._firsts.told(host, kind, event.arrived)
            if count is not None:
                log.warning(
                    "sip.malformed",
                    extra={
                        "side": self._name,
                        "source": host_port(host, port),
                        "reason": event.reason,
                        "count": count,
                    },
                )
        return ()

    def _limited(self, events: list[Event]) -> Sequence[Reply]:
        for event in events:  # of these, too, the engine gives a few each second
            host, port = event.source
            count = self._firsts.told(host, event.reason, event.arrived)
            if count is not None:
                fields = {"limit": event.reason, "source": host_port(host, port), "count": count}
                log.warning("limit.reached", extra={"side": self._name, **fields, **LIMITS[event.reason]})
        return ()


def _from_above(head: Head) -> bool:
    """Is this what uppers say? Of their notices there is one, that somebody wants to speak (9.12)."""
    return head.root in COMMANDING or (head.root == "Notify" and head.cmd_type == VOICE)
