"""Our face towards those above: we register there, show what is shared, answer and are invited.

What an upper asks is answered from our own index, never by asking on; a question about one channel
crosses the lock as an `Ask` and comes back as an `Answer` (`Asking`).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from random import Random
from typing import Final

from cascade.accepting import Acceptor, Refusal, Wish
from cascade.addresses import Listener
from cascade.as_lower.adoption import Adoption, media_networks
from cascade.as_lower.alarms import Alarms
from cascade.as_lower.answers import (
    QUESTIONS,
    AskedAs,
    is_device,
    ourselves,
)
from cascade.as_lower.arrivals import Arrivals
from cascade.as_lower.asking import Asked, Asking
from cascade.as_lower.controls import Controls
from cascade.as_lower.invite import decide, odd_in
from cascade.as_lower.redirects import Place
from cascade.as_lower.registrant import Registrant
from cascade.as_lower.reporting import Reporting
from cascade.as_lower.sharing import CatalogAnswers, CatalogQuery, Share
from cascade.as_lower.subscribing import Subject
from cascade.as_lower.subscriptions import Subscriptions
from cascade.as_lower.uppers import Pairs, Upper, Uppers
from cascade.as_lower.voices import Voices
from cascade.credential import Credential
from cascade.crossing import (
    Answer,
    Ask,
    CatalogBatch,
    Crossing,
    NoAnswer,
    Notice,
)
from cascade.deviations import Deviations
from cascade.leg import Legs
from cascade.limits import Bounds
from cascade.manscdp import Head, alarm, broadcast, commands, keepalive
from cascade.model.commands.alarm import Alarm
from cascade.model.commands.presence import Presence
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Index
from cascade.model.serials import Serials
from cascade.model.ssrc import SsrcPool
from cascade.outbox import USUAL_QUOTA, Outbox, Quota
from cascade.peers import USUAL_PTZ, PtzTerms, UpperPeer, UpperView, Us
from cascade.placing import Placer
from cascade.ports import Gate, Store
from cascade.provenance import Key, LoopGuard
from cascade.sparse import Sparse
from cascade.subscribed import Subscribed
from cascade.timer import Timer
from sip.aio.calls import Calls
from sip.endpoint import Endpoint
from sip.events import Event, Reply

log = logging.getLogger(__name__)

LINE_SECONDS: Final = 60.0
"""At most one line in this time about an upper that refuses alarms, or for which some were lost."""


class AsLower:
    """One side's uppers. `deliver` and the deciders are called on the loop; `run` lives as long as the side.

    `index` holds what came through the gate and nothing else, since every upper is shown all of it;
    `lowers` are the peers below us on this very side, whose rows in `store` are not for showing.
    """

    def __init__(
        self,
        *,
        us: Us,
        endpoint: Endpoint,
        calls: Calls,
        uppers: Mapping[PlatformId, UpperPeer],
        lowers: Collection[PlatformId],
        secrets: Callable[[str], Credential | None],
        gate: Gate,
        index: Index,
        store: Store,
        media_address: str,
        loop: asyncio.AbstractEventLoop,
        wall: Callable[[], float],
        random: Random,
        listeners: Sequence[Listener] = (),
        guard: LoopGuard | None = None,
        ptz: PtzTerms = USUAL_PTZ,
        quota: Quota = USUAL_QUOTA,
        bounds: Bounds | None = None,
    ) -> None:
        self._bounds = bounds = bounds or Bounds()
        self.us = us
        self.index = index
        self.counts: Counter[str] = Counter()
        self._lowers = lowers
        self._listeners = listeners
        self._endpoint = endpoint
        self._secrets = secrets
        self._gate = gate
        self._store = store
        self._loop = loop
        self._wall = wall
        self._random = random
        self._correlation = count(random.getrandbits(31)).__next__
        self._serials = Serials(lambda: random.getrandbits(31))
        self._ourselves = ourselves(us)
        self._legs = Legs()
        self._deviations = Deviations()
        self._quota = quota
        self._refusing = Sparse(loop.time, LINE_SECONDS)
        self._overflowing = Sparse(loop.time, LINE_SECONDS)
        pool = SsrcPool(us.id, random=random)
        self.acceptor = Acceptor(media_address, pool, self._legs, store, loop.time)
        self._media_networks = {peer.id: media_networks(peer, listeners) for peer in uppers.values()}
        self._uppers = Uppers([*uppers.values()], self._upper)
        self._alarms = Alarms(
            uppers=self._uppers,
            gate=gate,
            store=store,
            wall=wall,
            counts=self.counts,
            overflowing=self._tell_overflow,
        )
        guard = guard or LoopGuard(us.id.digits, above=uppers)
        guard.exported = self._exported
        self._arrivals = Arrivals(
            gate=gate, index=index, store=store, guard=guard, counts=self.counts, changed=self._rows_changed
        )
        placer = Placer(us, endpoint, calls, pool, media_address, self._legs, store, loop.time)
        self.voices = Voices(placer, self._media_networks, bounds)
        self.controls = Controls(
            gate, ptz, loop=loop, correlation=self._correlation, counts=self.counts, bounds=bounds
        )
        self._asking = Asking(
            us=us,
            ourselves=self._ourselves,
            endpoint=endpoint,
            gate=gate,
            voices=self.voices,
            loop=loop,
            wall=wall,
            correlation=self._correlation,
            counts=self.counts,
            plan=lambda: self._timer.plan(),
            bounds=bounds,
        )
        self._adoption = Adoption(
            self._uppers,
            media=self._media_networks,
            listeners=listeners,
            register=self._registrant,
            legs=self._legs,
            controls=self.controls,
            store=store,
        )
        self._guard = guard
        self._timer = Timer(loop, self._deadline, self._turn)

    def _upper(self, peer: UpperPeer, pairs: Pairs) -> Upper:
        share = Share(peer, self.us, self.index, self._store, pairs, self._loop.time)
        answers = CatalogAnswers(share, self.us, self._endpoint, self._store, self._bounds)
        registrant = self._registrant(peer)
        subscriptions = Subscriptions(
            share,
            self.us,
            registrant,
            self._endpoint,
            self._store,
            counts=self.counts,
            time=self._loop.time,
            note=lambda what, subject, why: self._note_subscription(peer.id, what, subject, why),
        )
        reporting = Reporting(
            share,
            subscriptions,
            registrant,
            self._endpoint,
            self._store,
            self._quota,
            self.counts,
            lambda status: self._tell_refusal(peer.id, status),
        )
        return Upper(peer, share, registrant, answers, reporting, subscriptions)

    def _note_subscription(self, upper: PlatformId, what: str, subject: Subject, why: str) -> None:
        about = {"topic": subject.topic, "target": subject.shown}
        self._gate.note(what, upper, **about, **({"why": why} if why else {}))

    def _registrant(self, peer: UpperPeer) -> Registrant:
        return Registrant(
            peer,
            self._endpoint,
            credential=lambda: self._secrets(peer.id),
            keepalive=lambda: keepalive.write(
                sn=self._serials.next(), device_id=self.us.id.digits, charset=peer.charset
            ),
            random=self._random,
            time=self._loop.time,
            lost=lambda _problem: self._lost(peer.id),
            led=lambda place: self._led(peer.id, place),
        )

    def _tell_refusal(self, upper: PlatformId, status: int) -> None:
        if self._refusing.due(upper):
            log.warning("alarm.refused_above", extra={"upper": upper, "status": status})

    def _tell_overflow(self, upper: Upper) -> None:
        if self._overflowing.due(upper.peer.id):
            lost = upper.reporting.outbox.counts["lost"]
            log.warning("alarms.overflow", extra={"addressee": upper.peer.id, "lost": lost})

    def _led(self, upper: PlatformId, place: Place | None) -> None:
        self.counts["redirects_followed" if place is not None else "redirects_over"] += 1
        self._route_to(upper, place)
        self._uppers.lead(upper, place)
        if (found := self._uppers.get(upper)) is not None:
            self._media_networks[upper] = media_networks(found.peer, self._listeners)
        where = "home" if place is None else f"{place.id}@{place.host}:{place.port}"
        self._gate.note("redirected", upper, to=where)

    def _route_to(self, upper: PlatformId, place: Place | None) -> None:
        """Speak to where it leads as that says. Where an upper is configured stays as that is."""
        if (found := self._uppers.get(upper)) is None:
            return
        configured = {(other.configured.host, other.configured.port) for other in self._uppers}
        stack, old = self._endpoint.stack, (found.peer.host, found.peer.port)
        if old not in configured:
            stack.set_route(old, None)
        if place is not None and place.address not in configured:
            by, large = ("udp", True) if place.transport == "udp+tcp" else (place.transport, False)
            stack.set_route(place.address, by, large_by_tcp=large, pong=found.configured.answer_pings)

    def _lost(self, upper: PlatformId) -> None:
        self._legs.lose(upper, "upper lost")
        self.controls.lose(upper)

    # What displays and the composition root ask

    @property
    def legs(self) -> int:
        return len(self._legs)

    @property
    def subscriptions(self) -> int:
        """How many our uppers hold."""
        return sum(len(found.subscriptions) for found in self._uppers)

    def registered(self, upper: PlatformId) -> bool:
        found = self._uppers.get(upper)
        return found is not None and found.registrant.registered

    def state(self) -> list[UpperView]:
        return [
            UpperView(
                upper=found.peer.id,
                registered=found.registrant.registered,
                missed=found.registrant.missed,
                shared=len(found.share.mapping),
                pages=found.answers.counts["pages"],
                problem=found.registrant.problem,
                deviations=self._deviations.of(found.peer.id),
            )
            for found in self._uppers
        ]

    def subscribed(self, upper: PlatformId) -> list[Subscribed]:
        """What it has subscribed to at us."""
        found = self._uppers.get(upper)
        return [] if found is None else found.subscriptions.views()

    def outboxes(self) -> list[tuple[PlatformId, Outbox]]:
        """The alarms that are kept for each upper."""
        return [(found.peer.id, found.reporting.outbox) for found in self._uppers]

    def shown(self, channel: ChannelId) -> list[str]:
        """What our uppers call a channel; nothing where none was shown it."""
        names = (found.share.shown(channel) for found in self._uppers)
        return [name for name in names if name is not None]

    def known_as(self, shown: str) -> list[ChannelId]:
        """The channels that our uppers call so."""
        return [ChannelId(PlatformId(peer), PeerName(name)) for peer, name in self._exported(shown)]

    def _exported(self, shown: str) -> list[Key]:
        keys = (found.share.mapping.key(shown) for found in self._uppers)
        return [key for key in keys if key is not None]

    def counters(self) -> Counter[str]:
        total = self.counts.copy()
        for found in self._uppers:
            total.update({f"catalog_{name}": n for name, n in found.answers.counts.items()})
        return total

    # Life

    async def restore(self) -> None:
        """Take up what the store holds: the ids that uppers were shown, and rows that came through."""
        for peer in [found.peer.id for found in self._uppers]:
            pairs = await self._store.mapping(peer)
            if pairs:
                self._uppers.restore(peer, pairs)
        for peer, rows in await self._store.catalog():
            if peer not in self._lowers:
                self._arrivals.readmit(peer, rows)
        await self._alarms.restore()

    async def run(self) -> None:
        """Register, keep alive and answer until cancelled; the end unregisters."""
        async with asyncio.TaskGroup() as tasks:
            self._adoption.run(tasks)
            tasks.create_task(self._alarms.run(), name="alarms from the other side")
            try:
                await self._timer.run()
            finally:
                self._adoption.stop()

    def adopt(self, uppers: Mapping[PlatformId, UpperPeer], ptz: PtzTerms, quota: Quota) -> None:
        """These are our uppers from now on; see `Adoption`."""
        self._quota = quota
        for found in self._uppers:
            found.reporting.outbox.quota = quota
        self._guard.adopt(uppers)
        self._adoption.take(uppers)
        self.controls.adopt(ptz)

    # Requests from above

    def owns(self, event: Event) -> bool:
        """Is this request of one of our uppers, by its source and its From?"""
        return self._uppers.of(event) is not None

    def resolves(self, event: Event) -> bool:
        """Does this request of one of our uppers name something that it was shown?"""
        upper = self._uppers.of(event)
        return upper is not None and upper.share.resolve(event.uri_user) is not None

    def subscribes(self, event: Event, head: Head | None) -> Reply:
        """Answer a SUBSCRIBE of one that `owns` knows; `head` is that of its body, None where it has none."""
        upper = self._uppers.of(event)
        if upper is None:
            return (event.transaction, 403)
        return upper.subscriptions.take(event, head)

    def messages(self, pairs: Sequence[tuple[Event, Head]]) -> Sequence[Reply]:
        """Answer a run at once, by its heads; business answers follow as messages of their own."""
        return [self._reply(event, self._message(event, head)) for event, head in pairs]

    def _reply(self, event: Event, said: int | Refusal) -> Reply:
        if isinstance(said, int):
            return (event.transaction, said)
        return (event.transaction, said.status, said.headers(self._endpoint.local[0]))

    def _message(self, event: Event, head: Head) -> int | Refusal:
        upper = self._uppers.of(event)
        if upper is None:
            return 403
        if head.root == "Notify" and head.cmd_type == broadcast.CMD_TYPE:
            return self._asking.announced(event.from_user, head, upper)
        if head.root in ("Notify", "Response"):
            known = {"Keepalive": "keepalives", alarm.CMD_TYPE: "alarm_responses"}
            self.counts[known.get(head.cmd_type, "notices_dropped")] += 1
            return 200
        own = head.device_id == self.us.id.digits
        channel = self._ourselves if own else upper.share.resolve(head.device_id)
        if channel is None:
            return 404
        if not (head.sn.isascii() and head.sn.isdigit() and len(head.sn) <= 10):
            return 400
        if head.root == "Control":
            wire = commands.wire(head.root, head.cmd_type, head.operation)
            if wire is None or own or not is_device(head.device_id):  # nothing controls us
                return self._unknown(head, upper.peer.id)
            names = AskedAs(head.device_id, channel, upper.share.resolve)
            return self.controls.take(wire, event.body, upper.peer, names)
        if head.cmd_type == "Catalog":
            upper.answers.ask(CatalogQuery(head.sn, event.from_user, None if own else channel))
            return 200
        kind = QUESTIONS.get(head.cmd_type)
        if kind is None:
            return self._unknown(head, upper.peer.id)
        asked = Asked(upper, head.sn, event.from_user, head.device_id, kind(target=channel))
        return self._asking.ask_ourselves(asked) if own else self._asking.ask(asked)

    def _unknown(self, head: Head, upper: PlatformId) -> int:
        """No rule can allow what we don't carry; an auditor sees that it was tried."""
        self.counts["commands_unknown"] += 1
        what = "/".join(filter(None, (head.root, head.cmd_type, head.operation)))
        self._gate.note("command-unknown", upper, command=what, target=head.device_id)
        return 403

    # From the other side

    def linked(self, up: bool) -> None:
        """Nobody is beyond who could bring a picture, so every channel is shown as offline; or one is again.

        Who comes says next which peers are not there; where no rule lets that through they all are.
        """
        self.controls.clear()
        for peer in self.index.peers():
            self.index.set_online(peer, up)
        self._rows_turned()

    def deliver(self, crossing: Crossing) -> None:
        """Take what the gate let through."""
        match crossing:
            case Ask(correlation=number, payload=Alarm() as came):
                self._alarms.take(number, came)
            case CatalogBatch():
                self._arrivals.take(crossing)
            case Notice(payload=Presence(states=states)):
                for state in states:
                    self.index.set_online(state.peer, state.online)
                self._rows_turned()
            case Answer():
                self._asking.answered(crossing)
            case NoAnswer():
                self._asking.unanswered(crossing.correlation)
            case _:
                self.counts["crossings_dropped"] += 1

    def _rows_changed(self) -> None:
        for upper in self._uppers:
            upper.share.changed()
        self._rows_turned()

    def _rows_turned(self) -> None:
        """They are on or off now; nobody looks for another id because of that."""
        for upper in self._uppers:
            upper.subscriptions.changed()

    def _deadline(self) -> float | None:
        deadlines = (self._asking.deadline, self.voices.deadline)
        return min((each for each in deadlines if each is not None), default=None)

    def _turn(self, now: float) -> None:
        self.voices.advance(now)
        self._asking.advance(now)

    # Media

    def wish(self, event: Event) -> Wish | Refusal:
        """What an INVITE wants, or why it gets nothing."""
        upper = self._uppers.of(event)
        if upper is None:
            return Refusal(403, "not one of our uppers")
        peer = upper.peer.id
        wish = decide(event, peer, upper.share.resolve, self._media_networks[peer], upper.peer.media_target)
        if isinstance(wish, Refusal):
            self.counts[f"invites_{wish.status}"] += 1
            self._gate.note("invite-refused", peer, status=str(wish.status), why=wish.reason)
        else:
            for kind in odd_in(event, wish):
                self._deviations.note(peer, kind)
        return wish
