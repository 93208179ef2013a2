"""The index of all rows: what an answer changes, who is above whom, what a snapshot freezes."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, strategies

from cascade.model.ids import PeerName
from cascade.model.index import Index, Rows, Snapshot

PEER = "44010000002000000001"
NAMES = strategies.integers(0, 9).map(str)
ROW = strategies.fixed_dictionaries(
    {"id": NAMES},
    optional={
        "name": strategies.sampled_from("ab"),
        "parent_id": strategies.lists(NAMES, max_size=2).map("/".join),
        "civil_code": strategies.sampled_from(["4401", "440106"]),
        "status": strategies.sampled_from(["ON", "OFF"]),
    },
)
BATCH = strategies.lists(ROW, max_size=12)
STEPS = strategies.lists(strategies.tuples(BATCH, strategies.booleans()), max_size=6)


def all_of(rows: Rows) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in map(rows.get, range(len(rows)))}


def listed(snapshot: Snapshot) -> list[dict[str, str]]:
    return [snapshot.get(number) for number in range(len(snapshot))]


def branch(index: Index, id: str) -> str:
    row = index.find(PEER, id)
    assert row is not None
    return row.get("branch", "")


@given(STEPS, BATCH, strategies.booleans())
def test_the_same_answer_again_changes_nothing(
    steps: list[tuple[list[dict[str, str]], bool]], batch: list[dict[str, str]], complete: bool
) -> None:
    index = Index()
    for rows, whole in steps:
        index.apply(PEER, Rows.build(rows), whole)
    index.apply(PEER, Rows.build(batch), complete)
    delta = index.apply(PEER, Rows.build(batch), complete)
    assert (delta.added, delta.changed, delta.removed) == (0, 0, 0)
    assert delta.unchanged == len({row["id"] for row in batch})
    assert (len(delta.present()), len(delta.gone())) == (0, 0)


@given(STEPS)
def test_who_follows_the_differences_has_the_same_rows(
    steps: list[tuple[list[dict[str, str]], bool]],
) -> None:
    index, follower = Index(), Index()
    known: dict[str, dict[str, str]] = {}
    for rows, complete in steps:
        delta = index.apply(PEER, Rows.build(rows), complete)
        for id in delta.gone().ids():
            del known[id]
        known |= all_of(delta.present())
        follower.remove(PEER, delta.gone().ids())
        follower.apply(PEER, Rows.decode(delta.present().encode()), complete=False)
        assert known == all_of(index.rows(PEER)) == all_of(follower.rows(PEER))


@given(STEPS)
def test_nobody_is_among_its_own_ancestors(steps: list[tuple[list[dict[str, str]], bool]]) -> None:
    index = Index()
    for rows, complete in steps:
        index.apply(PEER, Rows.build(rows), complete)
    above = {id: branch(index, id).split("/") for id in all_of(index.rows(PEER))}
    for id, ancestors in above.items():
        assert id not in ancestors
        assert all(id not in above[ancestor] for ancestor in ancestors if ancestor in above)


@given(STEPS)
def test_a_snapshot_stays_as_it_was_taken(steps: list[tuple[list[dict[str, str]], bool]]) -> None:
    index = Index()
    taken: list[tuple[Snapshot, list[dict[str, str]]]] = []
    for rows, complete in steps:
        index.apply(PEER, Rows.build(rows), complete)
        snapshot = index.snapshot()
        taken.append((snapshot, listed(snapshot)))
        index.set_online(PEER, not complete)
    index.remove(PEER, [str(number) for number in range(10)])
    assert [listed(snapshot) for snapshot, _ in taken] == [rows for _, rows in taken]
    assert len(index.snapshot()) == 0


def test_an_answer_says_what_came_changed_and_went() -> None:
    index = Index()
    index.apply(PEER, Rows.build([{"id": "1"}, {"id": "2"}, {"id": "3"}]), complete=True)
    delta = index.apply(
        PEER, Rows.build([{"id": "2"}, {"id": "3", "name": "new"}, {"id": "4"}, {"id": ""}]), complete=True
    )
    counts = delta.added, delta.changed, delta.removed, delta.unchanged, delta.dropped
    assert counts == (1, 1, 1, 1, 1)
    assert delta.present() == Rows.build([{"id": "3", "name": "new"}, {"id": "4"}])
    assert delta.gone() == Rows.build([{"id": "1"}])


def test_factory_set_ids_of_two_peers_do_not_meet() -> None:
    index = Index()
    for peer in ("a", "b"):
        index.apply(peer, Rows.build([{"id": "34020000001320000001", "name": peer}]), complete=True)
    assert (len(index), index.count("a"), index.peers()) == (2, 1, ["a", "b"])
    assert index.find("b", "34020000001320000001") == {"id": "34020000001320000001", "name": "b"}
    index.remove("a", ["34020000001320000001"])
    assert (index.peers(), index.find("a", "34020000001320000001")) == (["b"], None)


def test_a_path_a_group_and_the_divisions_are_all_above() -> None:
    index = Index()
    camera = {
        "id": "44010600001320000001",
        "parent_id": "44010600002000000001/44010600002160000001",
        "business_group_id": "44010600002150000001",
        "civil_code": "440106",
    }
    others = ["44010600002000000001", "44010600002160000001", "44010600002150000001"]
    index.apply(PEER, Rows.build([camera, *({"id": id} for id in others)]), complete=True)
    assert branch(index, camera["id"]) == "/".join(
        [
            "44010600002160000001",
            "44010600002000000001",
            "44010600002150000001",
            "440106",
            "4401",
            "44",
        ]
    )


def test_an_organisation_that_moves_changes_everything_below_it() -> None:
    index = Index()
    tree = {"camera": "nvr", "nvr": "north", "north": "", "south": ""}
    rows = [{"id": id, "parent_id": parent} for id, parent in tree.items()]
    index.apply(PEER, Rows.build(rows), complete=True)
    delta = index.apply(PEER, Rows.build([{"id": "nvr", "parent_id": "south"}]), complete=False)
    assert (delta.changed, delta.present().ids()) == (2, ["nvr", "camera"])
    assert branch(index, "camera") == "nvr/south"


def test_rows_of_an_offline_peer_read_off_until_it_is_back() -> None:
    index = Index()
    index.apply(PEER, Rows.build([{"id": "1", "status": "ON"}, {"id": "2", "status": "OFF"}]), complete=True)
    assert index.set_online(PEER, online=False) == 1
    assert [row["status"] for row in listed(index.snapshot())] == ["OFF", "OFF"]
    assert [row["status"] for row in all_of(index.rows(PEER)).values()] == ["ON", "OFF"]
    index.apply(PEER, Rows.build([{"id": "2", "status": "ON"}]), complete=False)
    assert index.set_online(PEER, online=True) == 2
    assert [row["status"] for row in listed(index.snapshot())] == ["ON", "ON"]


@given(strategies.text(max_size=70))
def test_what_the_index_holds_has_a_name_that_the_model_takes(name: str) -> None:
    index = Index()
    if all(ord(letter) < 0xD800 or ord(letter) > 0xDFFF for letter in name):
        index.apply(PEER, Rows.build([{"id": name}]), complete=True)
    assert [PeerName(id) for id in index.rows(PEER).ids()] == index.rows(PEER).ids()


def test_threads_may_share_an_index() -> None:
    index = Index()
    rows = Rows.build([{"id": str(number), "parent_id": str(number // 2)} for number in range(500)])

    def work(peer: str) -> int:
        for start in range(0, 500, 50):
            index.apply(peer, rows.slice(start, start + 50), complete=False)
            index.snapshot()
        return index.count(peer)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, "abcd")) == [500] * 4
    assert len(index.snapshot()) == len(index) - 3 * sum(len(str(number)) == 2 for number in range(500))


def test_rows_in_a_loop_are_reported_and_those_below_it_are_not() -> None:
    """Q26: three rows in a ring, one below it, and one that is its own parent, which is no loop."""
    parents = {"1": "2", "2": "3", "3": "1", "4": "1", "5": "5", "6": "", "7": "6"}
    index = Index()
    delta = index.apply(
        PEER, Rows.build([{"id": id, "parent_id": above} for id, above in parents.items()]), True
    )
    assert delta.loops == 3
    mended = index.apply(
        PEER, Rows.build([{"id": "3", "parent_id": ""}, {"id": "1", "parent_id": "2"}]), False
    )
    assert mended.loops == 0
    assert branch(index, "1") == "2/3"


def test_an_index_of_what_is_told_keeps_the_branches_and_forgets_what_is_not_told_anew() -> None:
    index = Index(told=True)
    rows = Rows.build([{"id": "1", "parent_id": "9", "branch": "~a.0"}, {"id": "2"}])
    index.apply("p", rows, False)
    assert index.find("p", "1") == rows.get(0)
    index.begin("p")
    index.apply("p", rows.slice(0, 1), False)
    assert index.finish("p") == rows.slice(1, 2)
    assert (index.count("p"), len(index.finish("p"))) == (1, 0)


def test_what_rows_name_above_them_is_listed_and_taken_out() -> None:
    rows = Rows.build([{"id": "1", "parent_id": "a/b", "business_group_id": "g", "branch": "b/a/g/4401"}])
    assert rows.named_above() == ["4401", "a", "b", "g"]
    veiled = rows.veil({"b": "~x.1", "g": "~x"})
    assert veiled.get(0) == {"id": "1", "parent_id": "a", "branch": "~x.1/a/~x/4401"}
