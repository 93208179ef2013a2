"""Dialogs (RFC 3261 section 12): what two ends must remember of each other, and the requests within.

No socket, no timer, no decision: whoever owns a dialog asks it for the next request and sends that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from sip.errors import MalformedMessage
from sip.events import Address, Event, Headers
from sip.headers.name_addr import split_values, uri_of, without_tag
from sip.request import Outgoing, build
from sip.uri import SipUri, parse_uri

Key = tuple[str, str, str]
"""Call-ID, our tag, their tag."""

Reachable = Callable[[str], bool]
"""Says of a host as written in a Contact or Record-Route whether datagrams to it arrive from here."""

MAX_ROUTES: Final = 16


@dataclass(frozen=True, slots=True)
class DialogState:
    """What must be kept of a dialog to end it later, in another process (`Dialog.restored`).

    `early` is one of our INVITEs that has no answer yet, so nothing of theirs is known. `request` is one of
    theirs, in outline: without `target` it has no final answer of ours yet, so that there is no dialog to end
    but an answer to give; with one it was accepted, and they may not have heard of that.
    """

    call_id: str
    local: str
    local_tag: str
    remote: str
    remote_tag: str
    local_cseq: int
    target: str
    routes: tuple[str, ...]
    source: Address
    early: bool = False
    request: bytes = b""

    @classmethod
    def of_invite(cls, invite: Outgoing) -> "DialogState":
        """Of our INVITE that nobody has answered: enough to know the answer by."""
        return cls(
            call_id=invite.call_id,
            local=invite.sender,
            local_tag=invite.from_tag,
            remote=invite.to,
            remote_tag="",
            local_cseq=invite.cseq,
            target=invite.uri,
            routes=(),
            source=invite.destination,
            early=True,
        )

    @classmethod
    def of_waiting(cls, invite: Event) -> "DialogState":
        """Of their INVITE that waits for our answer: enough to refuse it, by the key of its dialog to be."""
        return cls(
            call_id=invite.call_id,
            local=without_tag(invite.header("To") or ""),
            local_tag=invite.local_tag,
            remote=without_tag(invite.header("From") or ""),
            remote_tag=invite.from_tag,
            local_cseq=0,
            target="",
            routes=(),
            source=invite.source,
            request=invite.outline,
        )


class Dialog:
    """One dialog seen from our end.

    `target` is what the other end calls itself, `destination` where our datagrams go: the address in
    the target (or the first route) if it is reachable, else where the last message came from. Cameras
    behind NAT, and those with a wrong address in Contact, are reached only by the latter.
    """

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        local_tag: str,
        remote: str,
        remote_tag: str,
        local_cseq: int,
        remote_cseq: int | None,
        contact: str,
        target: str | None,
        routes: tuple[str, ...],
        source: Address,
        remote_user: str = "",
        reachable: Reachable | None = None,
    ) -> None:
        self.call_id = call_id
        self.local = _visible(local)
        self.local_tag = local_tag
        self.remote = _visible(remote)
        self.remote_tag = remote_tag
        self.remote_cseq = remote_cseq
        self._cseq = local_cseq
        self._contact = contact
        self._reachable = reachable
        self._source = source
        at_source = SipUri(remote_user, source[0], source[1])
        if _read(str(at_source)) is None:  # a user that can't stand in a URI
            at_source = SipUri("", source[0], source[1])
        self._target = str(at_source) if target is None or _read(target) is None else target
        self._routes = routes

    @classmethod
    def placed(
        cls, invite: Outgoing, answer: Event, contact: str, *, reachable: Reachable | None = None
    ) -> "Dialog":
        """Of the 2xx to our INVITE (12.1.2). `contact` is our own Contact."""
        return cls(
            call_id=invite.call_id,
            local=invite.sender,
            local_tag=invite.from_tag,
            remote=without_tag(answer.header("To") or invite.to),
            remote_tag=answer.to_tag,
            local_cseq=invite.cseq,
            remote_cseq=None,
            contact=contact,
            target=answer.contact,
            routes=tuple(reversed(record_route(answer))),
            source=answer.source,
            remote_user=answer.to_user,
            reachable=_within(answer, reachable),
        )

    @classmethod
    def accepted(cls, invite: Event, contact: str, *, reachable: Reachable | None = None) -> "Dialog":
        """Of an INVITE that we answer with 2xx (12.1.1)."""
        return cls(
            call_id=invite.call_id,
            local=without_tag(invite.header("To") or ""),
            local_tag=invite.local_tag,
            remote=without_tag(invite.header("From") or ""),
            remote_tag=invite.from_tag,
            local_cseq=0,
            remote_cseq=invite.cseq,
            contact=contact,
            target=invite.contact,
            routes=tuple(record_route(invite)),
            source=invite.source,
            remote_user=invite.from_user,
            reachable=_within(invite, reachable),
        )

    @classmethod
    def restored(cls, state: DialogState, contact: str, *, reachable: Reachable | None = None) -> "Dialog":
        """As it was when `state` was kept. Their CSeq is not known: whatever they send next is in order."""
        return cls(
            call_id=state.call_id,
            local=state.local,
            local_tag=state.local_tag,
            remote=state.remote,
            remote_tag=state.remote_tag,
            local_cseq=state.local_cseq,
            remote_cseq=None,
            contact=contact,
            target=state.target,
            routes=state.routes,
            source=state.source,
            reachable=reachable,
        )

    @classmethod
    def answered_late(
        cls, state: DialogState, answer: Event, contact: str, *, reachable: Reachable | None = None
    ) -> "Dialog":
        """Of a 2xx to the INVITE that `state` was kept of, in another process than the one that sent it."""
        return cls(
            call_id=state.call_id,
            local=state.local,
            local_tag=state.local_tag,
            remote=without_tag(answer.header("To") or state.remote),
            remote_tag=answer.to_tag,
            local_cseq=state.local_cseq,
            remote_cseq=None,
            contact=contact,
            target=answer.contact,
            routes=tuple(reversed(record_route(answer))),
            source=answer.source,
            remote_user=answer.to_user,
            reachable=_within(answer, reachable),
        )

    @property
    def state(self) -> DialogState:
        """What to keep of it; our next request has the CSeq after `local_cseq`."""
        return DialogState(
            call_id=self.call_id,
            local=self.local,
            local_tag=self.local_tag,
            remote=self.remote,
            remote_tag=self.remote_tag,
            local_cseq=self._cseq,
            target=self._target,
            routes=self._routes,
            source=self._source,
        )

    @property
    def key(self) -> Key:
        return self.call_id, self.local_tag, self.remote_tag

    @property
    def target(self) -> str:
        """The Request-URI's target: the other end's Contact, or its address where that can't be used."""
        return self._target

    @property
    def destination(self) -> Address:
        """Where our requests go."""
        next_hop = _read(uri_of(self._routes[0]) if self._routes else self._target)
        if next_hop is None or not _is_address(next_hop.host):  # names would have to be asked for
            return self._source
        reachable = self._reachable or self._source[0].__eq__
        return next_hop.address if reachable(next_hop.host) else self._source

    def in_order(self, event: Event) -> bool:
        """Note the CSeq of their request; False if it is older than one we have seen (12.2.2).

        The same number again passes: a repeat is the engine's business, and some cameras never count.
        """
        if self.remote_cseq is not None and event.cseq < self.remote_cseq:
            return False
        self.remote_cseq = event.cseq
        self._source = event.source
        return True

    def retarget(self, event: Event) -> None:
        """A request that refreshes the target says anew where they want to be called (12.2.2)."""
        if event.contact is not None and _read(event.contact) is not None:
            self._target = event.contact

    def request(
        self, method: str, *, headers: Headers = (), body: bytes = b"", content_type: str | None = None
    ) -> Outgoing:
        """The next request within the dialog, with the next CSeq."""
        self._cseq += 1
        return self._build(method, self._cseq, headers, body, content_type, 0)

    def ack(self, client: int, cseq: int, *, body: bytes = b"", content_type: str | None = None) -> Outgoing:
        """The ACK of the 2xx to our INVITE `client` whose CSeq was `cseq` (13.2.2.4)."""
        return self._build("ACK", cseq, (), body, content_type, client)

    def _build(
        self, method: str, cseq: int, headers: Headers, body: bytes, content_type: str | None, ack_for: int
    ) -> Outgoing:
        uri, routes = self._target, self._routes
        if routes and not _is_loose(routes[0]):  # a strict router of RFC 2543 (12.2.1.1)
            uri, routes = uri_of(routes[0]), (*routes[1:], f"<{uri}>")
        return build(
            method,
            uri,
            self.destination,
            sender=self.local,
            from_tag=self.local_tag,
            to=self.remote,
            to_tag=self.remote_tag,
            call_id=self.call_id,
            cseq=cseq,
            contact=self._contact,
            route=routes,
            headers=headers,
            body=body,
            content_type=content_type,
            ack_for=ack_for,
        )


def key_of(event: Event) -> Key:
    """The dialog that a request of the other end belongs to, if there is one."""
    return event.call_id, event.to_tag, event.from_tag


def record_route(event: Event) -> list[str]:
    """The Record-Route values in their order, without those that can't be read or pass `MAX_ROUTES`."""
    values = map(_visible, split_values(event.headers("Record-Route")))
    return [value for value in values if _read_route(value) is not None][:MAX_ROUTES]


def _within(event: Event, reachable: Reachable | None) -> Reachable | None:
    """What came by a connection is answered by it, whatever address stands in its Contact."""
    return reachable if event.transport == "udp" else _nowhere


def _nowhere(_host: str) -> bool:
    return False


def _read(text: str) -> SipUri | None:
    try:
        return parse_uri(text)
    except MalformedMessage:
        return None


def _read_route(value: str) -> SipUri | None:
    try:
        return parse_uri(uri_of(value))
    except MalformedMessage:
        return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _visible(text: str) -> str:
    return "".join(char for char in text if char.isprintable())


def _is_loose(route: str) -> bool:
    uri = _read_route(route)
    return uri is not None and uri.parameter("lr") is not None
