"""Right digests of something else: another nonce, another user, another target, another algorithm."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import replace

from interop.attacks.ground import Ground, Line
from interop.attacks.outcome import Attack, Outcome, judged, not_tried, shown
from interop.attacks.wire import Answer, Challenge, Proof, challenges, hashes
from interop.sim.net import Address
from interop.words import saying

Twist = Callable[[Challenge], Proof]


async def _proved(ground: Ground, line: Line, twist: Twist) -> Answer | None:
    """Answer a challenge of that line's own with a twisted proof; a refusal to challenge is an answer too."""
    asked = await ground.challenge(line)
    if not isinstance(asked, Challenge):
        return asked
    register = ground.peer.next(authorization=twist(asked).header(asked))
    return await line.ask(register.written(line))


async def own_nonce(ground: Ground) -> Outcome:
    """One that has the form of the registrar's, and one of a few letters, as many a client sends."""
    right = ground.peer.proof()

    def alike(asked: Challenge) -> Proof:
        return replace(right, nonce=base64.b64encode(secrets.token_bytes(len(asked.nonce) * 3 // 4)).decode())

    async with ground.line(elsewhere=True) as line:
        answers = [await _proved(ground, line, alike)]
        answers.append(await _proved(ground, line, lambda _asked: replace(right, nonce="0a4f113b")))
        return await judged(ground, answers, line)


async def foreign_nonce(ground: Ground) -> Outcome:
    """The challenge went to another host; the proof comes from ours."""
    if ground.other_host == ground.host:
        return not_tried(saying("attack.no_other_host"))
    return await _carried(ground, ground.other_host, None)


async def other_door(ground: Ground) -> Outcome:
    door = ground.target.other_door
    if door is None:
        return not_tried(saying("attack.no_other_door"))
    return await _carried(ground, ground.host, door)


async def _carried(ground: Ground, host: str, door: Address | None) -> Outcome:
    asking = Line(ground.net, host, ground.target)
    try:
        asked = await ground.challenge(asking, door)
    finally:
        asking.close()
    if not isinstance(asked, Challenge):
        return not_tried(saying("attack.no_challenge", answered=shown([asked])))
    peer = ground.peer
    home = replace(asked, realm=peer.challenge.realm if peer.challenge else asked.realm)
    register = peer.next(authorization=peer.proof().header(home))
    return await judged(ground, [await peer.line.ask(register.written(peer.line))])


async def other_user(ground: Ground) -> Outcome:
    """The proof is right for its user, and the REGISTER is for somebody else."""
    target = ground.target
    user = target.other_user or f"{(int(target.user) + 1) % 10**20:020d}"
    right = replace(ground.peer.proof(), user=user, password=target.other_password or "guessed")
    async with ground.line(elsewhere=True) as line:
        return await judged(ground, [await _proved(ground, line, lambda _asked: right)], line)


async def other_target(ground: Ground) -> Outcome:
    """Digests that somebody gave for another address, and for another method."""
    right = ground.peer.proof()
    elsewhere = replace(right, uri=f"sip:{'9' * 20}@{ground.target.domain}")
    async with ground.line(elsewhere=True) as line:
        answers = [
            await _proved(ground, line, lambda _asked, twisted=twisted: twisted)  # type: ignore[misc]
            for twisted in (elsewhere, replace(right, method="INVITE"))
        ]
        return await judged(ground, answers, line)


async def downgrade(ground: Ground) -> Outcome:
    """Each algorithm that was not offered, and the weakest under the strongest one's name."""
    right = ground.peer.proof()
    async with ground.line(elsewhere=True) as line:
        ground.peer.anew()
        answer = await line.ask(ground.peer.next().written(line))
        offered = [asked.algorithm.upper() for asked in challenges(answer)] if answer else []
        twists = [replace(right, named=name) for name in hashes() if name not in offered]
        twists.append(replace(right, named="MD5-sess", hashed="MD5"))
        twists += [replace(right, named=name, hashed="MD5") for name in offered if name != "MD5"]
        answers = [
            await _proved(ground, line, lambda _asked, twisted=twisted: twisted)  # type: ignore[misc]
            for twisted in twists
        ]
        return await judged(ground, answers, line)


def attacks() -> list[Attack]:
    return [
        Attack(
            "own-nonce",
            saying("attack.own_nonce.what"),
            saying("attack.own_nonce.sent"),
            saying("attack.stale_401"),
            own_nonce,
        ),
        Attack(
            "foreign-nonce",
            saying("attack.foreign_nonce.what"),
            saying("attack.foreign_nonce.sent"),
            saying("attack.stale_401"),
            foreign_nonce,
        ),
        Attack(
            "other-door",
            saying("attack.other_door.what"),
            saying("attack.other_door.sent"),
            saying("attack.stale_401"),
            other_door,
        ),
        Attack(
            "other-user",
            saying("attack.other_user.what"),
            saying("attack.other_user.sent"),
            saying("attack.only_403"),
            other_user,
        ),
        Attack(
            "other-target",
            saying("attack.other_target.what"),
            saying("attack.other_target.sent"),
            saying("attack.only_401"),
            other_target,
        ),
        Attack(
            "downgrade",
            saying("attack.downgrade.what"),
            saying("attack.downgrade.sent"),
            saying("attack.only_401"),
            downgrade,
        ),
    ]
