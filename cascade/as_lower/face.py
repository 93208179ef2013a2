"""Our face towards those above: we register there, show what is shared, answer and are invited.

What an upper asks is answered from our own index, never by asking on; a question about one channel
crosses the lock as an `Ask` and comes back as an `Answer`. SN, ids and dialogs of the two sides are
tied together here and nowhere else.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final, assert_never

from cascade.accepting import Acceptor, Refusal, Wish
from cascade.addresses import Listener, Networks
from cascade.as_lower.answers import (
    QUESTIONS,
    AskedAs,
    about_us,
    answer_body,
    is_device,
    no_answer,
    ourselves,
)
from cascade.as_lower.controls import Controls
from cascade.as_lower.invite import decide, odd_in
from cascade.as_lower.registrant import Registrant
from cascade.as_lower.sharing import CatalogAnswers, CatalogQuery, Share
from cascade.as_lower.voices import Voice, Voices
from cascade.crossing import (
    ROWS_PER_CROSSING,
    Answer,
    Ask,
    CatalogBatch,
    Crossing,
    NoAnswer,
    Notice,
)
from cascade.deviations import Deviations
from cascade.leg import Legs
from cascade.manscdp import CONTENT_TYPE, Head, broadcast, commands, keepalive
from cascade.model.commands import Command, subjects
from cascade.model.commands.broadcast import AskBroadcast
from cascade.model.commands.presence import Presence
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Index, Rows
from cascade.model.serials import Serials
from cascade.model.ssrc import SsrcPool
from cascade.peers import USUAL_PTZ, PtzTerms, UpperPeer, UpperView, Us
from cascade.placing import Placer
from cascade.ports import Gate, Store
from cascade.provenance import Key, LoopGuard, without
from cascade.questions import Questions
from cascade.status import FAILURE_STATUS
from cascade.timer import Timer
from sip.aio.calls import Calls
from sip.endpoint import Endpoint, Party
from sip.events import Event, Reply

log = logging.getLogger(__name__)

ASK_SECONDS: Final = 30.0
"""How long one answer may take through a cascade (business answer)."""

LINK_SECONDS: Final = 1.0
"""How much longer we wait than the other side may take, before we answer for it."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """An upper's question on its way: how to answer it."""

    upper: "_Upper"
    sn: str
    asker: str
    shown: str
    question: Command
    voice: Voice | None = None  # that the question announces


