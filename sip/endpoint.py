"""One SIP address of ours: hands events to deciders in runs, answers in batches, sends requests.

No socket and no loop: a driver (`sip.aio.driver`, or a test's) calls `dispatch` with what the engine
gave. Nothing here makes a task, a coroutine or a log line for a message that goes well.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final, Protocol

from sip.algorithms import Qop
from sip.errors import UsageError
from sip.events import Address, Algorithm, Attempt, Cut, Event, Headers, Kept, Kind, Reply, Request
from sip.request import Outgoing, build
from sip.uri import host_port

__all__ = ["Address", "Decide", "Endpoint", "Outgoing", "Party", "Reply", "Stack", "Then"]

log = logging.getLogger(__name__)

Decide = Callable[[list[Event]], Sequence[Reply]]
"""Decides a run of events of one kind, in their order; whoever needs longer replies later instead."""

Then = Callable[[Event], None]
"""Told of each RESPONSE to a request, or of its TIMEOUT or UNDELIVERED."""

TO_SENDER: Final = frozenset({Kind.RESPONSE, Kind.TIMEOUT, Kind.UNDELIVERED})
METHODS: Final = {
    Kind.INVITE: ("INVITE", "ACK", "CANCEL"),
    Kind.BYE: ("BYE",),
    Kind.MESSAGE: ("MESSAGE",),
    Kind.REGISTER: ("REGISTER",),
}
_kind: Final = attrgetter("kind")


@dataclass(frozen=True, slots=True)
class Party:
    """Who: a user at a host or domain. `host` may carry a port."""

    user: str
    host: str

    @property
    def uri(self) -> str:
        return f"sip:{self.user}@{self.host}"

    @property
    def name_addr(self) -> str:
        return f"<{self.uri}>"


class Stack(Protocol):
    """The engine as an endpoint sees it: `sip._native.Engine`, or a test's over `Core`."""

    @property
    def local(self) -> Address: ...
    def poll(self, limit: int) -> list[Event]: ...
    def reply(self, replies: Sequence[Reply]) -> None: ...
    def send(self, requests: Sequence[Request]) -> list[int]: ...
    def cancel(self, transaction: int) -> None: ...
    def adopt(self, outline: bytes, source: Address) -> int | None: ...
    def set_credentials(
        self, user: str, given: Sequence[tuple[Algorithm, str | None]], qop: Qop = "both"
    ) -> None: ...
    def attempts(self, user: str) -> list[Attempt]: ...
    def token(self) -> str: ...
    def counters(self) -> dict[str, int]: ...
    def recall(self, needles: Sequence[bytes], after: int, limit: int) -> tuple[int, list[Kept]]: ...
    def seen_from(self, peer: Address) -> tuple[str, Address]: ...
    def set_route(
        self, peer: Address, transport: str | None, *, large_by_tcp: bool = False, pong: bool = False
    ) -> None: ...
    def set_terms(
        self, user: str, *, large: int = 0, pong: bool = False, dial: Address | None = None
    ) -> None: ...
    def set_large_kinds(self, kinds: Sequence[bytes]) -> None: ...
    def set_networks(self, networks: Sequence[str]) -> None: ...
    def set_limits(self, limits: Mapping[str, int]) -> None: ...
    def know(self, came: Sequence[Address], gone: Sequence[Address], cut: Sequence[Cut] = ()) -> None: ...


