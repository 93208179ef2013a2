"""The one builder of our requests (quirk: receivers stay silent when a header is missing).

Every request gets From with a tag, To without one outside dialogs, Call-ID, CSeq, Max-Forwards, and
Contact where RFC 3261 wants one. Via with a fresh branch and Content-Length are the engine's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sip.errors import UsageError
from sip.events import Address, Headers, Request

WITH_CONTACT: Final = frozenset({"INVITE", "REGISTER", "SUBSCRIBE", "NOTIFY", "UPDATE"})
MAX_FORWARDS: Final = "70"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request ready to leave. `sender` and `to` are the values of From and To without their tags."""

    method: str
    uri: str
    destination: Address
    headers: Headers
    body: bytes
    call_id: str
    cseq: int
    sender: str
    from_tag: str
    to: str
    ack_for: int = 0

    @property
    def native(self) -> Request:
        return self.method, self.uri, self.destination, self.headers, self.body, self.ack_for


def build(
    method: str,
    uri: str,
    destination: Address,
    *,
    sender: str,
    from_tag: str,
    to: str,
    to_tag: str = "",
    call_id: str,
    cseq: int,
    contact: str,
    route: Iterable[str] = (),
    headers: Headers = (),
    body: bytes = b"",
    content_type: str | None = None,
    ack_for: int = 0,
) -> Outgoing:
    """Write the headers in their usual order.

    Raises:
        UsageError: a body without its type, no From tag, or a line break in something that is written.
    """
    if not from_tag:
        raise UsageError(f"{method} without From tag")
    if body and content_type is None:
        raise UsageError(f"{method} with a body of no type")
    lines: list[tuple[str, str]] = [("Route", value) for value in route]
    lines += [
        ("From", f"{sender};tag={from_tag}"),
        ("To", f"{to};tag={to_tag}" if to_tag else to),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
    ]
    if method in WITH_CONTACT and not _has(headers, "contact"):
        lines.append(("Contact", contact))
    if not _has(headers, "max-forwards"):
        lines.append(("Max-Forwards", MAX_FORWARDS))
    lines += headers
    if content_type is not None:
        lines.append(("Content-Type", content_type))
    _refuse_line_breaks(method, uri, lines)
    return Outgoing(
        method, uri, destination, tuple(lines), body, call_id, cseq, sender, from_tag, to, ack_for
    )


def _has(headers: Headers, name: str) -> bool:
    return any(key.lower() == name for key, _ in headers)


def _refuse_line_breaks(method: str, uri: str, lines: Sequence[tuple[str, str]]) -> None:
    for text in (method, uri, *(part for line in lines for part in line)):
        if "\r" in text or "\n" in text or "\0" in text:
            raise UsageError(f"line break in {text[:64]!r}")
