"""Our registration at one upper, as one coroutine: register, stay, renew, come back (9.1, 9.6).

What it waits for and how long are pure functions below; time and chance come with the arguments.
"""

import asyncio
import logging
import math
import re
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

from cascade.as_lower.redirects import KNOWS, Journey, Place, places_of
from cascade.credential import Credential
from cascade.manscdp import CONTENT_TYPE
from cascade.peers import UpperPeer
from sip._native import respond
from sip.aio.calls import ask
from sip.endpoint import Endpoint, Party
from sip.errors import TransactionTimeout, TransportFailed
from sip.events import Event

log = logging.getLogger(__name__)

REGISTER_AGAIN: Final = frozenset({401, 403, 404, 481})
"""Answers to a keepalive that say "I do not know you": the upper has restarted."""

LEAVING_SECONDS: Final = 2.0
"""How long our stop waits for the upper to take note of it."""

_STALE: Final = re.compile(r"\bstale\s*=\s*\"?true\b", re.IGNORECASE)


class NotRegistered(Exception):
    """The upper refused, or did not answer."""


def refresh_after(lease: float, chance: float) -> float:
    """Seconds until a lease is renewed: 80 % of it or a minute before its end, less up to a tenth."""
    return max(min(0.8 * lease, lease - 60.0), 0.5 * lease) * (1.0 - 0.1 * chance)


def retry_after(upper: UpperPeer, failures: int, chance: float) -> float:
    """Seconds until the next attempt: not faster than `retry_seconds`, doubling, never in step."""
    grown = upper.retry_seconds * 2.0 ** min(failures - 1, 16)
    return min(upper.retry_max, grown) + upper.retry_jitter * chance


