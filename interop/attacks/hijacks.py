"""A registration is taken away or moved without any proof; all that is known is what the wire showed."""

import asyncio
from typing import Final

from interop.attacks.ground import Ground
from interop.attacks.outcome import Attack, Outcome, judged
from interop.words import saying

LISTEN_SECONDS: Final = 0.5
"""How long a stranger waits whether it is called in the peer's place."""


async def known_call(ground: Ground) -> Outcome:
    async with ground.line(elsewhere=True) as line:
        answer = await line.ask(ground.peer.as_known().written(line))
        await asyncio.sleep(LISTEN_SECONDS)
        return await judged(ground, [answer], line)


async def unregister(ground: Ground) -> Outcome:
    """The peer's own binding by name, and all of them at once."""
    host, port = ground.peer.line.address
    own = f"<sip:{ground.target.user}@{host}:{port}>"
    async with ground.line(elsewhere=True) as line:
        answers = [
            await line.ask(ground.peer.as_known(expires=0, contact=contact).written(line))
            for contact in (own, "*")
        ]
        return await judged(ground, answers, line)


async def keepalive(ground: Ground) -> Outcome:
    """Platforms that follow any keepalive send their next request to its sender."""
    async with ground.line(elsewhere=True) as line:
        answer = await line.ask(ground.peer.keepalive(line))
        await asyncio.sleep(LISTEN_SECONDS)
        return await judged(ground, [answer], line)


def attacks() -> list[Attack]:
    return [
        Attack(
            "known-call",
            saying("attack.known_call.what"),
            saying("attack.known_call.sent"),
            saying("attack.only_401"),
            known_call,
        ),
        Attack(
            "unregister",
            saying("attack.unregister.what"),
            saying("attack.unregister.sent"),
            saying("attack.only_401"),
            unregister,
        ),
        Attack(
            "keepalive",
            saying("attack.keepalive.what"),
            saying("attack.keepalive.sent"),
            saying("attack.only_403"),
            keepalive,
        ),
    ]
