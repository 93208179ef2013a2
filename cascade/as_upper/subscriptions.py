"""What we have subscribed to at those below us (9.11, RFC 6665): when to ask, what a notice belongs to, when
it is over.

Each subscription has a deadline: it is renewed after two thirds of its time, in its dialog and under its own
Event. Where that fails a new one is made at once, then more and more seldom; what happened meanwhile is asked
for by a query. A peer that registers anew is subscribed at anew (Q41). Time is an argument.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Final

from cascade.as_upper.questions import party_of
from cascade.deviations import Deviation
from cascade.errors import BadCommand
from cascade.manscdp import CONTENT_TYPE, catalog, xml
from cascade.model.ids import PlatformId
from cascade.model.serials import Serials
from cascade.peers import LowerPeer, Topic
from cascade.sparse import Sparse
from cascade.subscribed import Subscribed
from sip.dialog import Dialog
from sip.endpoint import Endpoint, Outgoing, Then
from sip.events import Address, Event, Kind
from sip.subscription import SubscriptionState, read_state, seconds_of

log = logging.getLogger(__name__)

RENEWED: Final = 2 / 3
LEAST_SECONDS: Final = 20.0
"""Nobody is asked again sooner than this, however little it grants."""
RETRY_SECONDS: Final = 60.0
RETRY_MAX: Final = 3600.0
RESYNC_SECONDS: Final = 60.0
"""At most once in this time a peer is asked for its catalog since its notices leave something open."""
MAX_SECONDS: Final = 86_400

TURN: Final = 64
"""Requests that leave in one turn of the loop: after our own start everybody is subscribed to at once."""

NEVER: Final = frozenset({405, 489, 501})
"""It cannot be subscribed to this: until it registers again nobody tries."""

Key = tuple[str, str]
"""Call-ID and our tag: enough to know a notice that comes before the answer to its SUBSCRIBE."""


@dataclass(slots=True)
class _Held:
    """One subscription, there or wanted. `key` is that of its dialog, None before it was asked for."""

    peer: LowerPeer
    topic: Topic
    event: str
    seconds: int
    next_at: float | None  # None: an answer is awaited, or nothing will be
    key: Key | None = None
    dialog: Dialog | None = None
    failures: int = 0
    missed: bool = False  # there was one, and something may have happened since
    until: float = 0.0  # as it was granted
    told: float | None = None  # when its last notice came
    notices: int = 0
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """The answer to a NOTIFY, and what it may bring: None for nothing."""

    status: int
    topic: Topic | None = None


class Subscriptions:
    """Those of one face. `at` tells where a peer is; `resync` asks for a catalog; `plan` is called when
    deadlines changed."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        serials: Serials,
        random: Random,
        at: Callable[[PlatformId], Address | None],
        time: Callable[[], float],
        plan: Callable[[], None],
        resync: Callable[[LowerPeer], None],
        deviates: Callable[[PlatformId, Deviation], None],
        counts: Counter[str],
    ) -> None:
        self._endpoint = endpoint
        self._serials = serials
        self._random = random
        self._at = at
        self._time = time
        self._plan = plan
        self._resync = resync
        self._deviates = deviates
        self._counts = counts
        self._held: dict[PlatformId, list[_Held]] = {}
        self._dialogs: dict[Key, _Held] = {}
        self._due: list[tuple[float, int, _Held]] = []
        self._tickets = count()
        self._refusing = Sparse(time)
        self._asked = Sparse(time, RESYNC_SECONDS)

    def __len__(self) -> int:
        """Those that are there."""
        return sum(held.dialog is not None for held in self._dialogs.values())

    def of(self, peer: PlatformId) -> list[Topic]:
        """What is subscribed to at that peer now."""
        return [held.topic for held in self._held.get(peer, ()) if held.dialog is not None]

    def views(self, peer: PlatformId) -> list[Subscribed]:
        """Those that are there at that peer, for displays."""
        return [
            Subscribed(topic=held.topic, target=peer, until=held.until, told=held.told, notices=held.notices)
            for held in self._held.get(peer, ())
            if held.dialog is not None
        ]

    def start(self, peer: LowerPeer) -> None:
        """It registered, came back, or is reached elsewhere: subscribe anew to what is wanted of it."""
        self.stop(peer.id)
        now = self._time()
        for topic in peer.subscribe:
            event = f"Catalog;id={self._serials.next()}" if topic == "catalog" else "presence"
            held = _Held(peer, topic, event, peer.subscribe_seconds, now)
            self._held.setdefault(peer.id, []).append(held)
            self._queue(held, now)

    def stop(self, peer: PlatformId) -> None:
        """It is offline: nothing can be said to it, and what it says counts no more."""
        for held in self._held.pop(peer, ()):
            self._drop(held)

    def adopt(self, peer: LowerPeer, before: LowerPeer) -> None:
        """It is described otherwise now."""
        held = self._held.get(peer.id, [])
        if (peer.subscribe, peer.subscribe_seconds) == (before.subscribe, before.subscribe_seconds):
            for each in held:
                each.peer = peer
            return
        self._end(held)
        if self._at(peer.id) is not None:
            self.start(peer)

    def close(self) -> None:
        """We are going: say so, and wait for nothing."""
        for held in [*self._held.values()]:
            self._end(held)
        for peer in [*self._held]:
            self.stop(peer)

    def _end(self, held: list[_Held]) -> None:
        for each in held:
            if each.dialog is not None:
                self._endpoint.send(self._renewal(each, each.dialog, 0))

    # Notices

    def notified(self, event: Event, peer: LowerPeer) -> Heard:
        """A NOTIFY of a peer that is there. What is in no dialog of ours brings nothing: it is forged, or
        comes of a peer that has forgotten its tags (Q34), whose catalog is asked for instead."""
        held = self._dialogs.get((event.call_id, event.to_tag))
        if held is None or held.peer.id != peer.id or not _same_end(held, event):
            return self._stray(peer)
        if held.dialog is not None and not held.dialog.in_order(event):
            self._counts["notices_disordered"] += 1
            return Heard(500)
        state = read_state(event.header("Subscription-State"))
        if state is not None and not state.active:
            self._ended(held, state)
        elif state is not None and state.seconds is not None and held.next_at is not None:
            self._queue(held, min(held.next_at, self._time() + _renewal_after(state.seconds)))
        self._counts["notices"] += 1
        held.told, held.notices = self._time(), held.notices + 1
        return Heard(200, held.topic)

    def _stray(self, peer: LowerPeer) -> Heard:
        self._counts["notices_outside"] += 1
        if peer.id not in self._held:
            return Heard(481)
        self._deviates(peer.id, "notice-outside")
        self.gap(peer)
        return Heard(200)

    def gap(self, peer: LowerPeer) -> None:
        """Something of its catalog is not known: ask for it, but not all the time."""
        if self._asked.due(peer.id):
            self._counts["notices_left_gaps"] += 1
            self._resync(peer)

    def _ended(self, held: _Held, state: SubscriptionState) -> None:
        """Its end says that it is over, and when one may come again (RFC 6665 4.1.3)."""
        self._counts["subscriptions_ended"] += 1
        self._forget_dialog(held)
        held.missed = True
        if state.reason in {"rejected", "noresource", "invariant"}:
            held.next_at = None
            return
        held.failures += 1
        soon = state.reason not in {"probation", "giveup"} and held.failures == 1
        wait = 0.0 if soon else max(self._backoff(held), float(min(state.seconds or 0, MAX_SECONDS)))
        self._queue(held, self._time() + wait)

    # Asking

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        while self._due and not self._stands(self._due[0]):
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def advance(self, now: float) -> None:
        """Subscribe, and renew what is due, so many at a time; the rest is due still."""
        batch: list[tuple[Outgoing, Then | None]] = []
        while self._due and self._due[0][0] <= now and len(batch) < TURN:
            entry = heappop(self._due)
            held = entry[2]
            if not self._stands(entry):
                continue
            held.next_at = None
            at = self._at(held.peer.id)
            if at is None:
                continue
            outgoing = self._opening(held, at) if held.dialog is None else self._renewal(held, held.dialog)
            batch.append((outgoing, self._then(held, outgoing)))
        if batch:
            self._endpoint.send_many(batch)

    def _opening(self, held: _Held, at: Address) -> Outgoing:
        outgoing = self._endpoint.request(
            "SUBSCRIBE",
            party_of(held.peer, held.peer.id, at),
            at,
            headers=_headers(held, held.seconds),
            body=self._body(held),
            content_type=CONTENT_TYPE,
        )
        held.key = (outgoing.call_id, outgoing.from_tag)
        self._dialogs[held.key] = held
        return outgoing

    def _renewal(self, held: _Held, dialog: Dialog, seconds: int | None = None) -> Outgoing:
        headers = _headers(held, held.seconds if seconds is None else seconds)
        return dialog.request("SUBSCRIBE", headers=headers, body=self._body(held), content_type=CONTENT_TYPE)

    def _body(self, held: _Held) -> bytes:
        peer, sn = held.peer, self._serials.next()
        if held.topic == "catalog":
            return catalog.write_query(sn=sn, device_id=peer.id, charset=peer.charset)
        everything = ("StartAlarmPriority", "EndAlarmPriority", "AlarmMethod")
        fields = [("CmdType", "Alarm"), ("SN", str(sn)), ("DeviceID", peer.id)]
        fields += [(name, "0") for name in everything]
        return xml.write("Query", [xml.element(tag, text) for tag, text in fields], charset=peer.charset)

    def _then(self, held: _Held, outgoing: Outgoing) -> Then:
        def then(event: Event) -> None:
            if held.gone or (event.kind == Kind.RESPONSE and event.status < 200):
                return
            if event.kind == Kind.RESPONSE and event.status < 300 and _agrees(event):
                self._granted(held, outgoing, event)
            else:
                self._failed(held, event)
            self._plan()

        return then

    def _granted(self, held: _Held, outgoing: Outgoing, event: Event) -> None:
        now = self._time()
        seconds = seconds_of(event.header("Expires"))
        seconds = held.seconds if not seconds else min(seconds, MAX_SECONDS)
        held.until = now + seconds
        if held.dialog is None:
            contact = self._endpoint.contact_for(outgoing.destination)
            held.dialog = Dialog.placed(outgoing, event, contact)
            self._counts["subscriptions"] += 1
            if held.missed and held.topic == "catalog":
                self._resync(held.peer)
            held.missed = False
        else:
            held.failures = 0  # not before it has lasted: some take it and end it at once
        self._queue(held, now + _renewal_after(seconds))

    def _failed(self, held: _Held, event: Event) -> None:
        """A refusal, or silence: what was there is lost with it."""
        was = held.dialog is not None
        self._counts["subscriptions_lost" if was else "subscriptions_refused"] += 1
        self._forget_dialog(held)
        held.missed = held.missed or was
        least = seconds_of(event.header("Min-Expires")) if event.status == 423 else None
        if least is not None and held.seconds < least <= MAX_SECONDS:
            held.seconds = least
            self._queue(held, self._time())
            return
        held.failures += 1
        if not was and self._refusing.due(held.peer.id):
            log.warning(
                "subscription.refused",
                extra={"peer": held.peer.id, "topic": held.topic, "status": event.status},
            )
        if event.status in NEVER:
            return
        self._queue(held, self._time() + (0.0 if was and held.failures == 1 else self._backoff(held)))

    def _backoff(self, held: _Held) -> float:
        grown = RETRY_SECONDS * 2.0 ** min(max(held.failures - 1, 0), 16)
        return min(RETRY_MAX, grown) * (1.0 + 0.1 * self._random.random())

    def _forget_dialog(self, held: _Held) -> None:
        held.dialog = None
        if held.key is not None:
            self._dialogs.pop(held.key, None)
            held.key = None

    def _drop(self, held: _Held) -> None:
        held.gone = True
        held.next_at = None
        self._forget_dialog(held)

    def _queue(self, held: _Held, at: float) -> None:
        held.next_at = at
        heappush(self._due, (at, next(self._tickets), held))
        self._plan()

    def _stands(self, entry: tuple[float, int, _Held]) -> bool:
        return not entry[2].gone and entry[2].next_at == entry[0]


def _renewal_after(seconds: int) -> float:
    return max(RENEWED * seconds, LEAST_SECONDS)


def _headers(held: _Held, seconds: int) -> list[tuple[str, str]]:
    return [("Event", held.event), ("Expires", str(seconds))]


def _same_end(held: _Held, event: Event) -> bool:
    return held.dialog is None or held.dialog.remote_tag in ("", event.from_tag)


def _agrees(event: Event) -> bool:
    """Editions before 2022 say in the body of the 200 whether they agree."""
    if not event.body:
        return True
    try:
        return xml.text_of(xml.read_root(event.body), "Result").upper() != "ERROR"
    except BadCommand:
        return True