class Registrant:
    """`registered` is what the rest of the face may rely on; `problem` says why it is not so.

    Args:
        credential: asked for at each challenge, so that a changed secret counts at once.
        keepalive: body of a keepalive, by its SN made anew each time.
        lost: called each time when the upper no longer has us, with the reason.
        led: called with where the upper is from now on, None for where it is configured.
    """

    def __init__(
        self,
        upper: UpperPeer,
        endpoint: Endpoint,
        *,
        credential: Callable[[], Credential | None],
        keepalive: Callable[[], bytes],
        random: Random,
        time: Callable[[], float],
        lost: Callable[[str], None] = lambda _problem: None,
        led: Callable[[Place | None], None] = lambda _place: None,
    ) -> None:
        self._upper = upper
        self._endpoint = endpoint
        self._credential = credential
        self._keepalive_body = keepalive
        self._random = random
        self._time = time
        self._tell_lost = lost
        self._tell_led = led
        self._journey = Journey()
        self._place: Place | None = None  # that it led us to
        self._until = math.inf  # when we ask the upper itself anew
        self._home = (upper.host, upper.port)
        self._destination = (upper.host, upper.port)
        self._server = Party(upper.id, upper.domain)
        self._call_id, self._from_tag, self._cseq = "", "", 0
        self._anew()
        self.registered = False
        self.missed = 0
        self.heard = 0  # answers of the upper that it has us, since the start
        self.problem = "not yet tried"

    def adopt(self, upper: UpperPeer) -> None:
        """It is described otherwise now, at the same address and under the same names: nothing is sent."""
        self._upper = upper

    async def run(self) -> None:
        """Keep us registered until cancelled; then unregister, if the upper listens."""
        failures = 0
        self._journey.begin(self._destination)
        try:
            while True:
                try:
                    lease = await self._register(self._upper.expires)
                except NotRegistered as error:
                    if self._goes_on(str(error)):
                        continue
                    failures += 1
                    await asyncio.sleep(retry_after(self._upper, failures, self._random.random()))
                    self._journey.begin(self._destination)
                else:
                    failures = 0
                    self._gained(lease)
                    if self._upper.register_renewal == "fresh":
                        self._anew()
                    await self._stay(refresh_after(lease, self._random.random()))
                    if not self.registered and self._place is not None:
                        self._go(None)
                    elif self._place is not None and self._time() >= self._until:
                        await self._ask_home(self._place)
                    self._journey.begin(self._destination)
        finally:
            if self.registered:
                self.registered = False
                await self._leave()

    def _follow(self, answer: Event) -> None:
        """Take note of where a 302 leads. Raises NotRegistered where that is nowhere."""
        led = self._journey.lead(places_of(answer, self._upper))
        if led == "nowhere":
            raise NotRegistered("REGISTER answered 302, which leads nowhere that may be tried")
        if led == "endless":
            raise NotRegistered("REGISTER answered 302, which leads on and on")

    async def _ask_home(self, place: Place) -> None:
        """What it said is over: is it still so? We stay here unless it takes us or leads elsewhere."""
        here = (self._destination, self._server, self._call_id, self._from_tag, self._cseq)
        self._destination, self._server = self._home, Party(self._upper.id, self._upper.domain)
        self._anew()
        self._journey.begin(self._home)
        taken = True
        try:
            await self._register(self._upper.expires)
        except NotRegistered:
            taken = False
        further = None if taken else self._journey.next()
        self._destination, self._server, self._call_id, self._from_tag, self._cseq = here
        same = further is None or (further.id, further.address) == (place.id, place.address)
        if not taken and same:
            seconds = self._upper.retry_max if further is None else further.seconds
            self._until = self._time() + (math.inf if seconds is None else seconds)
            return
        await self._leave()
        self._lost("the upper leads elsewhere")
        self._go(further)

    async def _leave(self) -> None:
        with suppress(NotRegistered, TimeoutError):
            async with asyncio.timeout(LEAVING_SECONDS):
                await self._register(0)

    def _goes_on(self, problem: str) -> bool:
        """Is there somewhere else to try at once? Where all fails that it leads to, its own address is."""
        place = self._journey.next()
        if place is None:
            was_led = self._place is not None
            self._lost(problem)
            if was_led:
                self._go(None)
            return was_led
        if self.registered:
            self._lost(problem)
        self._go(place)
        return True

    def _go(self, place: Place | None) -> None:
        """Everything is for that place from now on, in an exchange of its own."""
        upper = self._upper
        log.info("upper.led", extra={"upper": upper.id, "to": "home" if place is None else place.host})
        self._place = place
        seconds = None if place is None else place.seconds
        self._until = math.inf if seconds is None else self._time() + seconds
        self._destination = self._home if place is None else place.address
        server = (upper.id, upper.domain) if place is None else (place.id, place.domain)
        self._server = Party(*server)
        self._anew()
        self._tell_led(place)

    def _anew(self) -> None:
        """Another Call-ID and tag: one for the link, or one a renewal where the upper wants it (Q103)."""
        self._call_id = f"{self._endpoint.token()}@{self._endpoint.local[0]}"
        self._from_tag = self._endpoint.token()
        self._cseq = 0

    async def _stay(self, seconds: float) -> None:
        """Send keepalives until the registration has to be made anew. Intervals count from the answer."""
        renew = min(self._time() + seconds, self._until)
        self.missed = 0
        while True:
            await asyncio.sleep(min(self._upper.keepalive_seconds, max(0.0, renew - self._time())))
            if self._time() >= renew:
                return
            status = await self._keepalive()
            if 200 <= status < 300:
                self.missed = 0
                self.heard += 1
            elif status in REGISTER_AGAIN:
                self._lost(f"keepalive answered {status}")
                return
            else:
                self.missed += 1
                if self.missed >= self._upper.keepalive_misses:
                    self._lost(f"{self.missed} keepalives without answer")
                    return

    async def _keepalive(self) -> int:
        """Status of the answer, 0 for none."""
        message = self._endpoint.request(
            "MESSAGE",
            self._server,
            self._destination,
            body=self._keepalive_body(),
            content_type=CONTENT_TYPE,
        )
        try:
            return (await ask(self._endpoint, message)).status
        except (TransactionTimeout, TransportFailed):
            return 0

    async def _register(self, expires: int) -> int:
        """One registration with whatever the upper asks for on the way; return the seconds granted.

        Raises:
            NotRegistered: a final refusal, a challenge we can't meet, silence, or somewhere else to try.
        """
        authorization: str | None = None
        stale_once = lengthened = False
        while True:
            answer = await self._send(expires, authorization)
            if 200 <= answer.status < 300:
                granted = expires if answer.expires is None else answer.expires
                if expires and granted <= 0:
                    raise NotRegistered("granted for no time at all")
                return granted
            challenges = answer.headers("WWW-Authenticate") if answer.status == 401 else []
            if challenges and authorization is None:
                authorization = self._authorize(challenges)
            elif challenges and not stale_once and any(map(_STALE.search, challenges)):
                stale_once = True
                authorization = self._authorize(challenges)
            elif answer.status == 423 and not lengthened and expires:
                lengthened = True
                expires = max(expires, _number(answer.header("Min-Expires")))
                authorization = None
            else:
                if answer.status == 302 and expires:
                    self._follow(answer)
                raise NotRegistered(f"REGISTER answered {answer.status} {answer.reason}".rstrip())

    async def _send(self, expires: int, authorization: str | None) -> Event:
        self._cseq += 1
        headers = [("Expires", str(expires))]
        if self._upper.redirects:
            headers.append(KNOWS)
        if authorization is not None:
            headers.append(("Authorization", authorization))
        register = self._endpoint.request(
            "REGISTER",
            self._endpoint.me,
            self._destination,
            uri=self._server.uri,
            headers=headers,
            call_id=self._call_id,
            from_tag=self._from_tag,
            cseq=self._cseq,
        )
        try:
            return await ask(self._endpoint, register)
        except (TransactionTimeout, TransportFailed) as error:
            raise NotRegistered(str(error)) from None

    def _authorize(self, challenges: list[str]) -> str:
        """Meet the strongest challenge that we can."""
        credential = self._credential()
        if credential is None:
            raise NotRegistered(f"no secret for {self._upper.id}")
        try:
            return respond(
                challenges,
                credential.user,
                credential.realm,
                credential.keys(self._upper.digest),
                "REGISTER",
                self._server.uri,
                self._endpoint.token(),
                qop=self._upper.digest_qop,
            )
        except ValueError as error:
            raise NotRegistered(f"no challenge that we can meet: {error}") from None

    def _gained(self, lease: int) -> None:
        if not self.registered:
            log.info("upper.registered", extra={"upper": self._upper.id, "seconds": lease})
        self.registered, self.problem = True, ""
        self.heard += 1

    def _lost(self, problem: str) -> None:
        log.warning("upper.lost", extra={"upper": self._upper.id, "reason": problem})
        was, self.registered, self.problem = self.registered, False, problem
        if was:
            self._tell_lost(problem)


def _number(text: str | None) -> int:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
