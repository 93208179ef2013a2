"""Catalogs of those below us: when to ask, what belongs together, when an answer is whole.

A pure machine: time is an argument, queries to send and results to store come out. One query of a
peer is in flight at a time (Q18); pages are collected by (peer, SN) into a set of distinct ids, in
whatever order they come (Q16). A quiet answer is partial: it adds, it never deletes, and it is
asked for once more (Q19). Pages that bring nothing new soon prolong nothing any more, so that an answer
lasts no longer than its SumNum allows (Q18).
"""

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final, Literal, Protocol

from cascade.deviations import Deviation
from cascade.limits import Bounds
from cascade.model.ids import PlatformId
from cascade.model.index import Rows, RowSet
from cascade.model.serials import Serials
from cascade.peers import LowerPeer

MAX_STALE: Final = 3
"""So many pages in a row without anything new are waited out like others: some peers repeat themselves."""

BURST: Final = 256
"""After a restart all register at once and are to be asked anew. Their registrations come first, and whoever
plays a picture: catalogs follow at the pace of `catalog_queries_a_second`, after so many at once."""

TURN: Final = 32
"""Peers that are asked, or whose answer is taken as it is, in one turn of the loop."""

TURN_ROWS: Final = 1000
"""Rows of such answers after which the next one waits for another turn."""

LOOKED_AT: Final = 1024
"""Plans that are looked at in one turn, most of which have to wait for theirs."""


