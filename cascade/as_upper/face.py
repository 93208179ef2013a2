"""Our face towards those below: they register with us, we query their catalogs and play their channels.

The shell around `Registrar`, `Standing`, `Catalogs`, `Asker` and `Placer`: it hands them runs of events
and the time, and does what the registrar decided. No coroutine, task or log line for a message that goes
well.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from random import Random, SystemRandom
from typing import Final

from cascade.accepting import Acceptor, Refusal, Wish
from cascade.addresses import Listener
from cascade.as_upper.adoption import Adoption
from cascade.as_upper.alarms import Alarms
from cascade.as_upper.attempts import Attempts
from cascade.as_upper.callers import Callers, media_networks
from cascade.as_upper.catalogs import Catalogs
from cascade.as_upper.controls import Controls
from cascade.as_upper.faults import Faults
from cascade.as_upper.following import Following
from cascade.as_upper.herald import Herald
from cascade.as_upper.leases import Change, Lease
from cascade.as_upper.notices import Notices
from cascade.as_upper.questions import Asker, party_of, target_of
from cascade.as_upper.registering import answers, beijing_time
from cascade.as_upper.registrar import Registrar
from cascade.as_upper.standing import Standing
from cascade.crossing import Answer, Ask, Crossing, NoAnswer, Notice
from cascade.deviations import Deviations
from cascade.errors import StreamFailed
from cascade.leg import Legs
from cascade.limits import Bounds
from cascade.manscdp import Alive, Head, alarm
from cascade.model.commands import Command, Control
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.index import Index
from cascade.model.serials import Serials
from cascade.model.ssrc import SsrcPool
from cascade.outbox import USUAL_QUOTA, Quota
from cascade.peers import USUAL_PTZ, LowerPeer, PeerView, PtzTerms, Us
from cascade.placing import Invitation, Placer
from cascade.ports import Agreed, Gate, Leg, Store
from cascade.provenance import LoopGuard
from cascade.sparse import Sparse
from cascade.timer import Timer
from sip.aio.calls import Calls
from sip.endpoint import Endpoint
from sip.events import Event, Reply, registrations
from sip.uri import host_port

log = logging.getLogger(__name__)

ASKS_FROM: Final = 1 << 32
"""The numbers of our questions; those of the face towards our uppers stay below."""


class AsUpper:
    """One side's lowers. Deciders and `deliver` are called on the loop; `run` lives as long as the side."""

    def __init__(
        self,
        *,
        us: Us,
        endpoint: Endpoint,
        calls: Calls,
        peers: Mapping[PlatformId, LowerPeer],
        gate: Gate,
        index: Index,
        store: Store,
        media_address: str,
        loop: asyncio.AbstractEventLoop,
        wall: Callable[[], float],
        random: Random | None = None,
        listeners: Sequence[Listener] = (),
        guard: LoopGuard | None = None,
        ptz: PtzTerms = USUAL_PTZ,
        quota: Quota = USUAL_QUOTA,
        bounds: Bounds | None = None,
    ) -> None:
        bounds = bounds or Bounds()
        chance = random or SystemRandom()
        guard = guard or LoopGuard(us.id.digits)
        self.us = us
        self.peers = dict(peers)
        self.counts: Counter[str] = Counter()
        self._endpoint = endpoint
        self._gate = gate
        self.index = index
        self._store = store
        self._loop = loop
        self._wall = wall
        self._origin = PlatformId(us.id.digits)
        self._herald = Herald(
            gate,
            loop,
            origin=self._origin,
            correlation=count(chance.getrandbits(31)).__next__,
            online=lambda peer: self._standing.online(peer),
            rows=index.rows,
            told=lambda peer, rows: self._standing.as_told(peer, rows),
        )
        self._serials = Serials(lambda: chance.getrandbits(31))
        self._registrar = Registrar(self.peers)
        self._following = Following(
            self._registrar, endpoint.stack, store, loop, wall, self._follow_one, lambda: self._timer.plan()
        )
        self._asker = Asker(endpoint, gate, self._serials, self._origin, bounds)
        self._legs = Legs()
        self._media_networks = media_networks(listeners)
        pool = SsrcPool(us.id, random=chance)
        self._deviations = Deviations()
        self._placer = Placer(
            us,
            endpoint,
            calls,
            pool,
            media_address,
            self._legs,
            store,
            loop.time,
            deviates=self._deviations.note,
        )
        self.acceptor = Acceptor(media_address, pool, self._legs, store, loop.time)
        self.attempts = Attempts(self.peers, loop.time, gate, bounds, loop.call_soon)
        self._hold_ups = Sparse(loop.time)
        self._faults = Faults(loop.time, self._deviations.note)
        self._standing = Standing(
            self.peers,
            self._registrar,
            self._faults,
            index,
            self._legs,
            self._herald,
        )
        self._catalogs = Catalogs(
            endpoint=endpoint,
            index=index,
            store=store,
            herald=self._herald,
            guard=guard,
            deviations=self._deviations,
            serials=self._serials,
            at=self._registrar.address,
            time=loop.time,
            soon=loop.call_soon,
            plan=lambda: self._timer.plan(),
            gap=lambda peer: self._subscriptions.gap(peer),
            bounds=bounds,
        )
        self._notices = Notices(
            endpoint=endpoint,
            registrar=self._registrar,
            catalogs=self._catalogs,
            asker=self._asker,
            deviations=self._deviations,
            serials=self._serials,
            random=chance,
            at=self._registrar.address,
            loop=loop,
            counts=self.counts,
            plan=lambda: self._timer.plan(),
            bounds=bounds,
        )
        self._subscriptions = self._notices.subscriptions
        self.last_lease = self._registrar.last
        self.syncing = self._catalogs.progress
        self.subscribed = self._subscriptions.views
        self.alarms = Alarms(
            endpoint=endpoint,
            gate=gate,
            index=index,
            store=store,
            guard=guard,
            quota=quota,
            loop=loop,
            wall=wall,
            letter=lambda: chance.getrandbits(62) + 1,
            correlation=count(ASKS_FROM + chance.getrandbits(31)).__next__,
            telling=self._catalogs.telling,
            deviations=self._deviations,
            counts=self.counts,
            bounds=bounds,
        )
        self._callers = Callers(self._registrar, self._asker, self._media_networks, us.id.digits)
        self.controls = Controls(
            asker=self._asker,
            standing=self._standing,
            knows=self._knows,
            store=store,
            moving_seconds=ptz.moving_seconds,
            time=loop.time,
            counts=self.counts,
            plan=lambda: self._timer.plan(),
            bounds=bounds,
        )
        self._adoption = Adoption(
            peers=self.peers,
            registrar=self._registrar,
            standing=self._standing,
            catalogs=self._catalogs,
            subscriptions=self._subscriptions,
            movements=self.controls.movements,
            legs=self._legs,
            herald=self._herald,
            index=index,
            store=store,
            follow=self._follow_all,
        )
        self._timer = Timer(loop, self._deadline, self._turn, self._held_up)

    # What displays and the composition root ask

    @property
    def bound(self) -> int:
        """How many lowers are online."""
        return len(self._registrar)

    @property
    def subscriptions(self) -> int:
        """How many of ours are there."""
        return len(self._subscriptions)

    @property
    def legs(self) -> int:
        return len(self._legs)

    def online(self, peer: PlatformId) -> bool:
        return self._standing.online(peer)

    def lease(self, peer: PlatformId) -> Lease | None:
        return self._registrar.lease(peer)

    def state(self) -> list[PeerView]:
        return [self.view(peer) for peer in self.peers]

    def view(self, peer: PlatformId) -> PeerView:
        lease = self._registrar.lease(peer)
        return PeerView(
            peer=peer,
            online=self.online(peer),
            address="" if lease is None else host_port(lease.host, lease.port),
            rows=self.index.count(peer),
            syncing=self._catalogs.progress(peer),
            outcome=self._catalogs.outcome(peer),
            fault=self._standing.fault(peer).itself,
            faulty=self._standing.fault(peer).children,
            deviations=self._deviations.of(peer),
        )

    def counters(self) -> Counter[str]:
        return (
            self.counts
            + self._faults.counts
            + Counter({f"registrar_{name}": n for name, n in self._registrar.counts.items()})
            + Counter({f"registrations_{name}": n for name, n in self.attempts.counts.items()})
            + Counter({f"catalog_{name}": n for name, n in self._catalogs.counts.items()})
            + Counter({f"questions_{name}": n for name, n in self._asker.counts.items()})
        )

    # Life

    async def restore(self) -> None:
        """Take up what the store holds: leases, and the rows of peers that are still configured."""
        for peer, rows in await self._store.catalog():
            if peer in self.peers:
                self.index.apply(peer, rows, complete=False)
        self._registrar.restore(await self._store.bindings(), self._loop.time(), self._wall())
        self._following.record()
        self._standing.restore()
        await self.controls.restore(self.peers)
        await self.alarms.restore()

    async def run(self) -> None:
        """Keep leases, catalogs and deadlines until cancelled."""
        self._follow()
        self.offer_all()
        self.controls.stop_owed()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.alarms.run(), name="alarms")
                tasks.create_task(self._timer.run(), name="deadlines of lowers")
        finally:
            self._subscriptions.close()
            self._herald.flush()
            self.halt()
            await self.controls.settled()

    def halt(self) -> None:
        """Nobody is beyond who could stop a camera, or we are going: all that move stop now."""
        self.controls.halt()

    def offer_all(self) -> None:
        """Tell the other side all anew; see `Standing`."""
        self._standing.offer_all()

    def adopt(self, peers: Mapping[PlatformId, LowerPeer], ptz: PtzTerms, quota: Quota) -> None:
        """These are our lowers from now on; see `Adoption`."""
        self._adoption.take(peers)
        self.alarms.outbox.quota = quota
        self.controls.movements.adopt(ptz.moving_seconds)
        self._timer.plan()

    # Requests from below

    def owns(self, event: Event) -> bool:
        """Is this request of one of our lowers, by its registration, its source and its From?"""
        return self._registrar.claims(event.from_user, event.source)

    def registers(self, events: list[Event]) -> Sequence[Reply]:
        wall = self._wall()
        run = registrations(events)
        decisions = self._registrar.decide(run, self._loop.time(), wall)
        if self._registrar.stirred:
            self._follow()
        decisions = self.attempts.review(events, run, decisions, wall)
        return answers(decisions, beijing_time(wall))

    def keepalives(self, run: Sequence[Alive]) -> tuple[list[Reply], list[Event]]:
        """Answer keepalives that say OK; those of nobody below are given back."""
        replies, others = self._registrar.keepalives(run)
        if self._registrar.stirred:
            self._follow()
        self._standing.hear_well(run)
        return replies, others

    def messages(self, pairs: Sequence[tuple[Event, Head]]) -> Sequence[Reply]:
        """Answer a run at once; what it says is read afterwards. Each event is one that `owns` knows."""
        unwell: list[Event] = []
        replies: list[Reply] = []
        for event, head in pairs:
            if head.root == "Notify" and head.cmd_type == "Keepalive":
                unwell.append(event)
            elif (reply := self._other_message(event, head)) is not None:
                replies.append(reply)
        if unwell:
            run = [
                (event, event.transaction, event.from_user, event.source, event.arrived) for event in unwell
            ]
            replies += self._registrar.keepalives(run)[0]
            self._follow()
            self._standing.hear(unwell)
        return replies

    def _other_message(self, event: Event, head: Head) -> Reply | None:
        """The answer to a MESSAGE that is no keepalive; None: it comes once an alarm is kept."""
        lease = self._registrar.lease_of(event.from_user, event.source)
        if lease is None or not lease.online:
            return (event.transaction, 403)
        if head.root == "Notify" and head.cmd_type == alarm.CMD_TYPE:
            return self.alarms.answer(event, head, lease)
        return (event.transaction, self._status(event, head, lease))

    def _status(self, event: Event, head: Head, lease: Lease) -> int:
        if head.root == "Response":
            self._notices.hearing.take(lease.peer, head, event.body)
            return 200
        if head.root == "Notify":
            self.counts["notify_dropped"] += 1
            return 200
        self.counts["commands_refused"] += 1  # nobody below may command us
        return 403

    def notified(self, event: Event, head: Head | None) -> Reply | None:
        """The answer to a NOTIFY of one that `owns` knows; None: it comes once an alarm is kept."""
        return self._notices.take(event, head, self.alarms)

    # Presence

    def _follow(self) -> None:
        """Do what the registrar's changes ask for: tell, ask for catalogs, end lost legs; store them."""
        if self._following.follow():
            self._timer.plan()
        else:
            self._timer.plan_for(self._registrar.deadline)

    def _follow_all(self) -> None:
        self._following.follow_all()
        self._timer.plan()

    def _follow_one(self, change: Change) -> None:
        peer = change.peer
        if change.moved_to:
            self._gate.note(
                "binding-moved", peer, why=change.why, before=change.moved_from, after=change.moved_to
            )
            if change.why == "moved":
                self._legs.lose(peer, "peer moved")
            self._subscriptions.start(self.peers[peer])
            return
        if change.online:
            self._deviations.note(peer, "never-registers-again", change.why == "revived")
            self._subscriptions.start(self.peers[peer])
            self._catalogs.start(self.peers[peer])
            self._standing.came(peer)
            self.controls.stop_owed()
        else:
            self._subscriptions.stop(peer)
            self._catalogs.stop(peer)
            self._standing.went(peer)

    # Questions from the other side

    def deliver(self, crossing: Crossing) -> None:
        """Take what the gate let through. A question has exactly one Answer or NoAnswer, a control none."""
        match crossing:
            case Ask():
                self._ask(crossing)
            case Notice(payload=Control() as control):
                self.controls.take(control)
            case Answer() | NoAnswer():
                self.alarms.answered(crossing)
            case _:
                self.counts["crossings_dropped"] += 1

    def _ask(self, crossing: Ask[Command]) -> None:
        target = target_of(crossing)
        if target is None:
            self._asker.no_answer(crossing, "refused")
        elif not self._knows(target):
            self._asker.no_answer(crossing, "not-found")
        elif (lease := self._standing.reachable(target.peer)) is None:
            self._asker.no_answer(crossing, "offline")
        else:
            self._asker.ask(crossing, lease.peer, lease.address, self._loop.time())
            self._timer.plan()

    def _knows(self, channel: ChannelId) -> bool:
        if channel.peer not in self.peers:
            return False
        itself = channel.name == channel.peer
        return itself or self.index.find(channel.peer, channel.name) is not None

    # Media

    @asynccontextmanager
    async def play(
        self, channel: ChannelId, *, stream_number: int, port: int, expect: Callable[[Agreed], None]
    ) -> AsyncIterator[Leg]:
        """Hold a leg that brings media of `channel` to our `port`; see `Placer.place`.

        Raises:
            StreamFailed: no leg; `failure` says of what kind.
        """
        peer = self.peers.get(channel.peer)
        if peer is None or not self._knows(channel):
            raise StreamFailed("not-found", f"{channel} is not in our catalog")
        lease = self._standing.reachable(channel.peer)
        if lease is None:
            raise StreamFailed("offline", f"{channel.peer} is not registered, or not well")
        invitation = Invitation(
            peer=peer,
            at=lease.address,
            to=party_of(peer, channel.name, lease.address),
            sender=channel.name,
            receiver=self.us.id.digits,
            networks=self._media_networks(peer),
            stream_number=stream_number,
        )
        async with self._placer.place(invitation, port=port, expect=expect) as leg:
            yield leg

    def awaits(self, event: Event) -> bool:
        """May the sender of this INVITE call us now? Only for a voice that was announced to it (Q94)."""
        return self._callers.awaited(event)

    def wish(self, event: Event) -> Wish | Refusal:
        """The voice that an INVITE of a lower is to bring it, or why it gets nothing."""
        wish = self._callers.wish(event)
        if isinstance(wish, Refusal):
            self.counts[f"invites_{wish.status}"] += 1
        return wish

    # Time

    def _deadline(self) -> float | None:
        machines = (self._registrar, self._subscriptions, self._catalogs, self._asker, self.controls)
        deadlines = [each.deadline for each in machines]
        return min([each for each in deadlines if each is not None], default=None)

    def _held_up(self, seconds: float, now: float) -> None:
        """Our own loop stood still: nobody below is to be blamed for it (Q15)."""
        self._registrar.held_up(seconds, now)
        if self._hold_ups.due("our own loop"):
            log.warning("loop.held_up", extra={"seconds": round(seconds, 1), "leases": self.bound})

    def _turn(self, now: float) -> None:
        """Whatever is due."""
        self._registrar.advance(now)
        self._follow()
        self.controls.advance(now)
        self._subscriptions.advance(now)
        self._catalogs.advance(now)
        self._asker.advance(now)
