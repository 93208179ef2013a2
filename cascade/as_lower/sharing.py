"""What one upper sees of our catalog: ids that are its own for ever, and answers page by page."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from cascade.limits import Bounds
from cascade.manscdp import CONTENT_TYPE
from cascade.manscdp.catalog import write_catalog, write_page
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Changes, Index, Mapping, Rows, Selector, Snapshot, View
from cascade.peers import UpperPeer, Us
from cascade.ports import Store
from sip.endpoint import Endpoint, Party
from sip.events import Event, Kind

log = logging.getLogger(__name__)

FEW_ROWS: Final = 5000
LOOK_SECONDS_A_ROW: Final = 15e-6
"""Among more rows than a few an id that is not known is looked for no sooner again than twenty times as long
as that takes: 1.7 s of 110,000 rows. It is known as soon as the upper asks for its catalog."""


class Share:
    """The ids of one upper: one to one with our keys, kept for ever, resolved only while a row exists."""

    def __init__(
        self,
        upper: UpperPeer,
        us: Us,
        index: Index,
        store: Store,
        pairs: Sequence[tuple[str, str, str]] = (),
        time: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.upper = upper
        self.index = index
        self._store = store
        self._own_id = us.id.digits
        self.mapping = Mapping(self._own_id, pairs)
        self._left_out = 0  # rows that the last snapshot lacks, most of which came through the upper
        self._stale = True
        self._time = time
        self._looks_again = float("-inf")

    def changed(self) -> None:
        """Rows came or went: the next unknown id may be one of them."""
        self._stale = True

    def resolve(self, shown: str) -> ChannelId | None:
        """Our key of what this upper calls `shown`; None when no row of that id is shared with it."""
        key = self.mapping.key(shown)
        if key is None and self._stale and self._time() >= self._looks_again:
            self.assign()
            key = self.mapping.key(shown)
        row = None if key is None else self.index.find(*key)
        if key is None or row is None or self._came_through_upper(*key, row.get("branch", "")):
            return None
        return ChannelId(PlatformId(key[0]), PeerName(key[1]))

    def shown(self, channel: ChannelId) -> str | None:
        """What this upper calls `channel`, None before it was ever shown."""
        shown: str | None = self.mapping.shown(channel.peer, channel.name)
        return shown

    def tells(self, channel: ChannelId) -> tuple[str | None, bool]:
        """What this upper calls a channel that it is shown, None where it is shown none such; True when
        new ids were queued for the store."""
        row = self.index.find(channel.peer, channel.name)
        if row is None or self._came_through_upper(channel.peer, channel.name, row.get("branch", "")):
            return None, False
        fresh = False
        if self.shown(channel) is None:
            _, fresh = self.assign()
        return self.shown(channel), fresh

    def assign(self) -> tuple[Snapshot, bool]:
        """A frozen view of all rows, each with its id; True when new ids were queued for the store.

        What came through the upper itself is not among them: it is not offered back.
        """
        snapshot = self.index.snapshot(without=[self.upper.id])
        self._left_out = len(self.index) - len(snapshot)
        triples = self.mapping.assign(snapshot)
        if triples:
            self._store.save_mapping(self.upper.id, triples)
        self._stale = False
        if len(snapshot) > FEW_ROWS:
            self._looks_again = self._time() + len(snapshot) * LOOK_SECONDS_A_ROW
        return snapshot, bool(triples)

    def view(self, top: ChannelId | None) -> View:
        """What the upper is shown now, of all or of a part."""
        return self.index.view(
            without=[self.upper.id], top=None if top is None else (str(top.peer), str(top.name))
        )

    def told(self, changes: Changes) -> bool:
        """What came gets ids before the upper hears of it; True where some were queued for the store."""
        triples = self.mapping.assign(changes.present())
        if triples:
            self._store.save_mapping(self.upper.id, triples)
        return bool(triples)

    @property
    def size(self) -> int:
        """How many rows the upper is shown; of those that came since it last asked, all are counted."""
        return max(0, len(self.index) - self._left_out)

    def _came_through_upper(self, peer: str, name: str, branch: str) -> bool:
        return self.upper.id in (peer, name, *branch.split("/"))

    def subtree(self, top: ChannelId) -> Rows:
        """`top` and all below it, as this upper is shown them; for a query about a part of the catalog.

        Raises:
            RuntimeError: a row without an id of its own; `assign` comes first.
        """
        peer = top.peer
        own = [f"id:{self.upper.id}", f"branch:{self.upper.id}"]
        selector = Selector([("came-through", False, own), ("subtree", True, [f"branch:{top.name}"])])
        chosen, _ = self.index.rows(peer).select(selector)
        return Rows.build([self._as_shown(peer, name) for name in chosen.ids()])

    def _as_shown(self, peer: PlatformId, name: str) -> dict[str, str]:
        row = dict(self.index.find(peer, name) or {})
        shown = self.mapping.shown(peer, name)
        if shown is None:
            raise RuntimeError(f"{peer}/{name} has no id for {self.upper.id}")
        ancestors = filter(None, row.pop("branch", "").split("/"))
        parents = (self.mapping.shown(peer, ancestor) for ancestor in ancestors)
        row["parent_id"] = next((parent for parent in parents if parent is not None), self._own_id)
        row["id"] = shown
        return row


@dataclass(frozen=True, slots=True)
class CatalogQuery:
    """`asker` is the From user of the query: answers go to it, not to the name on paper (Q09)."""

    sn: str
    asker: str
    top: ChannelId | None = None  # None: everything


Pages = Callable[[int], tuple[bytes, int]]
"""Writes the page that begins at a position; returns it with the position of the next."""


class CatalogAnswers:
    """Answers one upper's catalog queries, one after the other, from a snapshot each.

    A query that repeats the number being answered is served again afterwards: its asker has most
    likely forgotten what it got. Pages are paced by the upper's 200s, `window` at a time (Q99).
    """

    def __init__(
        self, share: Share, us: Us, endpoint: Endpoint, store: Store, bounds: Bounds | None = None
    ) -> None:
        self._bounds = bounds or Bounds()
        self._share = share
        self._us = us
        self._endpoint = endpoint
        self._store = store
        self._waiting: deque[CatalogQuery] = deque()
        self._asked = asyncio.Event()
        self.counts: Counter[str] = Counter()

    @property
    def _upper(self) -> UpperPeer:
        return self._share.upper

    def ask(self, query: CatalogQuery) -> None:
        """Queue a query; one that waits already is not queued twice."""
        if query in self._waiting:
            self.counts["repeated"] += 1
            return
        if len(self._waiting) >= self._bounds.limits.catalog_requests_of_upper:
            self._bounds.meet("catalog_requests_of_upper")
            self.counts["dropped"] += 1
            return
        self._waiting.append(query)
        self._asked.set()

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            await self._asked.wait()
            if not self._waiting:
                self._asked.clear()
                continue
            query = self._waiting.popleft()
            try:
                await self._answer(query)
            except Exception:  # a bug costs this answer, not the upper's next one
                log.exception("catalog.answer_failed", extra={"upper": self._upper.id, "sn": query.sn})

    async def _answer(self, query: CatalogQuery) -> None:
        snapshot, fresh = self._share.assign()
        if query.top is None:
            total, pages = len(snapshot) + 1, self._whole(snapshot, query)
        else:
            rows = self._share.subtree(query.top)
            total, pages = len(rows), self._part(rows, query)
        if fresh:
            await self._store.flush()  # an id that was shown once must never mean anything else
        self.counts["answers"] += 1
        if not await self._send_all(query, total, pages):
            self.counts["aborted"] += 1
            log.warning("catalog.page_refused", extra={"upper": self._upper.id, "sn": query.sn})

    def _whole(self, snapshot: Snapshot, query: CatalogQuery) -> Pages:
        own = own_item(self._us)
        return lambda start: write_catalog(
            snapshot,
            self._share.mapping,
            start,
            sn=query.sn,
            device_id=self._us.id.digits,
            own=own,
            charset=self._upper.charset,
            max_bytes=self._upper.page_bytes,
            max_items=self._upper.page_items,
        )

    def _part(self, rows: Rows, query: CatalogQuery) -> Pages:
        shown = None if query.top is None else self._share.shown(query.top)
        return lambda start: write_page(
            rows,
            start,
            sn=query.sn,
            device_id=shown or self._us.id.digits,
            charset=self._upper.charset,
            max_bytes=self._upper.page_bytes,
            max_items=self._upper.page_items,
        )

    async def _send_all(self, query: CatalogQuery, total: int, pages: Pages) -> bool:
        """Send every page; False as soon as one is refused or not taken."""
        under_way: deque[asyncio.Future[Event]] = deque()
        position = 0
        try:
            while position < total:
                body, following = pages(position)
                if following <= position:
                    raise RuntimeError(f"no progress at row {position}")
                position = following
                under_way.append(self._send(query.asker, body))
                while under_way and (len(under_way) >= self._upper.window or position >= total):
                    if not _taken(await under_way.popleft()):
                        return False
                    self.counts["pages"] += 1
            return True
        finally:
            for page in under_way:
                page.cancel()

    def _send(self, asker: str, body: bytes) -> asyncio.Future[Event]:
        answer: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

        def then(event: Event) -> None:
            if not answer.done() and not (event.kind == Kind.RESPONSE and event.status < 200):
                answer.set_result(event)

        message = self._endpoint.request(
            "MESSAGE",
            Party(asker, self._upper.domain),
            (self._upper.host, self._upper.port),
            body=body,
            content_type=CONTENT_TYPE,
        )
        self._endpoint.send(message, then)
        return answer


def _taken(event: Event) -> bool:
    return event.kind == Kind.RESPONSE and 200 <= event.status < 300


def own_item(us: Us) -> dict[str, str]:
    """Our own row, the root of everything an upper sees: a system has no parent."""
    return {
        "id": us.id.digits,
        "name": us.name,
        "manufacturer": us.manufacturer,
        "model": us.model,
        "owner": us.manufacturer,
        "civil_code": us.civil_code or us.id.digits[:6],
        "address": us.name,
        "parental": "1",
        "safety_way": "0",
        "register_way": "1",
        "secrecy": "0",
        "status": "ON",
    }
