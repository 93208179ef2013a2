"""Alarms from below: kept on our disk before they are answered, and told beyond until they are taken there.

Two coroutines. One keeps what came: it reads it, finds what came twice, and answers 200 once it is on the
disk; where it cannot be, 503, so that the device tries again. The other (`despatch`) sends letters through
the gate, waits for the word that the other side has them on its disk, and forgets them. Whatever is away
meanwhile (the link, the other side, a disk that records) the letters wait in their order.
"""

import asyncio
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cascade.as_upper.despatch import Despatch
from cascade.as_upper.floods import Floods
from cascade.as_upper.leases import Lease
from cascade.as_upper.questions import party_of
from cascade.deviations import Deviations
from cascade.limits import Bounds
from cascade.manscdp import CONTENT_TYPE, Head, alarm, xml
from cascade.manscdp.wire import NamesOf
from cascade.model.commands.alarm import Alarm
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Index
from cascade.outbox import BEYOND, Letter, Outbox, Quota
from cascade.ports import Gate, Store
from cascade.provenance import LoopGuard
from cascade.sparse import Sparse
from sip.endpoint import Endpoint, Reply
from sip.errors import PeerError
from sip.events import Event

log = logging.getLogger(__name__)

BATCH: Final = 64
"""Those that share one write at most."""
REMEMBERED_SECONDS: Final = 600.0
"""For so long one that comes twice is known."""
LINE_SECONDS: Final = 60.0

Same = tuple[PlatformId, str, str, int, int | None, str]
"""What two alarms that are one have in common; a device that heard no answer says it again (6.7)."""


@dataclass(frozen=True, slots=True)
class _Come:
    """An alarm that has no answer yet."""

    event: Event
    head: Head
    lease: Lease


