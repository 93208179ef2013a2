"""What one upper has subscribed to at us, and what it is told in those dialogs (9.11, RFC 6665).

A subscriber of the catalog is told what turns what it knows into what it is shown now: two views are
compared, so what went to and fro in between costs nothing, and a burst makes one look. An upper that is
not there is told when it is again. Nothing of this outlives us: its next refresh is answered 481, and it
subscribes anew.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal

from cascade.as_lower.registrant import Registrant
from cascade.as_lower.sharing import Share
from cascade.as_lower.subscribing import (
    Refused,
    Subject,
    accepted,
    expires_of,
    read,
)
from cascade.manscdp import CONTENT_TYPE, Head
from cascade.manscdp.catalog import write_changes
from cascade.model.ids import ChannelId
from cascade.model.index import View
from cascade.peers import Topic, Us
from cascade.ports import Store
from cascade.subscribed import Subscribed
from sip.aio.ask import ask
from sip.dialog import Dialog, Key, key_of
from sip.endpoint import Endpoint, Reply
from sip.errors import TransactionTimeout, TransportFailed
from sip.events import Event
from sip.subscription import ENDS, SubscriptionState, event_header, seconds_of

log = logging.getLogger(__name__)

AWAY_SECONDS: Final = 1.0
"""How often one looks whether an upper that is not there is again."""

MAX_PATIENCE: Final = 60
"""The longest Retry-After that is waited out; a subscriber that wants longer has lost its subscription."""

BUSY_SHARE: Final = 0.05
"""Looking and comparing may take this part of our time: a large catalog is looked at more seldom."""

Answer = Literal["taken", "gone", "failed"]


@dataclass(slots=True)
class Subscription:
    """One dialog, and what its subscriber knows."""

    dialog: Dialog
    subject: Subject
    event: str  # as the subscriber wrote it
    until: float
    view: View | None = None  # what it was told of, None before the first notice
    owed: bool = True  # a notice, whether anything has changed or not
    due: float | None = None  # when to look
    over: bool = False  # it ends with the next notice
    gone: bool = False
    told: float | None = None  # when it took the last notice
    notices: int = 0
    changes: int | None = None  # in the last telling of the catalog

    @property
    def key(self) -> tuple[Topic, ChannelId | None]:
        return self.subject.topic, self.subject.top


class Subscriptions:
    """Those of one upper. `note` writes what an auditor must see: what happened to which, and why."""

    def __init__(
        self,
        share: Share,
        us: Us,
        registrant: Registrant,
        endpoint: Endpoint,
        store: Store,
        *,
        counts: Counter[str],
        time: Callable[[], float],
        note: Callable[[str, Subject, str], None],
    ) -> None:
        self._share = share
        self._us = us
        self.registrant = registrant
        self._endpoint = endpoint
        self._store = store
        self._counts = counts
        self._time = time
        self._note = note
        self._open: dict[Key, Subscription] = {}
        self._sn = count(1)
        self._costs = 0.0  # seconds of the last look
        self._woken = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def views(self) -> list[Subscribed]:
        """Those that are open, for displays."""
        return [
            Subscribed(
                topic=each.subject.topic,
                target=each.subject.shown,
                until=each.until,
                told=each.told,
                notices=each.notices,
                changes=each.changes,
            )
            for each in self._open.values()
        ]

    # What the upper asks for

    def take(self, event: Event, head: Head | None) -> Reply:
        """Answer a SUBSCRIBE of the upper; `head` is that of its body."""
        answer = self._refreshed(event) if event.to_tag else self._opened(event, head)
        if isinstance(answer, Refused):
            self._counts[f"subscriptions_{answer.why}"] += 1
            return (event.transaction, answer.status, answer.headers)
        contact = self._endpoint.contact_for(event.source)
        return accepted(event, head, answer, contact, self._share.upper.charset)

    def _opened(self, event: Event, head: Head | None) -> Refused | int:
        """Seconds that are granted to one that opens a dialog. One for each topic and target: a second one
        comes of an upper that has forgotten the first."""
        wanted = read(event, head, self._us.id.digits, self._share.resolve)
        if isinstance(wanted, Refused):
            return wanted
        subject = wanted.subject
        if subject.topic == "alarm" and self._share.upper.alarms == "off":
            return Refused(403, "not_told")
        before = next(
            (each for each in self._open.values() if each.key == (subject.topic, subject.top)), None
        )
        if before is None and len(self._open) >= self._share.upper.max_subscriptions:
            return Refused(503, "full", (("Retry-After", str(MAX_PATIENCE)),))
        dialog = Dialog.accepted(event, self._endpoint.contact_for(event.source))
        now = self._time()
        opened = Subscription(
            dialog, subject, wanted.event, until=now + wanted.seconds, over=wanted.seconds == 0
        )
        if before is None:
            self._counts["subscriptions"] += 1
            self._note("subscribed", subject, "")
        else:
            self._counts["subscriptions_replaced"] += 1
            self._remove(before)
        self._open[dialog.key] = opened
        self._wake(opened, now)
        return wanted.seconds

    def _refreshed(self, event: Event) -> Refused | int:
        found = self._open.get(key_of(event))
        if found is None or found.over:
            return Refused(481, "unknown")
        if not found.dialog.in_order(event):
            return Refused(500, "disordered")
        expires = expires_of(event)
        if isinstance(expires, Refused):
            return expires
        found.dialog.retarget(event)
        found.until = self._time() + expires
        found.over = expires == 0
        found.owed = True
        self._counts["subscriptions_refreshed"] += 1
        self._wake(found, self._time() + (0.0 if found.over else self._pause()))
        return expires

    def telling(self, source: ChannelId) -> Subscription | None:
        """The one in whose dialog an alarm of `source` is told."""
        place = self._share.index.place(source.peer, source.name)
        branch = "" if place is None else place[0]
        for found in self._open.values():
            if (
                found.subject.topic == "alarm"
                and not found.over
                and _covers(found.subject.top, source, branch)
            ):
                return found
        return None

    # What has changed

    def changed(self) -> None:
        """Rows came, went or turned: subscribers hear of it together with what follows soon."""
        for found in self._open.values():
            if found.subject.topic == "catalog" and found.due is None:
                self._wake(found, self._time() + self._pause())

    def _pause(self) -> float:
        return max(self._share.upper.notify_seconds, self._costs / BUSY_SHARE)

    def _wake(self, found: Subscription, due: float) -> None:
        found.due = due if found.due is None else min(found.due, due)
        self._woken.set()

    # Telling it

    async def run(self) -> None:
        """Notify until cancelled; those that are open end with us."""
        while True:
            self._woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._deadline()):
                    await self._woken.wait()
            for found in [*self._open.values()]:
                try:
                    await self._serve(found)
                except Exception:  # a bug costs this subscription, not the upper's others
                    log.exception("subscription.failed", extra={"upper": self._share.upper.id})
                    self._end(found, "failed")

    def _deadline(self) -> float | None:
        moments = [
            found.until if found.due is None else min(found.until, found.due) for found in self._open.values()
        ]
        return min(moments, default=None)

    async def _serve(self, found: Subscription) -> None:
        now = self._time()
        if found.gone:
            return
        if not found.over and found.until <= now:
            found.over, found.due = True, now
            self._counts["subscriptions_lapsed"] += 1
        if found.due is None or found.due > now:
            return
        if not self.registrant.registered and not found.over:
            found.due = now + AWAY_SECONDS
            return
        found.due = None
        if (
            await (self._tell(found) if found.subject.topic == "catalog" else self._say(found, b""))
            and found.over
        ):
            self._end(found, "")

    async def _tell(self, found: Subscription) -> bool:
        """Tell a subscriber of the catalog what has changed; False where it has lost its subscription."""
        before = self._time()
        view = self._share.view(found.subject.top)
        changes = view.faults() if found.view is None else view.changes_since(found.view)
        self._costs = self._time() - before
        found.view = view
        if not (len(changes) or found.owed or found.over):
            return True
        found.changes = len(changes)
        if self._share.told(changes):
            await self._store.flush()  # an id that was shown once must never mean anything else
        position = 0
        while not found.gone:
            body, position = write_changes(
                changes,
                self._share.mapping,
                position,
                sn=next(self._sn),
                device_id=found.subject.shown,
                civil_code=self._us.civil_code or self._us.id.digits[:6],
                charset=self._share.upper.charset,
                max_bytes=self._share.upper.page_bytes,
                max_items=self._share.upper.notify_items,
            )
            last = position >= len(changes)
            if not await self._say(found, body, last=last):
                return False
            if last:
                return True
        return False

    async def _say(self, found: Subscription, body: bytes, *, last: bool = True) -> bool:
        """One notice, and once more where its subscriber asks for time; False where nobody is subscribed."""
        found.owed = False
        answer, wait = await self.notify(found, body, over=found.over and last)
        if answer == "failed" and 0 < wait <= MAX_PATIENCE and not found.gone:
            await asyncio.sleep(wait)
            answer, _ = await self.notify(found, body, over=found.over and last)
        if answer != "taken":
            self._end(found, answer)
        return answer == "taken"

    async def notify(self, found: Subscription, body: bytes, *, over: bool = False) -> tuple[Answer, int]:
        """Send it in the dialog: how it was answered, and Retry-After where that was said."""
        left = max(0, int(found.until - self._time()))
        state = SubscriptionState(False, reason="timeout") if over else SubscriptionState(True, left)
        notice = found.dialog.request(
            "NOTIFY",
            headers=(*event_header(found.event), state.header),
            body=body,
            content_type=CONTENT_TYPE if body else None,
        )
        try:
            answer = await ask(self._endpoint, notice)
        except (TransactionTimeout, TransportFailed):
            return "gone", 0
        if 200 <= answer.status < 300:
            self._counts["notices"] += 1
            found.told, found.notices = self._time(), found.notices + 1
            return "taken", 0
        return ("gone" if answer.status in ENDS else "failed"), seconds_of(answer.header("Retry-After")) or 0

    def lose(self, found: Subscription) -> None:
        """A notice of an alarm was answered as if nobody were subscribed."""
        self._end(found, "gone")

    def _end(self, found: Subscription, why: str) -> None:
        """Nobody is subscribed there any more; again, it does nothing."""
        if found.gone:
            return
        self._remove(found)
        if why:
            self._counts["subscriptions_lost"] += 1
            log.info("subscription.lost", extra={"upper": self._share.upper.id, "reason": why})
        self._note("unsubscribed", found.subject, why)

    def _remove(self, found: Subscription) -> None:
        found.gone = True
        self._open.pop(found.dialog.key, None)


def _covers(top: ChannelId | None, source: ChannelId, branch: str) -> bool:
    if top is None:
        return True
    return source.peer == top.peer and (source.name == top.name or top.name in branch.split("/"))
