"""Alarms for one upper: sent while we are registered there, one after the other, each until it is taken.

To an upper that has subscribed they are told in its dialog, as far as it wants them; one that does not take
them there any more gets them as messages, as all others do. An upper that is offline, or does not answer,
gets them when it is there again: in their order, with the same SN each time, so that one which it had but
whose 200 was lost can be known by it. What an upper refuses, or stays silent about while it answers
keepalives, is given up.
"""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cascade.as_lower.answers import ShownAs
from cascade.as_lower.registrant import Registrant
from cascade.as_lower.sharing import Share
from cascade.as_lower.subscriptions import Subscriptions
from cascade.manscdp import CONTENT_TYPE, alarm
from cascade.outbox import Letter, Outbox, Quota
from cascade.ports import Store
from sip.aio.calls import ask
from sip.endpoint import Endpoint, Party
from sip.errors import TransactionTimeout, TransportFailed

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
"""How often one looks whether we are registered."""
AGAIN_SECONDS: Final = 10.0
"""After an attempt that brought nothing, unless the answer says when (Retry-After), but no longer than:"""
MOST_SECONDS: Final = 60.0
NOT_NOW: Final = frozenset({0, 401, 403, 404, 407, 408, 480, 481, 491, 500, 503, 504})
"""Silence, and statuses that say "later", or "I do not know you": then we shall register again soon."""
HEARD: Final = 3
"""An upper that takes our keepalives so often and this alarm not once will not take it."""
SN_DIGITS: Final = 1_000_000_000


@dataclass(slots=True)
class _Trying:
    """The letter that is under way, and what we had heard of the upper before its first attempt."""

    number: int
    heard: int


class Reporting:
    """Of one upper. `refused` hears of each status that cost an alarm; `counts` is the face's.

    `registrant` is that of today: another one where the upper is reached elsewhere.
    """

    def __init__(
        self,
        share: Share,
        subscriptions: Subscriptions,
        registrant: Registrant,
        endpoint: Endpoint,
        store: Store,
        quota: Quota,
        counts: Counter[str],
        refused: Callable[[int], None],
    ) -> None:
        self.outbox = Outbox(quota)
        self._share = share
        self._subscriptions = subscriptions
        self.server: str = share.upper.id  # who it is where it led us
        self.registrant = registrant
        self._endpoint = endpoint
        self._store = store
        self._counts = counts
        self._refused = refused
        self._kept = asyncio.Event()
        self._trying = _Trying(0, 0)
        self._again = AGAIN_SECONDS
        self._settled = 0  # the letter that the disk has not forgotten yet

    def wake(self) -> None:
        """Letters have come."""
        self._kept.set()

    async def run(self) -> None:
        """Send until cancelled; what is kept stays on the disk."""
        while True:
            letter = self.outbox.first
            if letter is None:
                self._kept.clear()
                await self._kept.wait()
            elif not self.registrant.registered:
                await asyncio.sleep(RETRY_SECONDS)
            elif not await self._leave(letter):
                await asyncio.sleep(self._again)

    async def _leave(self, letter: Letter) -> bool:
        """False where it has to be tried again."""
        self.outbox.under_way = 1
        try:
            if self._settled != letter.number and not await self._sent(letter):
                return False
            self._settled = letter.number
            if not await self._store.keep((), [letter]):  # it would be sent again after our death
                return False
        except Exception:  # a bug costs this alarm, not the next ones
            log.exception("alarm.send_failed", extra={"upper": self._share.upper.id})
            self._counts["alarms_failed"] += 1
            await self._store.keep((), [letter])
        finally:
            self.outbox.under_way = 0
        self.outbox.remove(letter)
        return True

    async def _sent(self, letter: Letter) -> bool:
        """True once there is nothing more to do about it."""
        upper = self._share.upper
        shown, fresh = self._share.tells(letter.alarm.source)
        if shown is None:  # it was, when the alarm came
            self._counts["alarms_not_shown"] += 1
            return True
        if fresh:
            await self._store.flush()  # an id that was shown once must never mean anything else
        body = alarm.write(
            letter.alarm,
            sn=letter.number % SN_DIGITS + 1,
            names=ShownAs(shown),
            typed=upper.alarms == "typed",
            charset=upper.charset,
        )
        found = self._subscriptions.telling(letter.alarm.source)
        if found is not None:
            if not found.subject.wants.admits(letter.alarm):
                self._counts["alarms_not_asked_for"] += 1
                return True
            if (await self._subscriptions.notify(found, body))[0] == "taken":
                self._counts["alarms_notified"] += 1
                return True
            self._subscriptions.lose(found)
        if self._trying.number != letter.number:
            self._trying = _Trying(letter.number, self.registrant.heard)
        status = await self._send(body)
        if 200 <= status < 300:
            self._counts["alarms_sent"] += 1
            return True
        if status in NOT_NOW and self.registrant.heard < self._trying.heard + HEARD:
            self._counts["alarms_sent_again"] += 1
            return False
        self._counts["alarms_refused_above"] += 1
        self._refused(status)
        return True

    async def _send(self, body: bytes) -> int:
        """Status of the answer, 0 for none."""
        upper = self._share.upper
        to = Party(self.server, upper.domain)
        message = self._endpoint.request(
            "MESSAGE", to, (upper.host, upper.port), body=body, content_type=CONTENT_TYPE
        )
        self._again = AGAIN_SECONDS
        try:
            answer = await ask(self._endpoint, message)
        except (TransactionTimeout, TransportFailed):
            return 0
        self._again = seconds_of(answer.header("Retry-After") or "")
        return answer.status


def seconds_of(retry_after: str) -> float:
    """How long to wait by that header (RFC 3261 section 20.33), within bounds."""
    number = re.match(r"\s*([0-9]{1,9})", retry_after)
    return min(max(float(number[1]), RETRY_SECONDS), MOST_SECONDS) if number else AGAIN_SECONDS
