"""Collects what one side knows of an id, or of all that tried from an address. Bounded; nothing is searched
that grows with the number of peers."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from cascade.as_upper.attempts import Attempt
from cascade.model.ids import PlatformId
from gateway.registrations.facts import Lease, OfId, OfSide, Tried, Wanted
from sip.endpoint import Stack
from sip.uri import host_port

if TYPE_CHECKING:
    from gateway.trace.desk import Seat

MOST_IDS: Final = 16
"""Of one address."""
MOST_STRANGERS: Final = 8
MOST_NEAR: Final = 4
LONGEST_ID: Final = 64
DIGITS: Final = "0123456789"
SAME_MOMENT: Final = 0.001
"""Seconds: the engine and the face stamp the same REGISTER alike."""


def look(seat: "Seat", what: str, now: float) -> OfSide:
    """What this side knows of `what`, an id or an address. `now` is time of day."""
    below = seat.below
    users = below.attempts.users_at(what)[:MOST_IDS] if _is_address(what) else [what]
    host, port = seat.endpoint.local
    return OfSide(
        side=seat.name,
        id=below.us.id.digits,
        realm=below.us.domain,
        address=host_port(host, port),
        ids=tuple(_of(seat, user, now) for user in users),
        unread=seat.endpoint.stack.counters().get("foreign_source", 0),
        strangers=tuple(below.attempts.strangers()[:MOST_STRANGERS]),
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _of(seat: "Seat", user: str, now: float) -> OfId:
    below, above = seat.below, {str(view.upper): view for view in seat.above.state()}
    peer = below.peers.get(PlatformId(user)) if user.strip() and len(user) <= LONGEST_ID else None
    wanted = None
    if peer is not None:
        wanted = Wanted(
            networks=peer.networks,
            transport="tls" if peer.certificate else peer.transport,
            certificate=peer.certificate,
            binding=peer.binding,
            algorithms=peer.digest,
            min_expires=peer.min_expires,
        )
    view = above.get(user)
    return OfId(
        id=user,
        wanted=wanted,
        lease=None if peer is None else _lease(seat, peer.id),
        tries=tuple(_tried(seat.endpoint.stack, one) for one in below.attempts.of(user)),
        pause=below.attempts.pause(user),
        near=() if peer is not None else tuple(_near(seat, user))[:MOST_NEAR],
        above=view is not None,
        problem="" if view is None or view.registered else str(view.problem),
    )


def _lease(seat: "Seat", peer: PlatformId) -> Lease | None:
    found = seat.below.lease(peer)
    if found is None:
        return None
    until = seat.book.at(found.ends)
    return Lease(host=found.host, port=found.port, since=found.registered_at, until=until)


def _tried(stack: Stack, attempt: Attempt) -> Tried:
    """With what the engine found, if it still knows."""
    given = attempt.given
    if given is None or not given.username:
        return Tried(attempt=attempt)
    for why, at, source, _target, _inputs, issued in reversed(stack.attempts(given.username)):
        if source == attempt.source[0] and abs(at - attempt.moment) < SAME_MOMENT:
            return Tried(attempt=attempt, wrong=why, nonce_age=None if issued is None else at - issued)
    return Tried(attempt=attempt)


def _near(seat: "Seat", user: str) -> Iterator[str]:
    """Known ids that are this one but for a character, or for two that changed places."""
    if not (user.isascii() and user.isdigit() and len(user) <= LONGEST_ID):
        return
    seen = {user}
    for other in _slips(user):
        if other not in seen and PlatformId(other) in seat.below.peers:
            seen.add(other)
            yield other


def _slips(user: str) -> Iterator[str]:
    for at in range(len(user)):
        before, here, after = user[:at], user[at], user[at + 1 :]
        if len(user) > 1:
            yield before + after
        if after:
            yield before + after[0] + here + after[1:]
        for digit in DIGITS:
            yield before + digit + after
            yield before + digit + here + after
    for digit in DIGITS:
        yield user + digit