class _Upper:
    """One upper with everything that is its own."""

    def __init__(
        self, peer: UpperPeer, share: Share, registrant: Registrant, answers: CatalogAnswers
    ) -> None:
        self.peer = peer
        self.share = share
        self.registrant = registrant
        self.answers = answers


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
        secrets: Callable[[str], str | None],
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
    ) -> None:
        self.us = us
        self.index = index
        self.counts: Counter[str] = Counter()
        self._lowers = frozenset(lowers)
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
        pool = SsrcPool(us.id, random=random)
        self.acceptor = Acceptor(media_address, pool, self._legs, store, loop.time)
        self._networks = {peer.id: Networks((*peer.networks, peer.host)) for peer in uppers.values()}
        self._media_networks = {
            peer.id: Networks(peer.media_networks or peer.networks or (peer.host,), listeners)
            for peer in uppers.values()
        }
        self._names = {name: peer.id for peer in uppers.values() for name in (*peer.aliases, peer.id)}
        self._by_address = {(peer.host, peer.port): peer.id for peer in uppers.values()}
        self._homes = {(peer.host, peer.id) for peer in uppers.values()}
        self._hosts = frozenset(peer.host for peer in uppers.values())
        self._uppers = {peer.id: self._upper(peer, ()) for peer in uppers.values()}
        self._guard = guard or LoopGuard(us.id.digits, above=uppers)
        self._guard.exported = self._exported
        self._questions: Questions[int, _Asked] = Questions()
        placer = Placer(us, endpoint, calls, pool, media_address, self._legs, store, loop.time)
        self.voices = Voices(placer, self._media_networks)
        self.controls = Controls(gate, ptz, loop=loop, correlation=self._correlation, counts=self.counts)
        self._timer = Timer(loop, self._deadline, self._turn)

    def _upper(self, peer: UpperPeer, pairs: Sequence[tuple[str, str, str]]) -> _Upper:
        share = Share(peer, self.us, self.index, self._store, pairs)
        registrant = Registrant(
            peer,
            self._endpoint,
            password=lambda: self._secrets(peer.id),
            keepalive=lambda: keepalive.write(
                sn=self._serials.next(), device_id=self.us.id.digits, charset=peer.charset
            ),
            random=self._random,
            time=self._loop.time,
            lost=lambda _problem: self._lost(peer.id),
        )
        return _Upper(peer, share, registrant, CatalogAnswers(share, self.us, self._endpoint, self._store))

    def _lost(self, upper: PlatformId) -> None:
        self._legs.lose(upper, "upper lost")
        self.controls.lose(upper)

    # What displays and the composition root ask

    @property
    def legs(self) -> int:
        return len(self._legs)

    def registered(self, upper: PlatformId) -> bool:
        found = self._uppers.get(upper)
        return found is not None and found.registrant.registered

    def state(self) -> list[UpperView]:
        return [
            UpperView(
                upper=upper,
                registered=found.registrant.registered,
                missed=found.registrant.missed,
                shared=len(found.share.mapping),
                pages=found.answers.counts["pages"],
                problem=found.registrant.problem,
                deviations=self._deviations.of(upper),
            )
            for upper, found in self._uppers.items()
        ]

    def shown(self, channel: ChannelId) -> list[str]:
        """What our uppers call a channel; nothing where none was shown it."""
        names = (found.share.shown(channel) for found in self._uppers.values())
        return [name for name in names if name is not None]

    def known_as(self, shown: str) -> list[ChannelId]:
        """The channels that our uppers call so."""
        return [ChannelId(PlatformId(peer), PeerName(name)) for peer, name in self._exported(shown)]

    def _exported(self, shown: str) -> list[Key]:
        keys = (found.share.mapping.key(shown) for found in self._uppers.values())
        return [key for key in keys if key is not None]

    def counters(self) -> Counter[str]:
        total = self.counts.copy()
        for found in self._uppers.values():
            total.update({f"catalog_{name}": n for name, n in found.answers.counts.items()})
        return total

    # Life

    async def restore(self) -> None:
        """Take up what the store holds: the ids that uppers were shown, and rows that came through."""
        for upper, found in list(self._uppers.items()):
            pairs = await self._store.mapping(upper)
            if pairs:
                self._uppers[upper] = self._upper(found.peer, pairs)
        for peer, rows in await self._store.catalog():
            if peer not in self._lowers:
                self._readmit(peer, rows)

    def _readmit(self, peer: PlatformId, rows: Rows) -> None:
        """Show again what today's rules let through; forget the rest, they may have become stricter."""
        for start in range(0, len(rows), ROWS_PER_CROSSING):
            part = rows.slice(start, start + ROWS_PER_CROSSING)
            batch = CatalogBatch(correlation=0, origin=peer, change="present", rows=part)
            passes = self._gate.readmit(batch).passes
            kept = passes.rows if isinstance(passes, CatalogBatch) else part.slice(0, 0)
            kept = without(kept, self._guard.arrived(peer, kept))
            self.index.apply(peer, kept, complete=False)
            if len(kept) < len(part):
                lost = {*part.ids()} - {*kept.ids()}
                self._store.save_rows(peer, part.slice(0, 0), sorted(lost))

    async def run(self) -> None:
        """Register, keep alive and answer until cancelled; the end unregisters."""
        async with asyncio.TaskGroup() as tasks:
            for found in self._uppers.values():
                tasks.create_task(found.registrant.run(), name=f"registrant {found.peer.id}")
                tasks.create_task(found.answers.run(), name=f"catalog for {found.peer.id}")
            tasks.create_task(self._timer.run(), name="questions of uppers")

    # Requests from above

    def owns(self, event: Event) -> bool:
        """Is this request of one of our uppers, by its source and its From?"""
        return self._upper_of(event) is not None

    def resolves(self, event: Event) -> bool:
        """Does this request of one of our uppers name something that it was shown?"""
        upper = self._upper_of(event)
        return upper is not None and upper.share.resolve(event.uri_user) is not None

    def _upper_of(self, event: Event) -> _Upper | None:
        """By From user from within its networks; under another name only from exactly its address (Q09).

        A host that is an upper's own speaks for no other upper, whatever their networks say.
        """
        host = event.source[0]
        name = self._names.get(event.from_user)
        if name is None:
            upper = self._by_address.get(event.source)
            return None if upper is None else self._uppers[upper]
        if host in self._hosts and (host, name) not in self._homes:
            return None
        return self._uppers[name] if host in self._networks[name] else None

    def messages(self, pairs: Sequence[tuple[Event, Head]]) -> Sequence[Reply]:
        """Answer a run at once, by its heads; business answers follow as messages of their own."""
        return [self._reply(event, self._message(event, head)) for event, head in pairs]

    def _reply(self, event: Event, said: int | Refusal) -> Reply:
        if isinstance(said, int):
            return (event.transaction, said)
        return (event.transaction, said.status, said.headers(self._endpoint.local[0]))

    def _message(self, event: Event, head: Head) -> int | Refusal:
        upper = self._upper_of(event)
        if upper is None:
            return 403
        if head.root == "Notify" and head.cmd_type == broadcast.CMD_TYPE:
            return self._announced(event, head, upper)
        if head.root in ("Notify", "Response"):
            self.counts["keepalives" if head.cmd_type == "Keepalive" else "notices_dropped"] += 1
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
        asked = _Asked(upper, head.sn, event.from_user, head.device_id, kind(target=channel))
        if own:
            self._loop.call_soon(self._answer_ourselves, asked)
            return 200
        return self._ask(asked)

    def _announced(self, event: Event, head: Head, upper: _Upper) -> int:
        """Somebody above wants to speak. Where nobody can listen the answer says so, not a status (6.2)."""
        if not (head.sn.isdigit() and len(head.sn) <= 10):
            return 400
        channel = upper.share.resolve(head.device_id)
        known = channel is not None and head.source_id != "" and is_device(head.device_id)
        asked = _Asked(
            upper,
            head.sn,
            event.from_user,
            head.device_id,
            AskBroadcast(target=channel if channel is not None and known else self._ourselves),
            Voice(upper.peer, head.source_id, head.device_id),
        )
        if not known:
            self._loop.call_soon(self._answer_for, asked)
            return 200
        return self._ask(asked)

    def _unknown(self, head: Head, upper: PlatformId) -> int:
        """No rule can allow what we don't carry; an auditor sees that it was tried."""
        self.counts["commands_unknown"] += 1
        what = "/".join(filter(None, (head.root, head.cmd_type, head.operation)))
        self._gate.note("command-unknown", upper, command=what, target=head.device_id)
        return 403

    def _answer_ourselves(self, asked: _Asked) -> None:
        payload = about_us(asked.question, self.us, shared=asked.upper.share.size, wall=self._wall())
        if payload is not None:
            self._respond(asked, payload)

    def _ask(self, asked: _Asked) -> int:
        """Send a question about one channel through the gate; its status tells what the near door says."""
        correlation = self._correlation()
        due = self._loop.time() + ASK_SECONDS + LINK_SECONDS
        if not self._questions.ask(correlation, asked, due=due):
            return 503
        verdict = self._gate.send(
            Ask(
                correlation=correlation,
                origin=asked.upper.peer.id,
                seconds_left=ASK_SECONDS,
                payload=asked.question,
            )
        )
        if verdict.passes is None:
            self._questions.take(correlation)
            return FAILURE_STATUS[verdict.failure]
        if asked.voice is not None:
            self.voices.announce(correlation, asked.voice, due=due)
        self._timer.plan()
        return 200

    def _respond(self, asked: _Asked, payload: Command) -> None:
        """Send the upper its business answer, under its own SN and the id it asked for."""
        upper = asked.upper.peer
        body = answer_body(payload, sn=asked.sn, shown=asked.shown, charset=upper.charset)
        if body is None:
            self.counts["answers_mismatched"] += 1
            return
        self._endpoint.send(
            self._endpoint.request(
                "MESSAGE",
                Party(asked.asker, upper.domain),
                (upper.host, upper.port),
                body=body,
                content_type=CONTENT_TYPE,
            )
        )

    # From the other side

    def linked(self, up: bool) -> None:
        """Nobody is beyond who could bring a picture, so every channel is shown as offline; or one is again.

        Who comes says next which peers are not there; where no rule lets that through they all are.
        """
        self.controls.clear()
        for peer in self.index.peers():
            self.index.set_online(peer, up)

    def deliver(self, crossing: Crossing) -> None:
        """Take what the gate let through."""
        match crossing:
            case CatalogBatch():
                self._take_rows(crossing)
            case Notice(payload=Presence(states=states)):
                for state in states:
                    self.index.set_online(state.peer, state.online)
            case Answer():
                self._take_answer(crossing)
            case NoAnswer():
                self._answer_for(self._questions.take(crossing.correlation))
            case _:
                self.counts["crossings_dropped"] += 1

    def _take_rows(self, batch: CatalogBatch) -> None:
        present, gone = batch.rows.slice(0, 0), list[str]()
        match batch.change:
            case "present":
                present, gone = self._admit(batch.origin, batch.rows)
            case "gone":
                gone = batch.rows.ids()
                self.index.remove(batch.origin, gone)
            case "anew":
                self.index.begin(batch.origin)
            case "whole":
                gone = self.index.finish(batch.origin).ids()
            case _:
                assert_never(batch.change)
        if len(present) or gone:
            self._store.save_rows(batch.origin, present, gone)
            for upper in self._uppers.values():
                upper.share.changed()

    def _admit(self, peer: PlatformId, rows: Rows) -> tuple[Rows, list[str]]:
        """Take rows but those that went out through us; what was taken before one knew is withdrawn."""
        unknown = not self._guard.known(peer)
        echoes = self._guard.arrived(peer, rows)
        present = self.index.apply(peer, without(rows, echoes), complete=False).present()
        if not echoes:
            return present, []
        self.counts["echoes"] += len(echoes)
        if unknown and self._guard.known(peer):
            echoes |= self._guard.arrived(peer, self.index.rows(peer))
            log.warning("catalog.echoes", extra={"peer": peer, "rows": len(echoes)})
        return present, self.index.remove(peer, sorted(echoes)).ids()

    def _take_answer(self, answer: Answer[Command]) -> None:
        asked = self._questions.take(answer.correlation)
        if asked is None:
            return
        if next(subjects(answer.payload), None) != next(subjects(asked.question), None):
            self.counts["answers_mismatched"] += 1
            self._answer_for(asked)
            return
        self._respond(asked, answer.payload)

    def _answer_for(self, asked: _Asked | None) -> None:
        """Say ERROR in the place of a device that did not answer."""
        payload = None if asked is None else no_answer(asked.question)
        if asked is not None and payload is not None:
            self._respond(asked, payload)

    def _deadline(self) -> float | None:
        deadlines = (self._questions.deadline, self.voices.deadline)
        return min((each for each in deadlines if each is not None), default=None)

    def _turn(self, now: float) -> None:
        self.voices.advance(now)
        for asked in self._questions.advance(now):
            self.counts["answers_missing"] += 1
            self._answer_for(asked)

    # Media

    def wish(self, event: Event) -> Wish | Refusal:
        """What an INVITE wants, or why it gets nothing."""
        upper = self._upper_of(event)
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
