"""Which rows are our own, come back, and which only look like them (Q98, Q11)."""

from collections.abc import Mapping

from cascade.as_lower.sharing import Share
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Index, Rows
from cascade.provenance import Key, LoopGuard
from tests.cascade.ground import NVR, UPPER, UPPER_PEER, US, Shelf, cameras

OWN, BEYOND = "44010000002000000001", "44010000002000000002"
MEMBER = PlatformId("44010000002000000077")
OURS, OTHER, THEIRS = cameras(3)
MADE_UP = "44010000001320900000"


def rows(*items: str) -> Rows:
    """From "id" or "id parent"."""
    split = [item.partition(" ") for item in items]
    return Rows.build([{"id": id, "parent_id": parent} for id, _, parent in split])


def guard(exported: Mapping[str, Key] | None = None, above: tuple[PlatformId, ...] = ()) -> LoopGuard:
    """One whose uppers know these ids."""
    made = LoopGuard(OWN, BEYOND, above)
    known = exported or {}
    made.exported = lambda shown: [known[shown]] if shown in known else []
    return made


def listed(by: LoopGuard, given: Rows, *, complete: bool = True, others: tuple[str, ...] = ()) -> list[str]:
    index = Index()
    index.apply(NVR, rows(*others), complete=True)
    return by.listed(MEMBER, given, index, complete=complete).ids()


def test_what_stands_below_our_other_side_came_through_it() -> None:
    given = rows(f"{BEYOND} {MEMBER}", f"{OURS} {BEYOND}", f"{OTHER} {OURS}", f"{THEIRS} {MEMBER}", MEMBER)
    assert listed(guard(), given) == [THEIRS, MEMBER]
    assert listed(guard(), rows(f"{OURS} {MEMBER}/{BEYOND}", THEIRS)) == [THEIRS]


def test_a_list_with_pages_missing_is_read_with_what_is_known_of_the_last() -> None:
    one = guard()
    assert listed(one, rows(BEYOND, f"{OTHER} {BEYOND}", f"{OURS} {OTHER}", THEIRS)) == [THEIRS]
    assert listed(one, rows(f"{OURS} {OTHER}", THEIRS), complete=False) == [THEIRS]
    assert listed(one, rows(f"{OURS} {OTHER}", THEIRS)) == [OURS, THEIRS]


def test_a_device_may_call_us_its_parent() -> None:
    given = rows(f"{OURS} {OWN}", f"{THEIRS} {OWN}")
    assert listed(guard(), given) == [OURS, THEIRS]
    assert listed(guard(), rows(OWN, f"{OURS} {OWN}")) == [OURS]


def test_ids_from_the_factory_are_no_echoes() -> None:
    exported = {OURS: (NVR, OURS)}
    assert listed(guard(exported), rows(OURS, THEIRS), others=(OURS,)) == [OURS, THEIRS]
    assert guard(exported).arrived(MEMBER, rows(OURS, THEIRS)) == set()


def test_of_a_peer_that_shows_what_we_do_our_ids_are() -> None:
    exported = {OURS: (NVR, OURS)}
    for one in (guard(exported, above=(MEMBER,)), guard(exported)):
        ours = (BEYOND, OWN)
        assert listed(one, rows(*ours, OURS, OTHER, THEIRS, "4401"), others=(OTHER, "4401")) == [
            THEIRS,
            "4401",
        ]
    assert guard(exported, above=(MEMBER,)).arrived(MEMBER, rows(OURS, OTHER, OWN)) == {OURS, OWN}


def test_its_own_row_under_the_id_that_it_has_is_none() -> None:
    one = guard({OURS: (MEMBER, OURS), OTHER: (NVR, OTHER)}, above=(MEMBER,))
    assert one.arrived(MEMBER, rows(OURS, OTHER)) == {OTHER}


def test_who_lists_an_id_that_we_made_up_is_known_for_good() -> None:
    one = guard({OURS: (NVR, OURS), MADE_UP: (MEMBER, OURS)})
    assert one.arrived(MEMBER, rows(OURS)) == set()
    assert not one.known(MEMBER)
    assert one.arrived(MEMBER, rows(OURS, MADE_UP, THEIRS)) == {OURS, MADE_UP}
    assert one.arrived(MEMBER, rows(OURS)) == {OURS}
    assert not one.known(NVR)


def test_nothing_is_offered_to_whom_it_came_through() -> None:
    index = Index(told=True)
    below = Rows.build([{"id": OURS, "branch": UPPER}, {"id": OTHER, "branch": THEIRS}, {"id": THEIRS}])
    index.apply(NVR, below, complete=False)
    index.apply(NVR, rows(UPPER), complete=False)
    index.apply(UPPER, rows(cameras(4)[3]), complete=False)
    share = Share(UPPER_PEER, US, index, Shelf())
    snapshot, _ = share.assign()
    assert [snapshot.key(number) for number in range(len(snapshot))] == [(NVR, THEIRS), (NVR, OTHER)]
    assert (share.size, len(share.mapping)) == (2, 2)
    assert share.resolve(UPPER) is None
    assert share.resolve(OURS) is None
    assert share.resolve(OTHER) is not None


def test_what_was_offered_before_it_came_that_way_is_not_known_any_more() -> None:
    index = Index(told=True)
    index.apply(NVR, rows(OURS, THEIRS), complete=False)
    index.apply(NVR, Rows.build([{"id": OTHER, "branch": THEIRS}]), complete=False)
    share = Share(UPPER_PEER, US, index, Shelf())
    share.assign()
    assert share.resolve(OTHER) is not None
    index.apply(NVR, Rows.build([{"id": OTHER, "branch": f"{UPPER}/{THEIRS}"}]), complete=False)
    assert share.resolve(OTHER) is None
    assert share.subtree(ChannelId(NVR, PeerName(THEIRS))).ids() == [THEIRS]
