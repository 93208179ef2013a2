"""Guessing, floods and sizes: what a registrar must bear and neither give way nor lose its own."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from interop.attacks import wire
from interop.attacks.ground import Ground, Line, Unusable
from interop.attacks.outcome import Attack, Outcome, judged, shown
from interop.attacks.wire import Answer, Challenge
from interop.words import saying

SILENCES: Final = 3
"""After so many guesses that nobody answers, the guesser has been shut out."""

RATIO: Final = 3.0
"""Bytes out for a byte in, of whoever has not shown that it can hear us (as RFC 9000 section 8.1 has it)."""

GOODPUT: Final = 0.95
_BATCH: Final = 0.01


@dataclass(frozen=True, slots=True)
class Load:
    """How much: guesses, forged REGISTERs a second and for how long, and how long an echo is waited for."""

    guesses: int = 30
    rate: int = 2_000
    seconds: float = 3.0
    echo_seconds: float = 2.0

    async def guess(self, ground: Ground) -> Outcome:
        """Wrong passwords from elsewhere; then the right one from the peer."""
        answers: list[Answer | None] = []
        async with ground.line(elsewhere=True) as line:
            for _ in range(self.guesses):
                answers.append(await _guessed(ground, line))
                if answers[-SILENCES:] == [None] * SILENCES:
                    break
        said = shown(answers)
        try:
            await ground.peer.register()
        except Unusable as error:
            return Outcome(saying("attack.locked_out", answered=said, status=error.status), False)
        outcome = await judged(ground, answers)
        return replace(
            outcome, answered=saying("attack.guessed", answered=outcome.answered, count=len(answers))
        )

    async def flood(self, ground: Ground) -> Outcome:
        """What of the peer's own registrations and keepalives is answered while strangers register."""
        return await self._goodput(ground, elsewhere=True)

    async def beside(self, ground: Ground) -> Outcome:
        """The same while guesses at its own password come from its own address."""
        return await self._goodput(ground, elsewhere=False)

    async def _goodput(self, ground: Ground, *, elsewhere: bool) -> Outcome:
        asked = good = 0
        async with self._flooding(ground, elsewhere=elsewhere) as flooded:
            loop = asyncio.get_running_loop()
            until = loop.time() + self.seconds
            while loop.time() < until:
                asked += 2
                with contextlib.suppress(Unusable):
                    await ground.peer.register()
                    good += 1
                good += await ground.peer.beat() == ground.peer.alive
                await asyncio.sleep(_BATCH)
            sent = flooded()
        part = good / asked
        said = saying("attack.goodput", percent=round(100 * part, 1), good=good, asked=asked, sent=sent)
        return Outcome(said, part > GOODPUT)

    @asynccontextmanager
    async def _flooding(self, ground: Ground, *, elsewhere: bool) -> AsyncIterator["_Sent"]:
        sent = _Sent()
        async with ground.line(elsewhere=elsewhere) as line:
            user = "" if elsewhere else ground.target.user
            flooding = asyncio.get_running_loop().create_task(self._flood(ground, line, sent, user))
            try:
                yield sent
            finally:
                flooding.cancel()
                await asyncio.gather(flooding, return_exceptions=True)

    async def _flood(self, ground: Ground, line: Line, sent: "_Sent", only: str) -> None:
        """Each of that user, or of others that nobody knows, with a digest that is worth being computed."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        asked = Challenge(ground.target.domain, secrets.token_hex(16), qop="auth")
        while True:
            due = int((loop.time() - begun + _BATCH) * self.rate)
            while sent.count < due:
                sent.count += 1
                user = only or f"{secrets.randbelow(10**20):020d}"
                proof = replace(ground.peer.proof(), user=user, password="guessed")
                register = replace(
                    ground.peer.next(),
                    user=user,
                    call_id=secrets.token_hex(8),
                    authorization=proof.header(asked),
                )
                line.throw(register.written(line))
            await asyncio.sleep(_BATCH)

    async def sizes(self, ground: Ground) -> Outcome:
        """Each as long as a datagram may be, or says that it is longer."""
        user = ground.target.user
        async with ground.line(elsewhere=True) as line:
            host, port = line.address
            vias = tuple(("Via", f"SIP/2.0/UDP {host}:{port};branch={wire.branch()}") for _ in range(500))
            contacts = tuple(("Contact", f"<sip:{user}@{host}:{4000 + number}>") for number in range(1_000))
            huge = [(("Subject", "x" * 60_000),), vias, contacts, (("Content-Length", str(10**12)),)]
            answers = []
            for more in huge:
                ground.peer.anew()
                answers.append(await line.ask(replace(ground.peer.next(), more=more).written(line)))
            return await judged(ground, answers, line)

    async def echo(self, ground: Ground) -> Outcome:
        """What a forged sender would be sent for what it never asked, repeats included."""
        worst, kind = 0.0, ""
        target = ground.target
        for method in ("REGISTER", "INVITE", "OPTIONS", "MESSAGE", "SUBSCRIBE", "BYE"):
            async with ground.line(elsewhere=True) as line:
                headers = [
                    ("From", f"{target.aor('9' * 20)};tag=a"),
                    ("To", target.aor(target.id)),
                    ("Call-ID", secrets.token_hex(8)),
                    ("CSeq", f"1 {method}"),
                    ("Contact", f"<sip:a@{line.address[0]}:{line.address[1]}>"),
                ]
                question = wire.request(method, target.uri, line.address, wire.branch(), headers)
                line.throw(question)
                await asyncio.sleep(self.echo_seconds)
                if line.came / len(question) > worst:
                    worst, kind = line.came / len(question), method
        said = saying("attack.ratio", ratio=round(worst, 2), method=kind or "-")
        return Outcome(said, worst <= RATIO)


class _Sent:
    """How many forged REGISTERs have left."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        return self.count


async def _guessed(ground: Ground, line: Line) -> Answer | None:
    asked = await ground.challenge(line)
    if not isinstance(asked, Challenge):
        return asked
    wrong = replace(ground.peer.proof(), password=secrets.token_hex(4))
    return await line.ask(ground.peer.next(authorization=wrong.header(asked)).written(line))


def attacks(load: Load) -> list[Attack]:
    return [
        Attack(
            "guesses",
            saying("attack.guesses.what"),
            saying("attack.guesses.sent", count=load.guesses),
            saying("attack.guesses.good"),
            load.guess,
        ),
        Attack(
            "flood",
            saying("attack.flood.what"),
            saying("attack.flood.sent", rate=load.rate, seconds=load.seconds),
            saying("attack.flood.good", percent=round(100 * GOODPUT)),
            load.flood,
        ),
        Attack(
            "flood-beside",
            saying("attack.flood_beside.what"),
            saying("attack.flood_beside.sent", rate=load.rate, seconds=load.seconds),
            saying("attack.flood.good", percent=round(100 * GOODPUT)),
            load.beside,
        ),
        Attack(
            "sizes",
            saying("attack.sizes.what"),
            saying("attack.sizes.sent"),
            saying("attack.sizes.good"),
            load.sizes,
        ),
        Attack(
            "echo",
            saying("attack.echo.what"),
            saying("attack.echo.sent"),
            saying("attack.echo.good", ratio=RATIO),
            load.echo,
        ),
    ]
