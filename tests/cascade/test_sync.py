"""When catalogs are asked for, and when an answer is whole: a machine with the time as an argument."""

import itertools
import random
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from cascade.as_upper.sync import BURST, CatalogSync, Finished, Query
from cascade.limits import USUAL
from cascade.model.ids import PlatformId
from cascade.model.index import Rows
from cascade.model.serials import Serials
from cascade.peers import LowerPeer
from tests.cascade.lowers import like, lower

NVR = PlatformId("44010600001180000001")
PEER = lower(NVR, networks=("203.0.113.0/24",))


@dataclass
class Page:
    sn: str
    sum_num: int | None
    ids: tuple[int, ...] = ()
    repaired: int = 0
    replaced: int = 0
    dropped: int = 0
    rows: Rows = field(init=False)

    def __post_init__(self) -> None:
        self.rows = Rows.build([{"id": f"cam-{number}"} for number in self.ids])


def asked(sync: CatalogSync, now: float) -> str:
    """The SN of the one query that is due."""
    (query,) = sync.advance(now)
    assert isinstance(query, Query)
    return str(query.sn)


def started(peer: LowerPeer = PEER, *, known: int = 0) -> tuple[CatalogSync, str]:
    sync = CatalogSync(Serials(itertools.count(41).__next__))
    sync.start(peer, 0.0, known=known)
    return sync, asked(sync, 0.0)


@given(st.permutations(range(7)), st.integers(0, 6))
def test_pages_in_any_order_and_repeated_make_one_whole(order: list[int], repeated: int) -> None:
    sync, sn = started()
    pages = [Page(sn, 7, (number,)) for number in order]
    pages.insert(3, Page(sn, 7, (order[min(repeated, 2)],)))
    results = [sync.take(NVR, page, 1.0) for page in pages]
    assert results[:-1] == [None] * 7
    last = results[-1]
    assert last is not None
    assert (last.complete, last.outcome, last.expected) == (True, "complete", 7)
    assert sorted(last.rows.ids()) == [f"cam-{number}" for number in range(7)]


def test_one_query_is_in_flight_at_a_time_and_the_next_comes_after_the_interval() -> None:
    sync, sn = started()
    sync.start(PEER, 1.0)
    assert sync.advance(1.0) == []
    sync.take(NVR, Page(sn, 1, (1,)), 2.0)
    assert sync.advance(3601.9) == []
    again = asked(sync, 3602.0)
    assert again != sn


def test_a_peer_that_came_back_is_asked_at_once() -> None:
    sync, sn = started()
    sync.take(NVR, Page(sn, 1, (1,)), 2.0)
    sync.start(PEER, 10.0, known=1)
    asked(sync, 10.0)


def test_the_first_page_may_take_two_minutes_and_the_next_fifteen_seconds() -> None:
    sync, sn = started()
    assert sync.advance(119.9) == []
    assert sync.take(NVR, Page(sn, 3, (1,)), 119.9) is None
    assert sync.advance(134.8) == []
    assert sync.take(NVR, Page(sn, 3, (2,)), 134.8) is None
    (finished,) = sync.advance(149.8)
    assert isinstance(finished, Finished)
    assert (finished.complete, finished.outcome, len(finished.rows)) == (False, "quiet", 2)


def test_a_partial_answer_is_asked_for_once_more_and_then_at_the_usual_time() -> None:
    sync, _ = started()
    (finished,) = sync.advance(120.0)
    assert isinstance(finished, Finished)
    assert finished.outcome == "unanswered"
    assert sync.advance(134.9) == []
    asked(sync, 135.0)
    (finished,) = sync.advance(255.0)
    assert isinstance(finished, Finished)
    assert sync.advance(255.0 + 3599.9) == []
    asked(sync, 255.0 + 3600.0)
    (finished,) = sync.advance(255.0 + 3600.0 + 120.0)
    asked(sync, 255.0 + 3600.0 + 135.0)  # the next interval has its own second try


def test_an_empty_catalog_is_complete_at_once() -> None:
    sync, sn = started()
    finished = sync.take(NVR, Page(sn, 0), 1.0)
    assert finished is not None
    assert (finished.complete, finished.outcome, len(finished.rows)) == (True, "empty", 0)


def test_an_empty_catalog_of_a_peer_that_had_rows_must_be_said_twice() -> None:
    sync, sn = started(known=40)
    finished = sync.take(NVR, Page(sn, 0), 1.0)
    assert finished is not None
    assert finished.complete is False
    again = asked(sync, 16.0)
    finished = sync.take(NVR, Page(again, 0), 17.0)
    assert finished is not None
    assert finished.complete is True


