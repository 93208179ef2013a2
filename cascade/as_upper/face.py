"""Our face towards those below: they register with us, we query their catalogs and play their channels.

The shell around `Registrar`, `CatalogSync`, `Questions` and `Player`: it hands them runs of events
and the time, sends what they decided, and passes on through the gate what the other side must know.
No coroutine, task or log line for a message that goes well.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from random import Random, SystemRandom

from cascade.addresses import Listener, Networks
from cascade.as_upper.faults import Faults
from cascade.as_upper.herald import Herald
from cascade.as_upper.player import Player
from cascade.as_upper.questions import Asker, catalog_query, target_of
from cascade.as_upper.refusals import Refusals, Sparse
from cascade.as_upper.registrar import Change, Registrar, answer, beijing_time
from cascade.as_upper.sync import CatalogSync, Finished, Query
from cascade.crossing import Ask, Crossing, Notice
from cascade.errors import StreamFailed
from cascade.leg import Legs
from cascade.manscdp import Head, catalog, xml
from cascade.model.commands import Command, Control
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.index import Index
from cascade.model.serials import Serials
from cascade.model.ssrc import SsrcPool
from cascade.peers import LowerPeer, PeerView, Us
from cascade.ports import Agreed, Gate, Leg, Store
from cascade.timer import Timer
from sip.aio.calls import Calls
from sip.endpoint import Endpoint, Outgoing, Then
from sip.errors import PeerError
from sip.events import Event, Kind, Reply

log = logging.getLogger(__name__)


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
    ) -> None:
        chance = random or SystemRandom()
        self.us = us
        self.peers = peers
        self.counts: Counter[str] = Counter()
        self._endpoint = endpoint
        self._gate = gate
        self.index = index
        self._store = store
        self._loop = loop
        self._wall = wall
        self._origin = PlatformId(us.id.digits)
        self._herald = Herald(
            gate, loop, origin=self._origin, correlation=count(chance.getrandbits(31)).__next__
        )
        self._serials = Serials(lambda: chance.getrandbits(31))
        self._registrar = Registrar(peers)
        self._sync = CatalogSync(self._serials)
        self._asker = Asker(endpoint, gate, self._serials, self._origin)
        self._legs = Legs()
        self._media_networks = {
            peer.id: Networks(peer.media_networks or peer.networks, listeners) for peer in peers.values()
        }
        pool = SsrcPool(us.id, random=chance)
        self._player = Player(us, endpoint, calls, pool, media_address, self._legs, store, loop.time)
        self._responses: list[tuple[PlatformId, Head, bytes]] = []
        self._outcomes: dict[PlatformId, str] = {}
        self._refusals = Refusals(loop.time)
        self._unreadable = Sparse(loop.time)
        self._faults = Faults(loop.time)
        self._timer = Timer(loop, self._deadline, self._turn)

    # What displays and the composition root ask

    @property
    def bound(self) -> int:
        """How many lowers are online."""
        return len(self._registrar)

    @property
    def legs(self) -> int:
        return len(self._legs)

    def online(self, peer: PlatformId) -> bool:
        return self._registrar.lease(peer) is not None

    def state(self) -> list[PeerView]:
        return [self._view(peer) for peer in self.peers]

    def _view(self, peer: PlatformId) -> PeerView:
        lease = self._registrar.lease(peer)
        return PeerView(
            peer=peer,
            online=lease is not None,
            address="" if lease is None else f"{lease.host}:{lease.port}",
            rows=self.index.count(peer),
            syncing=self._sync.progress(peer),
            outcome=self._outcomes.get(peer, ""),
            fault=self._faults.of(peer).itself,
            faulty=self._faults.of(peer).children,
        )

    def counters(self) -> Counter[str]:
        return (
            self.counts
            + self._faults.counts
            + Counter({f"registrar_{name}": n for name, n in self._registrar.counts.items()})
            + Counter({f"catalog_{name}": n for name, n in self._sync.counts.items()})
            + Counter({f"questions_{name}": n for name, n in self._asker.counts.items()})
        )

    # Life

    async def restore(self) -> None:
        """Take up what the store holds: leases, and the rows of peers that are still configured."""
        for peer, rows in await self._store.catalog():
            if peer in self.peers:
                self.index.apply(peer, rows, complete=False)
        self._registrar.restore(await self._store.bindings(), self._loop.time(), self._wall())
        for peer in self.peers:
            self.index.set_online(peer, self.online(peer))

    async def run(self) -> None:
        """Keep leases, catalogs and deadlines until cancelled."""
        self._follow()
        self.offer_all()
        try:
            await self._timer.run()
        finally:
            self._herald.flush()

    def offer_all(self) -> None:
        """Tell the other side of every peer and every row once more: it may not have heard, or forgotten."""
        for peer in self.peers:
            self._herald.presence(peer, self.online(peer))
        for name in self.index.peers():
            self._herald.present(PlatformId(name), self.index.rows(name))

    # Requests from below

    def owns(self, event: Event) -> bool:
        """Is this request of one of our lowers, by its registration, its source and its From?"""
        return self._registrar.lease_of(event.from_user, event.source) is not None

    def registers(self, events: Sequence[Event]) -> Sequence[Reply]:
        wall = self._wall()
        decisions = self._registrar.decide(events, self._loop.time(), wall)
        self._follow()
        self._refusals.note(events)
        date = beijing_time(wall)
        return [answer(decision, date) for decision in decisions]

    def messages(self, pairs: Sequence[tuple[Event, Head]]) -> Sequence[Reply]:
        """Answer a run at once; what it says is read afterwards. Each event is one that `owns` knows."""
        keepalives: list[Event] = []
        said: list[Event] = []  # those among them that say more than OK, or come after one that did
        replies: list[Reply] = []
        for event, head in pairs:
            if head.root == "Notify" and head.cmd_type == "Keepalive":
                keepalives.append(event)
                if not head.well or self._faults:
                    said.append(event)
            else:
                replies.append((event.transaction, self._other_message(event, head)))
        if keepalives:
            replies += self._registrar.keepalives(keepalives)
            self._follow()
            self._faults.hear(said, self._registrar.lease_of)
        return replies

    def _other_message(self, event: Event, head: Head) -> int:
        """The status of a MESSAGE that is no keepalive."""
        lease = self._registrar.lease_of(event.from_user, event.source)
        if lease is None or not lease.online:
            return 403
        if head.root == "Response":
            if not self._responses:
                self._loop.call_soon(self._read_responses)
            body = xml.recoded(event.body, lease.peer.charset_in)
            self._responses.append((lease.peer.id, head, body))
            return 200
        if head.root == "Notify":
            self.counts["notify_dropped"] += 1
            return 200
        self.counts["commands_refused"] += 1  # nobody below may command us
        return 403

    def _read_responses(self) -> None:
        responses, self._responses = self._responses, []
        for peer, head, body in responses:
            try:
                if head.cmd_type == "Catalog":
                    self._take_page(peer, head, body)
                else:
                    self._asker.take(peer, head, body)
            except (PeerError, ValueError) as error:
                self.counts["responses_unreadable"] += 1
                if self._unreadable.due(peer):
                    log.warning(
                        "response.unreadable",
                        extra={"peer": peer, "command": head.cmd_type, "reason": str(error)},
                    )
        self._timer.plan()

    # Presence

    def _follow(self) -> None:
        """Do what the registrar's changes ask for: tell, store, ask for catalogs, end lost legs."""
        now = self._loop.time()
        changes = self._registrar.changes()
        for change in changes:
            self._follow_one(change, now)
        if changes:  # one line for a run, however many come back after a power cut
            told = [(change.peer, change.why) for change in changes[:10]]
            log.info("peers.changed", extra={"count": len(changes), "first": told})
        kept, gone = self._registrar.bindings(now, self._wall())
        if kept:
            self._store.save_bindings(kept)
        for peer in gone:
            self._store.drop_binding(peer)
        self._timer.plan()

    def _follow_one(self, change: Change, now: float) -> None:
        peer = change.peer
        if change.moved_to:
            self._gate.note(
                "binding-moved", peer, why=change.why, before=change.moved_from, after=change.moved_to
            )
            if change.why == "moved":
                self._legs.lose(peer, "peer moved")
            return
        if change.online:
            self._sync.start(self.peers[peer], now, known=self.index.count(peer))
        else:
            self._faults.forget(peer)
            self._sync.stop(peer)
            self._legs.lose(peer, "peer offline")
        self.index.set_online(peer, change.online)
        self._herald.presence(peer, change.online)

    # Catalogs

    def _take_page(self, peer: PlatformId, head: Head, body: bytes) -> None:
        if not self._sync.expects(peer, head.sn):
            return
        finished = self._sync.take(peer, catalog.read(body), self._loop.time())
        if finished is not None:
            self._finish(finished)

    def _catalog_query(self, query: Query) -> tuple[Outgoing, Then] | None:
        lease = self._registrar.lease(query.peer.id)
        if lease is None:
            return None

        def then(event: Event) -> None:
            if event.kind != Kind.RESPONSE or event.status >= 300:
                finished = self._sync.failed(query.peer.id, query.sn, self._loop.time())
                if finished is not None:
                    self._finish(finished)

        return catalog_query(self._endpoint, query.peer, lease.address, query.sn), then

    def _finish(self, finished: Finished) -> None:
        peer = finished.peer
        self._outcomes[peer] = finished.outcome
        delta = self.index.apply(peer, finished.rows, complete=finished.complete)
        log.log(
            logging.INFO if finished.complete else logging.WARNING,
            "catalog.synced",
            extra={
                "peer": peer,
                "outcome": finished.outcome,
                "got": len(finished.rows),
                "expected": finished.expected,
                "added": delta.added,
                "changed_rows": delta.changed,
                "removed": delta.removed,
            },
        )
        present, gone = delta.present(), delta.gone()
        if len(present) or len(gone):
            self._store.save_rows(peer, present, gone.ids())
        self._herald.gone(peer, gone)
        self._herald.present(peer, present, former=delta.former())
        self._timer.plan()

    # Questions from the other side

    def deliver(self, crossing: Crossing) -> None:
        """Take what the gate let through. A question has exactly one Answer or NoAnswer, a control none."""
        match crossing:
            case Ask():
                self._ask(crossing)
            case Notice(payload=Control() as control):
                self._control(control)
            case _:
                self.counts["crossings_dropped"] += 1

    def _control(self, control: Control) -> None:
        """Tell the peer whose channel it is; without a lease it is too late to."""
        target = control.target
        lease = self._registrar.lease(target.peer)
        if target.peer not in self.peers or not self._knows(target) or lease is None:
            self.counts["controls_dropped"] += 1
            log.info("control.dropped", extra={"peer": target.peer, "action": control.action})
            return
        self._asker.control(control, lease.peer, lease.address)

    def _ask(self, crossing: Ask[Command]) -> None:
        target = target_of(crossing)
        lease = None if target is None else self._registrar.lease(target.peer)
        if target is None:
            self._asker.no_answer(crossing, "refused")
        elif target.peer not in self.peers or not self._knows(target):
            self._asker.no_answer(crossing, "not-found")
        elif lease is None:
            self._asker.no_answer(crossing, "offline")
        else:
            self._asker.ask(crossing, lease.peer, lease.address, self._loop.time())
            self._timer.plan()

    def _knows(self, channel: ChannelId) -> bool:
        itself = channel.name == channel.peer
        return itself or self.index.find(channel.peer, channel.name) is not None

    # Media

    @asynccontextmanager
    async def play(
        self, channel: ChannelId, *, stream_number: int, port: int, expect: Callable[[Agreed], None]
    ) -> AsyncIterator[Leg]:
        """Hold a leg that brings media of `channel` to our `port`; see `Player.play`.

        Raises:
            StreamFailed: no leg; `failure` says of what kind.
        """
        peer = self.peers.get(channel.peer)
        if peer is None or not self._knows(channel):
            raise StreamFailed("not-found", f"{channel} is not in our catalog")
        lease = self._registrar.lease(channel.peer)
        if lease is None:
            raise StreamFailed("offline", f"{channel.peer} is not registered")
        async with self._player.play(
            peer,
            lease.address,
            channel,
            networks=self._media_networks[peer.id],
            stream_number=stream_number,
            port=port,
            expect=expect,
        ) as leg:
            yield leg

    # Time

    def _deadline(self) -> float | None:
        return min(self._deadlines(), default=None)

    def _deadlines(self) -> Iterator[float]:
        for machine in (self._registrar, self._sync, self._asker):
            if machine.deadline is not None:
                yield machine.deadline

    def _turn(self, now: float) -> None:
        """Whatever is due."""
        self._registrar.advance(now)
        self._follow()
        queries: list[tuple[Outgoing, Then | None]] = []
        for output in self._sync.advance(now):
            if isinstance(output, Finished):
                self._finish(output)
            elif (query := self._catalog_query(output)) is not None:
                queries.append(query)
        if queries:
            self._endpoint.send_many(queries)
        self._asker.advance(now)
