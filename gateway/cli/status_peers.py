"""What `lockgate status` shows of peers: those below counted by rule and by why they are away, who subscribes
to what, and with `--peer` all of one."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import typer

from gateway.local.client import Gateway
from gateway.local.messages import (
    Away,
    LowerPeerState,
    OfPeer,
    SideState,
    SubscriptionState,
    UpperPeerState,
)
from gateway.words import Saying, Words, printable, saying

MAX_RULES: Final = 8
MAX_SUBSCRIPTIONS: Final = 8
"""Lines of each kind on the page of all."""

LONGEST: Final = 128

AWAY: Final[dict[Away, Saying]] = {
    "unheard": saying("away.unheard"),
    "silent": saying("away.silent"),
    "refused": saying("away.refused"),
    "unproven": saying("away.unproven"),
    "unwell": saying("away.unwell"),
}
TOPICS: Final = {"catalog": saying("subscribed.catalog"), "alarm": saying("subscribed.alarm")}


def lines(sides: Sequence[SideState], words: Words) -> Iterator[str]:
    """How many each rule has, and what those above have subscribed to."""
    for side in sides:
        groups = [group for group in side.below.groups if group.rule][:MAX_RULES]
        for group in groups:
            yield words.say(
                "status.rule_online", rule=group.rule, online=f"{group.online:,}", peers=f"{group.peers:,}"
            )
        if side.below.subscriptions:
            yield words.say("status.subscribed_below", side=_side(side.side), count=side.below.subscriptions)
        every = [(upper.peer, one) for upper in side.uppers for one in upper.subscriptions]
        for peer, one in every[:MAX_SUBSCRIPTIONS]:
            yield words.say("status.subscribed", peer=peer, what=_subscription(one, words))
        if len(every) > MAX_SUBSCRIPTIONS:
            yield words.say("status.subscribed_more", count=len(every) - MAX_SUBSCRIPTIONS)


def troubles(side: SideState, words: Words) -> Iterator[str]:
    """Who is not online: each by name where they are few, else how many and why, and some of them."""
    below = side.below
    missing = sum(below.away.values())
    if missing == len(below.first):
        for one in below.first:
            yield words.say("status.offline", peer=one.peer, why=AWAY[one.why])
        return
    counted = sorted(below.away.items(), key=lambda item: -item[1])
    why = ", ".join(words.say("status.away_count", count=f"{n:,}", why=AWAY[kind]) for kind, n in counted)
    yield words.say(
        "status.away",
        side=_side(side.side),
        away=f"{missing:,}",
        peers=f"{below.peers:,}",
        why=why,
        names=", ".join(one.peer for one in below.first),
    )


def show(gateways: Sequence[Gateway], peer: str, words: Words) -> bool:
    """Print how one peer stands; False where no side knows it."""
    name = peer.strip().encode("utf-8", "replace").decode()[:LONGEST]
    found = [side for gateway in gateways for side in gateway.peer(name).sides]
    for side in found:
        for line in one(name, side, words):
            typer.echo(line)
    if not found:
        typer.echo(words.say("status.no_such_peer", peer=printable(name)), err=True)
    return bool(found)


def one(peer: str, side: OfPeer, words: Words) -> Iterator[str]:
    """Lines about one peer on one side."""
    name = _side(side.side)
    if side.below is not None:
        state = saying("status.peer_online") if side.below.online else saying("status.peer_offline")
        yield words.say("status.peer_below", peer=peer, side=name, state=state)
        yield from ("  " + line for line in _below(peer, side.below, words))
    if side.above is not None:
        state = saying("status.peer_online") if side.above.state.registered else saying("status.peer_offline")
        yield words.say("status.peer_above", peer=peer, side=name, state=state)
        yield from ("  " + line for line in _above(side.above, words))


def _below(peer: str, below: LowerPeerState, words: Words) -> Iterator[str]:
    say = words.say
    if below.why is not None:
        yield say("status.peer_away", why=AWAY[below.why], peer=peer)
    if below.rule:
        yield say("status.peer_rule", rule=below.rule)
    if below.address:
        yield say("status.peer_address", address=below.address, transport=below.transport.upper())
    if below.registered is not None and below.heard is not None and below.until is not None:
        yield say(
            "status.peer_lease",
            since=_moment(below.registered),
            heard=_moment(below.heard),
            until=_moment(below.until),
        )
    if below.syncing is not None:
        done, total = below.syncing
        yield say("status.peer_syncing", done=done, total="?" if total is None else total)
    yield say("status.peer_rows", rows=f"{below.rows:,}", outcome=below.outcome or "-")
    for each in below.subscriptions:
        yield say("status.peer_ours", what=_subscription(each, words))
    if below.unwell and below.why is None:
        yield say("status.peer_unwell")
    if below.faulty:
        yield say("status.peer_faulty", channels=", ".join(map(printable, below.faulty)))
    yield from _deviations(below.deviations, words)


def _above(above: UpperPeerState, words: Words) -> Iterator[str]:
    say = words.say
    if not above.state.registered:
        yield say("status.peer_problem", why=printable(above.state.problem) or "-")
    yield say("status.peer_shown", shared=f"{above.state.shared:,}", pages=f"{above.pages:,}")
    if above.missed:
        yield say("status.peer_missed", count=above.missed)
    for each in above.state.subscriptions:
        yield say("status.peer_its", what=_subscription(each, words))
    yield from _deviations(above.deviations, words)


def _deviations(found: dict[str, int], words: Words) -> Iterator[str]:
    if found:
        named = ", ".join(f"{kind} {count:,}" for kind, count in sorted(found.items()))
        yield words.say("status.peer_deviates", deviations=named)


def _subscription(one: SubscriptionState, words: Words) -> str:
    """What of whom, until when, and what was said last."""
    until, target = _moment(one.until), printable(one.target)
    if one.told is None:
        return words.say("subscribed.untold", topic=TOPICS[one.topic], target=target, until=until)
    last = _moment(one.told)
    if one.changes is None:
        return words.say(
            "subscribed.told",
            topic=TOPICS[one.topic],
            target=target,
            until=until,
            last=last,
            notices=one.notices,
        )
    return words.say(
        "subscribed.changes",
        topic=TOPICS[one.topic],
        target=target,
        until=until,
        last=last,
        notices=one.notices,
        changes=one.changes,
    )


def _side(name: str) -> Saying:
    return saying("side.outer") if name == "outer" else saying("side.inner")


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