def test_pages_of_another_query_or_peer_are_counted_and_dropped() -> None:
    sync, sn = started()
    assert sync.take(NVR, Page("0", 1, (1,)), 1.0) is None
    assert sync.take(PlatformId("other"), Page(sn, 1, (1,)), 1.0) is None
    assert not sync.expects(NVR, sn + "1")
    assert sync.counts["pages_unknown"] == 3
    finished = sync.take(NVR, Page(sn, 1, (2,)), 1.0)
    assert finished is not None
    assert finished.rows.ids() == ["cam-2"]
    assert sync.take(NVR, Page(sn, 1, (2,)), 1.0) is None


def test_more_rows_than_allowed_end_it_partial() -> None:
    sync, sn = started(like(PEER, max_items=3))
    assert sync.take(NVR, Page(sn, 100, (1, 2, 3)), 1.0) is None
    finished = sync.take(NVR, Page(sn, 100, (4,)), 1.0)
    assert finished is not None
    assert (finished.complete, finished.outcome) == (False, "too-many")


def test_pages_that_disagree_about_the_sum_end_with_the_larger() -> None:
    sync, sn = started()
    assert sync.take(NVR, Page(sn, 3, (1,)), 1.0) is None
    assert sync.take(NVR, Page(sn, 2, (2,)), 1.0) is None
    assert sync.take(NVR, Page(sn, None, (3,)), 1.0) is not None


def test_a_refused_query_is_tried_again_later_but_pages_count_more_than_its_status() -> None:
    sync, sn = started()
    finished = sync.failed(NVR, int(sn), 1.0)
    assert finished is not None
    assert finished.complete is False
    again = asked(sync, 16.0)
    sync.take(NVR, Page(again, 2, (1,)), 17.0)
    assert sync.failed(NVR, int(again), 18.0) is None


def test_a_peer_that_went_offline_is_forgotten() -> None:
    sync, sn = started()
    sync.stop(NVR)
    assert sync.advance(10_000.0) == []
    assert sync.take(NVR, Page(sn, 1, (1,)), 10_000.0) is None


def test_numbers_differ_between_queries_of_all_peers() -> None:
    sync = CatalogSync(Serials(itertools.count(random.Random(1).getrandbits(31)).__next__))
    for number in range(100):
        sync.start(like(PEER, PlatformId(f"peer-{number}")), 0.0)
    queries: list[Query] = []
    while due := [output for output in sync.advance(0.0) if isinstance(output, Query)]:
        queries += due
    assert len({query.sn for query in queries}) == len(queries) == 100


def test_what_had_to_be_put_up_with_is_counted_and_told() -> None:
    """Quirks ground rule 5: every tolerance is visible."""
    sync, sn = started()
    sync.take(NVR, Page(sn, 3, (1,), repaired=2), 1.0)
    sync.take(NVR, Page(sn, 3, (1,), replaced=1), 2.0)
    sync.take(NVR, Page(sn, 3, (), dropped=1), 3.0)
    finished = sync.take(NVR, Page(sn, 3, (2, 3), dropped=4), 4.0)
    assert finished is not None
    assert finished.odd.counts() == {
        "catalog-repaired": 2,
        "charset": 1,
        "items-dropped": 5,
        "pages-repeated": 1,
    }


def test_rows_that_come_say_in_which_system_their_places_are() -> None:
    sync, sn = started(like(PEER, coordinates="GCJ02"))
    page = Page(sn, 2)
    page.rows = Rows.build([{"id": "1", "longitude": "113.3", "latitude": "23.1"}, {"id": "2"}])
    finished = sync.take(NVR, page, 1.0)
    assert finished is not None
    assert [finished.rows.get(number).get("coordinates") for number in (0, 1)] == ["GCJ02", None]


def test_who_comes_with_everybody_else_is_asked_in_turn_and_once() -> None:
    peers = [like(PEER, PlatformId(f"{44010600001180000000 + number}")) for number in range(2000)]
    sync = CatalogSync(Serials(itertools.count(1).__next__))
    for peer in peers:
        sync.start(peer, 0.0)
    asked: list[tuple[float, PlatformId]] = []
    now = 0.0
    while len(asked) < len(peers):
        asked += [(now, output.peer.id) for output in sync.advance(now) if isinstance(output, Query)]
        if now == 1.0:
            sync.start(peers[-1], now)  # it registers once more: that is no reason to come sooner
        deadline = sync.deadline
        assert deadline is not None
        now = 1.0 if now < 1.0 < deadline else max(now, deadline)
    assert [peer for _, peer in asked] == [peer.id for peer in peers]
    assert sum(at == 0.0 for at, _ in asked) in {BURST, BURST + 1}  # a moment is rounded
    for number, (at, _) in enumerate(asked):
        assert number <= BURST + at * USUAL.catalog_queries_a_second + 1
    assert asked[-1][0] <= (len(peers) - BURST) / USUAL.catalog_queries_a_second + 0.01
    assert sync.counts["queries_put_off"] == sum(at > 0.0 for at, _ in asked)
