"""Ids shown to an upper platform: one to one, once, for ever."""

import pytest
from hypothesis import given, strategies

from cascade.model.ids import GbId
from cascade.model.index import Index, Mapping, Rows, Snapshot

OWN = "44010600002000000009"
CAMERA = "34020000001320000001"
KEYS = strategies.tuples(
    strategies.sampled_from(["a", "b"]),
    strategies.sampled_from(
        [CAMERA, "34020000001180000001", OWN, "44010600001320900000", "44010600001320900001", "x", "y", "123"]
    ),
)
AREA = "4401"


def snapshot(*keys: tuple[str, str]) -> Snapshot:
    index = Index()
    for peer, id in keys:
        index.apply(peer, Rows.build([{"id": id}]), complete=False)
    return index.snapshot()


@given(strategies.lists(strategies.lists(KEYS, max_size=8), max_size=5), strategies.booleans())
def test_shown_ids_are_one_to_one_and_never_change(
    rounds: list[list[tuple[str, str]]], restart: bool
) -> None:
    stored: list[tuple[str, str, str]] = []
    mapping = Mapping(OWN, [])
    for keys in rounds:
        stored += mapping.assign(snapshot(*keys))
        if restart:
            mapping = Mapping(OWN, stored)
        assert len(mapping) == len(stored) == len({shown for _, _, shown in stored})
        for peer, id, shown in stored:
            assert str(GbId(shown)) == shown != OWN
            assert (mapping.shown(peer, id), mapping.key(shown)) == (shown, (peer, id))
        assert all(mapping.shown(peer, id) for peer, id in keys)


@given(strategies.lists(KEYS, max_size=8))
def test_the_order_in_which_rows_came_does_not_matter(keys: list[tuple[str, str]]) -> None:
    assert Mapping(OWN, []).assign(snapshot(*keys)) == Mapping(OWN, []).assign(snapshot(*reversed(keys)))


def test_an_irregular_or_taken_id_gets_one_of_our_centre_that_keeps_its_kind() -> None:
    mapping = Mapping(OWN, [])
    nvr = "34020000001180000001"
    mapping.assign(snapshot(("a", CAMERA), ("b", CAMERA), ("a", nvr), ("b", nvr), ("b", "camera 7")))
    assert mapping.shown("a", CAMERA) == CAMERA
    assert mapping.shown("b", CAMERA) == "44010600001320900000"
    assert mapping.shown("b", "camera 7") == "44010600001320900001"
    assert mapping.shown("b", nvr) == "44010600001180900000"
    assert (mapping.own_id, mapping.key(OWN), mapping.shown("c", CAMERA)) == (OWN, None, None)


def test_a_division_of_two_peers_is_one_division() -> None:
    mapping = Mapping(OWN, [])
    both = snapshot(("a", AREA), ("b", AREA))
    assert len(both) == 1
    assert mapping.assign(both) == [("a", AREA, AREA)]
    assert (mapping.shown("b", AREA), mapping.key(AREA)) == (AREA, ("a", AREA))


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "x", "12"), ("b", "y", "12")],
        [("a", "x", "12"), ("a", "x", "34")],
        [("a", "x", OWN)],
        [("a", "x", "x")],
    ],
)
def test_stored_pairs_that_contradict_each_other_are_refused(pairs: list[tuple[str, str, str]]) -> None:
    with pytest.raises(ValueError, match=r"owners|shown as|our own|not an id"):
        Mapping(OWN, pairs)


def test_our_own_id_has_twenty_digits() -> None:
    with pytest.raises(ValueError, match="20 digits"):
        Mapping("4401060000", [])
