"""What was heard on the wire is said again."""

import asyncio
from dataclasses import replace

from interop.attacks.ground import Ground, Line
from interop.attacks.outcome import Attack, Outcome, judged, not_tried
from interop.attacks.wire import Answer
from interop.words import saying


async def _replay(ground: Ground, line: Line) -> Answer | None:
    """The peer's last REGISTER as it was heard; only the branch is new, which no digest covers."""
    heard = ground.peer.heard
    assert heard is not None
    host, port = ground.peer.line.address
    return await line.ask(replace(heard, contact=f"<sip:{heard.user}@{host}:{port}>").written(line))


async def from_its_address(ground: Ground) -> Outcome:
    return await judged(ground, [await _replay(ground, ground.peer.line)])


async def from_its_host(ground: Ground) -> Outcome:
    async with ground.line() as line:
        return await judged(ground, [await _replay(ground, line)], line)


async def from_elsewhere(ground: Ground) -> Outcome:
    async with ground.line(elsewhere=True) as line:
        return await judged(ground, [await _replay(ground, line)], line)


async def count_back(ground: Ground) -> Outcome:
    """Two counts of one nonce, which are good where it may be used again; then the first count anew."""
    peer = ground.peer
    asked = await peer.challenged()
    if not asked.qop:
        return not_tried(saying("attack.no_qop"))
    for count in (1, 2):
        await peer.line.ask(peer.next(authorization=peer.proof(count).header(asked)).written(peer.line))
    again = peer.next(authorization=peer.proof(1).header(asked))
    return await judged(ground, [await peer.line.ask(again.written(peer.line))])


async def stale(ground: Ground) -> Outcome:
    wait = ground.target.stale_seconds
    if not wait:
        return not_tried(saying("attack.no_stale"))
    peer = ground.peer
    asked = await peer.challenged()
    await asyncio.sleep(wait)
    late = peer.next(authorization=peer.proof().header(asked))
    return await judged(ground, [await peer.line.ask(late.written(peer.line))])


def attacks() -> list[Attack]:
    return [
        Attack(
            "replay",
            saying("attack.replay.what"),
            saying("attack.replay.sent"),
            saying("attack.stale_401"),
            from_its_address,
        ),
        Attack(
            "replay-port",
            saying("attack.replay_port.what"),
            saying("attack.replay_port.sent"),
            saying("attack.stale_401"),
            from_its_host,
        ),
        Attack(
            "replay-elsewhere",
            saying("attack.replay_elsewhere.what"),
            saying("attack.replay_elsewhere.sent"),
            saying("attack.only_401"),
            from_elsewhere,
        ),
        Attack(
            "count-back",
            saying("attack.count_back.what"),
            saying("attack.count_back.sent"),
            saying("attack.stale_401"),
            count_back,
        ),
        Attack(
            "stale",
            saying("attack.stale.what"),
            saying("attack.stale.sent"),
            saying("attack.stale_401"),
            stale,
        ),
    ]