class Endpoint:
    """`me` is who we are in From and Contact; `advertised` replaces the bound address in Contact."""

    def __init__(
        self, stack: Stack, me: Party, *, advertised: Address | None = None, user_agent: str | None = None
    ) -> None:
        self.stack = stack
        self.me = me
        self.local = stack.local
        self.contact = f"<sip:{me.user}@{host_port(*(advertised or stack.local))}>"
        self._usual: Headers = (("User-Agent", user_agent),) if user_agent else ()
        self._decide: dict[int, Decide] = {}
        self._then: dict[int, Then] = {}
        self._methods: dict[str, None] = {"OPTIONS": None}
        self.accept = ""  # media types that somebody here reads, for OPTIONS
        self.review: Callable[[list[Event], Sequence[Reply]], None] = _nobody_looks
        self.unwelcome: Callable[[Event], int | None] = _welcome  # of other methods: a status for strangers
        self.on_stray: Then | None = None  # told of 2xx to an INVITE that this process did not send

    def contact_for(self, peer: Address) -> str:
        """Our Contact as `peer` has to know it: where requests to us reach us by the way that ours take."""
        try:
            transport, address = self.stack.seen_from(peer)
        except ValueError:  # no IP address: nothing goes there anyway
            return self.contact
        if transport == "udp" and address == self.local:
            return self.contact
        return f"<sip:{self.me.user}@{host_port(*address)};transport={transport}>"

    @property
    def pending(self) -> int:
        """Requests of ours whose callback still waits for the end of its transaction."""
        return len(self._then)

    @property
    def allow(self) -> str:
        """The value of Allow: every method that somebody decides here."""
        return ", ".join(self._methods)

    # Requests of others

    def handle(self, kind: Kind, decide: Decide, *, methods: Iterable[str] = ()) -> None:
        """Let `decide` answer every run of that kind, instead of whoever did before.

        `methods` are those of `Kind.REQUEST` that it understands, for Allow; it gets the others too.
        OPTIONS is answered here and reaches nobody; `unwelcome` is asked about both before.
        """
        self._decide[kind] = decide
        self._methods |= dict.fromkeys((*METHODS.get(kind, ()), *methods))

    def dispatch(self, events: list[Event]) -> None:
        """Decide what the engine gave, one call for each run of equal kind; answer all in one batch."""
        replies: list[Reply] = []
        for kind, run in groupby(events, key=_kind):
            if kind in TO_SENDER:
                for event in run:
                    self._tell_sender(event)
            else:
                events_of_kind = list(run)
                decided = self._decide_run(kind, events_of_kind)
                self.review(events_of_kind, decided)
                replies += decided
        if replies:
            self._reply_each_or_all(replies)

    def reply(self, replies: Sequence[Reply]) -> None:
        """Answer later than in the decider. An answer that comes too late is counted and left alone.

        Raises:
            ValueError: a status that is none, or a header with a line break.
        """
        self.stack.reply(replies)

    def _reply_each_or_all(self, replies: list[Reply]) -> None:
        try:
            self.stack.reply(replies)
        except ValueError:  # one decider's fault must not cost the others their answers
            log.exception("sip.reply_failed", extra={"replies": len(replies)})
            for reply in replies:
                try:
                    self.stack.reply([reply])
                except ValueError:
                    self.stack.reply([(reply[0], 500)])

    def _decide_run(self, kind: int, run: list[Event]) -> Sequence[Reply]:
        """One bug costs its run a 500 where an answer is awaited, not the port; it is logged."""
        try:
            if kind == Kind.REQUEST:
                return self._decide_others(run)
            if (decide := self._decide.get(kind)) is not None:
                return decide(run)
            return self._refuse(run)
        except Exception:
            log.exception("sip.decide_failed", extra={"kind": Kind(kind).name, "events": len(run)})
            return [(event.transaction, 500) for event in run if event.awaits_answer]

    def _decide_others(self, run: list[Event]) -> Sequence[Reply]:
        replies: list[Reply] = []
        rest: list[Event] = []
        for event in run:
            if (status := self.unwelcome(event)) is not None:
                replies.append((event.transaction, status))
            elif event.method == "OPTIONS":
                replies.append((event.transaction, 200, self._abilities()))
            else:
                rest.append(event)
        if rest:
            decide = self._decide.get(Kind.REQUEST, self._refuse)
            replies += decide(rest)
        return replies

    def _refuse(self, run: list[Event]) -> Sequence[Reply]:
        allow = self._allow_header()
        return [
            (event.transaction, 400) if event.kind == Kind.MALFORMED else (event.transaction, 405, allow)
            for event in run
            if event.awaits_answer
        ]

    def _allow_header(self) -> Headers:
        return (("Allow", self.allow),)

    def _abilities(self) -> Headers:
        """What we can, as OPTIONS asks (RFC 3261 11.2)."""
        accept = (("Accept", self.accept),) if self.accept else ()
        return (*self._allow_header(), *accept, ("Accept-Encoding", "identity"))

    # Requests of ours

    def request(
        self,
        method: str,
        to: Party,
        destination: Address,
        *,
        uri: str | None = None,
        headers: Headers = (),
        body: bytes = b"",
        content_type: str | None = None,
        call_id: str | None = None,
        cseq: int | None = None,
        from_tag: str | None = None,
        sender: Party | None = None,
    ) -> Outgoing:
        """A request outside dialogs, complete but for Via and Content-Length.

        `uri` is `to` where it is not given; Call-ID and From tag are fresh ones, CSeq is 1.

        Raises:
            UsageError: a body without its type, or a line break in something that is written.
        """
        return build(
            method,
            uri or to.uri,
            destination,
            sender=(sender or self.me).name_addr,
            from_tag=from_tag or self.token(),
            to=to.name_addr,
            call_id=call_id or f"{self.token()}@{self.local[0]}",
            cseq=1 if cseq is None else cseq,
            contact=self.contact_for(destination),
            headers=(*self._usual, *headers),
            body=body,
            content_type=content_type,
        )

    def send(self, outgoing: Outgoing, then: Then | None = None) -> int:
        """Send it; the number of its client transaction, 0 for an ACK.

        `then` hears of each response and is forgotten after the last, a time-out or a failure to send.

        Raises:
            ValueError: longer than a datagram, or a destination that is no address.
        """
        return self.send_many([(outgoing, then)])[0]

    def send_many(self, batch: Sequence[tuple[Outgoing, Then | None]]) -> list[int]:
        clients = self.stack.send([outgoing.native for outgoing, _ in batch])
        for client, (outgoing, then) in zip(clients, batch, strict=True):
            if then is not None:
                if client == 0:
                    raise UsageError(f"{outgoing.method} has no answer to wait for")
                self._then[client] = then
        return clients

    def forget(self, client: int) -> None:
        """Hear no more of that transaction; it goes on in the engine."""
        self._then.pop(client, None)

    def cancel(self, client: int) -> None:
        """Send CANCEL for our INVITE; its final answer still comes, most likely 487."""
        self.stack.cancel(client)

    def adopt(self, outline: bytes, source: Address) -> int | None:
        """Take up their INVITE that an earlier process sent 100 and no more; its transaction, to be answered.

        None where there is nothing to answer: it is here already, or may not come from `source`.
        """
        return self.stack.adopt(outline, source)

    def token(self) -> str:
        """16 hex digits that nobody can guess, for tags and Call-IDs."""
        return self.stack.token()

    def _tell_sender(self, event: Event) -> None:
        last = event.kind != Kind.RESPONSE or event.status >= 200
        then = self._then.pop(event.transaction, None) if last else self._then.get(event.transaction)
        if event.transaction == 0:
            then = self.on_stray
        if then is None:
            return
        try:
            then(event)
        except Exception:
            log.exception("sip.callback_failed", extra={"method": event.method, "status": event.status})


def _nobody_looks(_events: list[Event], _replies: Sequence[Reply]) -> None:
    """At what was answered."""


def _welcome(_event: Event) -> None:
    return None