class Alarms:
    """Those of one face. `telling`: are rows of that peer on their way to the other side? They go first.

    `deviations` and `counts` are the face's; `wall` gives seconds since 1970, `letter` a new number.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        gate: Gate,
        index: Index,
        store: Store,
        guard: LoopGuard,
        quota: Quota,
        loop: asyncio.AbstractEventLoop,
        wall: Callable[[], float],
        letter: Callable[[], int],
        correlation: Callable[[], int],
        telling: Callable[[PlatformId], bool],
        deviations: Deviations,
        counts: Counter[str],
        bounds: Bounds,
    ) -> None:
        self.outbox = Outbox(quota)
        self._despatch = Despatch(
            self.outbox,
            gate=gate,
            store=store,
            time=loop.time,
            correlation=correlation,
            telling=telling,
            counts=counts,
        )
        self.answered = self._despatch.answered
        self._endpoint = endpoint
        self._index = index
        self._store = store
        self._guard = guard
        self._loop = loop
        self._wall = wall
        self._letter = letter
        self._deviations = deviations
        self._counts = counts
        self._bounds = bounds
        self._floods = Floods()
        self._come: deque[_Come] = deque()
        self._came = asyncio.Event()
        self._known: OrderedDict[Same, float] = OrderedDict()  # until when
        self._flooding = Sparse(loop.time, LINE_SECONDS)
        self._unreadable = Sparse(loop.time, LINE_SECONDS)
        self._overflowing = Sparse(loop.time, LINE_SECONDS)

    async def restore(self) -> None:
        """Take up what is kept."""
        letters = [letter for letter in await self._store.letters() if letter.to == BEYOND]
        self.outbox.add(letters)
        for letter in letters:
            self._remember(_same(letter.alarm, letter.alarm.source.name))

    async def run(self) -> None:
        """Keep and send until cancelled; what is kept stays on the disk."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_all(), name="alarms from below")
            tasks.create_task(self._despatch.run(), name="alarms to the other side")

    # From below

    def answer(self, event: Event, head: Head, lease: Lease) -> Reply | None:
        """The answer to an alarm, None where it comes once it is kept."""
        return None if self.take(event, head, lease) else (event.transaction, 503, self._bounds.later())

    def take(self, event: Event, head: Head, lease: Lease) -> bool:
        """An alarm of a peer that is online: it is answered once it is kept. False: not now, 503."""
        peer = lease.peer
        if not self._floods.admits(peer.id, peer.alarms_a_minute, self._loop.time()):
            self._counts["alarms_flood"] += 1
            if self._flooding.due(peer.id):
                log.warning("alarms.flood", extra={"peer": peer.id, "most": peer.alarms_a_minute})
            return False
        if len(self._come) >= self._bounds.limits.alarms_waiting:
            self._bounds.meet("alarms_waiting")
            self._counts["alarms_waiting_too_many"] += 1
            return False
        self._come.append(_Come(event, head, lease))
        self._came.set()
        return True

    async def _keep_all(self) -> None:
        while True:
            await self._came.wait()
            if not self._come:
                self._came.clear()
                continue
            batch = [self._come.popleft() for _ in range(min(BATCH, len(self._come)))]
            try:
                await self._keep(batch)
            except Exception:  # a bug costs these, not the next ones
                log.exception("alarms.keep_failed", extra={"count": len(batch)})
                self._reply(batch, 500)

    async def _keep(self, batch: list[_Come]) -> None:
        well: list[_Come] = []
        fresh: dict[Same, Letter] = {}
        for come in batch:
            try:
                found = self._read(come)
            except (PeerError, ValueError) as error:
                self._refuse(come, error)
                continue
            well.append(come)
            if found is not None:
                same = _same(found, come.head.device_id)
                fresh[same] = Letter(to=BEYOND, kept_at=self._wall(), alarm=found)
        letters = [*fresh.values()]
        gone = self.outbox.over(letters)
        if letters and not await self._store.keep(letters, gone):
            for same in fresh:
                self._known.pop(same, None)
            self._counts["alarms_not_kept"] += len(letters)
            self._reply(well, 503)
            return
        self.outbox.add(letters)
        self._counts["alarms"] += len(letters)
        self._lose(gone)
        self._despatch.wake()
        self._reply(well, 200)
        for come in well:
            self._confirm(come)

    def _read(self, come: _Come) -> Alarm | None:
        """The alarm, None for one that is known already, or that came through us before.

        Its source is the nearest thing that the other side may know: the channel, else the peer itself (Q86).
        """
        peer = come.lease.peer
        body = xml.recoded(come.event.body, peer.charset_in)
        arrived = alarm.moment(self._wall())
        found = alarm.read(body, _Nearest(peer.id, self._index), letter=self._letter(), arrived=arrived)
        if found.odd:
            self._deviations.note(peer.id, "alarm-incomplete")
        named = PeerName(come.head.device_id)
        if self._guard.echo(peer.id, named):
            self._counts["alarms_echoed"] += 1
            return None
        if not self._remember(_same(found.alarm, named)):
            self._counts["alarms_repeated"] += 1
            return None
        return found.alarm

    def _remember(self, same: Same) -> bool:
        """False where it is known."""
        now, most = self._loop.time(), self._bounds.limits.alarms_known
        while self._known and (len(self._known) >= most or next(iter(self._known.values())) <= now):
            _, until = self._known.popitem(last=False)
            if until > now:
                self._bounds.meet("alarms_known")
        if same in self._known:
            return False
        self._known[same] = now + REMEMBERED_SECONDS
        return True

    def _refuse(self, come: _Come, error: Exception) -> None:
        peer = come.lease.peer.id
        self._counts["alarms_unreadable"] += 1
        self._deviations.note(peer, "unreadable")
        if self._unreadable.due(peer):
            log.warning("alarm.unreadable", extra={"peer": peer, "reason": str(error)})
        self._reply([come], 400)

    def _reply(self, batch: list[_Come], status: int) -> None:
        headers = self._bounds.later() if status == 503 else ()
        self._endpoint.reply([(come.event.transaction, status, headers) for come in batch])

    def _confirm(self, come: _Come) -> None:
        """Say that it was received, as the standard asks (Q86); few devices wait for it."""
        peer = come.lease.peer
        if not peer.alarm_response:
            return
        body = alarm.write_answer(sn=come.head.sn, device_id=come.head.device_id, charset=peer.charset)
        at = come.lease.address
        to = party_of(peer, come.event.from_user, at)
        self._endpoint.send(self._endpoint.request("MESSAGE", to, at, body=body, content_type=CONTENT_TYPE))

    def _lose(self, gone: list[Letter]) -> None:
        lost = self.outbox.lose(gone)
        if lost and self._overflowing.due(BEYOND):
            log.warning(
                "alarms.overflow", extra={"addressee": "the other side", "lost": self.outbox.counts["lost"]}
            )


@dataclass(frozen=True, slots=True)
class _Nearest(NamesOf):
    """A name that the peer has listed is a channel; any other one is the peer itself."""

    index: Index

    def key(self, name: PeerName) -> ChannelId:
        known = self.index.find(self.peer, name) is not None
        return ChannelId(self.peer, name if known else self.peer)


def _same(found: Alarm, named: str) -> Same:
    """`named`: as the peer calls its source, known here or not."""
    return (found.source.peer, named, found.time, found.method, found.kind, found.description)
