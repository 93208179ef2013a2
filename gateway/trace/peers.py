"""How the peers of one side stand: those below counted, since there may be 100,000 of them, and one alone.

A summary is made in parts, so that nobody waits for it: between two of them others have their turn.
"""

from collections import Counter
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Final

from cascade.model.ids import PlatformId
from cascade.peers import UpperView
from cascade.subscribed import Subscribed
from gateway.local.messages import (
    Away,
    AwayState,
    BelowState,
    GroupState,
    LowerPeerState,
    OfPeer,
    SubscriptionState,
    UpperPeerState,
    UpperState,
)

if TYPE_CHECKING:
    from gateway.trace.desk import Seat

STEP: Final = 1000
"""Peers that are looked at in one part."""

MAX_NAMED: Final = 8
"""Peers that are not online of which the name is told."""

LONGEST_ID: Final = 64
UNPROVEN: Final = "challenged"
WELL: Final = frozenset({"registered", "removed", "redirected", None})


def summary(seat: "Seat") -> Generator[None, None, BelowState]:
    """The peers below. It yields between its parts; who comes or goes meanwhile may be counted or not."""
    below, rule_of = seat.below, seat.side.described.rule_of
    peers: Counter[str] = Counter()
    online: Counter[str] = Counter()
    away: Counter[Away] = Counter()
    first: list[AwayState] = []
    done, announced = 0, 0
    syncing = False
    for number, peer in enumerate(list(below.peers), start=1):
        if number % STEP == 0:
            yield
            if peer not in below.peers:
                continue
        rule = rule_of(peer)
        peers[rule] += 1
        if below.online(peer):
            online[rule] += 1
            if (progress := below.syncing(peer)) is not None:
                syncing = True
                done, announced = done + progress[0], announced + (progress[1] or 0)
            continue
        why = _away(seat, peer)
        away[why] += 1
        if len(first) < MAX_NAMED:
            first.append(AwayState(peer=str(peer), why=why))
    return BelowState(
        peers=peers.total(),
        online=online.total(),
        rows=len(seat.side.below),
        syncing=(done, announced) if syncing else None,
        groups=tuple(GroupState(rule=rule, peers=n, online=online[rule]) for rule, n in peers.items()),
        away=dict(away),
        first=tuple(first),
        subscriptions=below.subscriptions,
    )


def _away(seat: "Seat", peer: PlatformId) -> Away:
    """Why that peer is not online."""
    below = seat.below
    if below.lease(peer) is not None:
        return "unwell"
    outcome = below.attempts.last(peer)
    if outcome == UNPROVEN:
        return "unproven"
    if outcome not in WELL:
        return "refused"
    return "unheard" if below.last_lease(peer) is None else "silent"


def upper_state(seat: "Seat", view: UpperView) -> UpperState:
    return UpperState(
        peer=str(view.upper),
        registered=view.registered,
        shared=view.shared,
        problem=str(view.problem),
        subscriptions=_subscriptions(seat, seat.above.subscribed(view.upper)),
    )


def of_peer(seat: "Seat", what: str) -> OfPeer | None:
    """What this side has by that id, None for nothing."""
    if not what.strip() or len(what) > LONGEST_ID or not what.isprintable():
        return None
    name = PlatformId(what)
    view = next((view for view in seat.above.state() if view.upper == name), None)
    below = _below(seat, name) if name in seat.below.peers else None
    above = None
    if view is not None:
        above = UpperPeerState(
            state=upper_state(seat, view),
            missed=view.missed,
            pages=view.pages,
            deviations={str(kind): count for kind, count in view.deviations.items()},
        )
    if below is None and above is None:
        return None
    return OfPeer(side=seat.name, below=below, above=above)


def _below(seat: "Seat", peer: PlatformId) -> LowerPeerState:
    view, lease = seat.below.view(peer), seat.below.last_lease(peer)
    at = seat.book.at
    return LowerPeerState(
        online=view.online,
        why=None if view.online else _away(seat, peer),
        rule=seat.side.described.rule_of(peer),
        address=view.address,
        transport="" if lease is None else lease.transport,
        registered=None if lease is None else lease.registered_at,
        heard=None if lease is None else at(lease.heard),
        until=None if lease is None else at(lease.due),
        rows=view.rows,
        syncing=view.syncing,
        outcome=view.outcome,
        unwell=view.fault,
        faulty=tuple(map(str, view.faulty)),
        deviations={str(kind): count for kind, count in view.deviations.items()},
        subscriptions=_subscriptions(seat, seat.below.subscribed(peer)),
    )


def _subscriptions(seat: "Seat", found: Iterable[Subscribed]) -> tuple[SubscriptionState, ...]:
    at = seat.book.at
    return tuple(
        SubscriptionState(
            topic=one.topic,
            target=str(one.target),
            until=at(one.until),
            told=None if one.told is None else at(one.told),
            notices=one.notices,
            changes=one.changes,
        )
        for one in found
    )