class Page(Protocol):
    """What the machine needs of a scanned page."""

    @property
    def sn(self) -> str: ...
    @property
    def sum_num(self) -> int | None: ...
    @property
    def rows(self) -> Rows: ...
    @property
    def repaired(self) -> int: ...
    @property
    def replaced(self) -> int: ...
    @property
    def dropped(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Query:
    """Ask this peer for its catalog, under this number."""

    peer: LowerPeer
    sn: int


Outcome = Literal["complete", "empty", "quiet", "too-many", "unanswered"]


@dataclass(slots=True)
class Odd:
    """What had to be put up with in the pages of one answer (Q19-Q24), for operators to see."""

    repaired: int = 0  # places put right before they could be read
    replaced: int = 0  # characters unreadable in the charset
    dropped: int = 0  # items without a usable id, or beyond repair
    repeated: int = 0  # pages that brought nothing new

    def counts(self) -> dict[Deviation, int]:
        return {
            "catalog-repaired": self.repaired,
            "charset": self.replaced,
            "items-dropped": self.dropped,
            "pages-repeated": self.repeated,
        }


@dataclass(frozen=True, slots=True)
class Finished:
    """What one query brought. Only when `complete` may rows that are missing be taken for gone."""

    peer: PlatformId
    rows: Rows
    complete: bool
    outcome: Outcome
    expected: int | None  # SumNum, None where no page said it
    odd: Odd

    @property
    def sum_wrong(self) -> bool:
        """Did SumNum say another number than came (Q19)?"""
        told = self.outcome in ("complete", "quiet") and self.expected is not None
        return told and self.expected != len(self.rows)


@dataclass(slots=True)
class _Collecting:
    sn: int
    due: float
    rows: RowSet = field(default_factory=RowSet)
    got: int = 0
    expected: int | None = None
    pages: int = 0
    stale: int = 0  # of the last ones, how many brought nothing new
    odd: Odd = field(default_factory=Odd)

    def note(self, page: Page, *, new: bool) -> None:
        """What was wrong with a page; `new` says that it brought an id which had not come yet."""
        self.stale = 0 if new else self.stale + 1
        self.odd.repaired += page.repaired
        self.odd.replaced += page.replaced
        self.odd.dropped += page.dropped
        self.odd.repeated += not new and len(page.rows) > 0


@dataclass(slots=True)
class _Plan:
    """One peer that is online."""

    peer: LowerPeer
    known: int  # rows of it that we hold
    next_at: float
    repeated: bool = False  # the query after a partial answer; there is only one
    promised: bool = False  # there were too many at once; it is its turn at `next_at`
    collecting: _Collecting | None = None
    queued: float = 0.0

    @property
    def due(self) -> float:
        return self.next_at if self.collecting is None else self.collecting.due


class CatalogSync:
    """The catalogs of all lowers that are online."""

    def __init__(self, serials: Serials, bounds: Bounds | None = None) -> None:
        self._serials = serials
        self._bounds = bounds or Bounds()
        self._plans: dict[PlatformId, _Plan] = {}
        self._due: list[tuple[float, PlatformId]] = []
        self._next_turn = float("-inf")
        self.counts: Counter[str] = Counter()

    def start(self, peer: LowerPeer, now: float, *, known: int = 0) -> None:
        """Ask `peer` as soon as possible: it registered, or came back. A query in flight goes on."""
        plan = self._plans.get(peer.id)
        if plan is None:
            plan = self._plans[peer.id] = _Plan(peer, known, now)
        elif plan.collecting is None:
            plan.known, plan.repeated = known, False
            plan.next_at = plan.next_at if plan.promised else now
        self._queue(plan)

    def adopt(self, peer: LowerPeer) -> None:
        """It is described otherwise from now on; when it is asked next stays as it was planned."""
        plan = self._plans.get(peer.id)
        if plan is not None:
            plan.peer = peer

    def stop(self, peer: PlatformId) -> None:
        """Forget `peer`: it is offline. Pages that still come count as unknown."""
        self._plans.pop(peer, None)

    def expects(self, peer: PlatformId, sn: str) -> bool:
        """Is `sn` the query in flight? A page of another is not worth reading; it is counted."""
        plan = self._plans.get(peer)
        expected = plan is not None and plan.collecting is not None and sn == str(plan.collecting.sn)
        self.counts["pages_unknown"] += not expected
        return expected

    def take(self, peer: PlatformId, page: Page, now: float) -> Finished | None:
        """Add a page; the result when it was the last one."""
        plan = self._plans.get(peer)
        collecting = None if plan is None else plan.collecting
        if plan is None or collecting is None or page.sn != str(collecting.sn):
            self.counts["pages_unknown"] += 1
            return None
        collecting.pages += 1
        if page.sum_num is not None:
            collecting.expected = max(page.sum_num, collecting.expected or 0)
        before = collecting.got
        collecting.got = collecting.rows.add(page.rows.located(plan.peer.coordinates))
        collecting.note(page, new=collecting.got > before)
        if collecting.stale <= MAX_STALE:
            collecting.due = now + plan.peer.page_seconds
        if collecting.got > plan.peer.max_items:
            return self._finish(plan, collecting, "too-many", now)
        if collecting.expected == 0 and collecting.got == 0:
            return self._finish(plan, collecting, "empty", now)
        if collecting.expected is not None and collecting.got >= collecting.expected:
            return self._finish(plan, collecting, "complete", now)
        self._queue(plan)
        return None

    def failed(self, peer: PlatformId, sn: int, now: float) -> Finished | None:
        """The query itself was refused, or nobody took it."""
        plan = self._plans.get(peer)
        if plan is None or plan.collecting is None or plan.collecting.sn != sn or plan.collecting.pages:
            return None
        return self._finish(plan, plan.collecting, "unanswered", now)

    @property
    def deadline(self) -> float | None:
        """When `advance` must next be called."""
        return self._due[0][0] if self._due else None

    def advance(self, now: float) -> list[Query | Finished]:
        """Queries whose time has come, and answers that have gone quiet, so many at a time; the rest is due
        still."""
        outputs: list[Query | Finished] = []
        rows = 0
        for _ in range(LOOKED_AT):
            if not self._due or self._due[0][0] > now or len(outputs) >= TURN or rows >= TURN_ROWS:
                break
            at, peer = heappop(self._due)
            plan = self._plans.get(peer)
            if plan is None or plan.queued != at:
                continue
            plan.queued = 0.0
            if plan.due > now:
                self._queue(plan)
            elif plan.collecting is not None:
                outcome: Outcome = "quiet" if plan.collecting.pages else "unanswered"
                rows += plan.collecting.got
                outputs.append(self._finish(plan, plan.collecting, outcome, now))
            elif not self._is_its_turn(plan, now):
                self._queue(plan)
            else:
                sn = self._serials.next()
                plan.collecting = _Collecting(sn, now + plan.peer.first_page_seconds)
                self._queue(plan)
                outputs.append(Query(plan.peer, sn))
        return outputs

    def _is_its_turn(self, plan: _Plan, now: float) -> bool:
        """May one more be asked now? If not, it knows when."""
        if plan.promised:
            plan.promised = False
            return True
        pace = self._bounds.limits.catalog_queries_a_second
        turn = max(self._next_turn, now - BURST / pace)
        self._next_turn = turn + 1 / pace
        if turn <= now:
            return True
        plan.next_at, plan.promised = turn, True
        self._bounds.meet("catalog_queries_a_second")
        self.counts["queries_put_off"] += 1
        return False

    def progress(self, peer: PlatformId) -> tuple[int, int | None] | None:
        """(distinct ids so far, SumNum) of the query in flight, or None when there is none."""
        plan = self._plans.get(peer)
        if plan is None or plan.collecting is None:
            return None
        return plan.collecting.got, plan.collecting.expected

    def _finish(self, plan: _Plan, collecting: _Collecting, outcome: Outcome, now: float) -> Finished:
        """Close the query and plan the next one.

        An empty answer from a peer whose rows we hold is believed only the second time: rows are
        lost for all uppers by one word of a platform that has just started (Q17).
        """
        doubtful = outcome == "empty" and plan.known > 0 and not plan.repeated
        complete = outcome in ("complete", "empty") and not doubtful
        again = not complete and not plan.repeated
        plan.repeated = again
        plan.next_at = now + (plan.peer.page_seconds if again else plan.peer.catalog_seconds)
        plan.collecting = None
        plan.known = collecting.got if complete else max(plan.known, collecting.got)
        self._queue(plan)
        self.counts[outcome] += 1
        rows = collecting.rows.rows()
        return Finished(plan.peer.id, rows, complete, outcome, collecting.expected, collecting.odd)

    def _queue(self, plan: _Plan) -> None:
        due = plan.due
        if not plan.queued or due < plan.queued:
            plan.queued = due
            heappush(self._due, (due, plan.peer.id))
