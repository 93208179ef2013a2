"""Batches of rows: built, written and read, gathered from pages, parted by rules."""

import contextlib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, strategies

from cascade.model.index import FIELDS, Rows, RowSet, Selector

IDS = strategies.sampled_from(["1", "2", "44", "4401", "44010600001320000001", "cam 1", "模"])
TEXT = strategies.text(strategies.characters(codec="utf-8"), max_size=8)
FIELD = strategies.sampled_from([field for field in FIELDS if field not in {"id", "branch"}])
BRANCH = strategies.lists(IDS, max_size=3).map("/".join)
ROW = strategies.builds(
    lambda fields, id, branch, owner: {**fields, "id": id, "branch": branch, "owner": owner},
    strategies.dictionaries(FIELD, TEXT, max_size=6),
    IDS,
    BRANCH,
    IDS | TEXT,
)
BATCH = strategies.lists(ROW, max_size=30)
SELECTOR = (
    strategies.just("*")
    | IDS.map("id:".__add__)
    | IDS.map("branch:".__add__)
    | IDS.map("owner:".__add__)
    | strategies.sampled_from(["prefix:44", "prefix:1"])
)
RULES = strategies.lists(
    strategies.tuples(
        strategies.sampled_from("abc"), strategies.booleans(), strategies.lists(SELECTOR, max_size=3)
    ),
    max_size=4,
)


def present(row: dict[str, str]) -> dict[str, str]:
    return {field: text for field, text in row.items() if text}


def all_of(rows: Rows) -> list[dict[str, str]]:
    return [rows.get(number) for number in range(len(rows))]


def test_a_row_has_these_fields_in_this_order() -> None:
    assert FIELDS[0] == "id"
    assert FIELDS[-1] == "branch"
    assert len(FIELDS) == len(set(FIELDS)) == 26


def test_no_field_takes_a_password_or_an_address_of_the_network() -> None:
    assert not {"password", "ip_address", "port"} & set(FIELDS)
    with pytest.raises(ValueError, match="no field"):
        Rows.build([{"id": "1", "password": "x"}])


@given(BATCH)
def test_what_is_built_is_read_back(batch: list[dict[str, str]]) -> None:
    rows = Rows.build(batch)
    assert all_of(rows) == [present(row) for row in batch]
    assert rows.ids() == [row["id"] for row in batch]


@given(BATCH)
def test_what_is_encoded_is_decoded(batch: list[dict[str, str]]) -> None:
    rows = Rows.build(batch)
    assert Rows.decode(rows.encode()) == rows


@given(BATCH, strategies.integers(0, 40), strategies.integers(0, 40))
def test_a_slice_is_the_rows_in_it(batch: list[dict[str, str]], start: int, stop: int) -> None:
    part = Rows.build(batch).slice(start, stop)
    assert part == Rows.build(batch[start:stop])
    assert part.encode() == Rows.build(batch[start:stop]).encode()


@given(BATCH, strategies.sampled_from(["WGS84", "GCJ02", "unknown"]))
def test_a_place_says_in_which_system_it_is(batch: list[dict[str, str]], system: str) -> None:
    """Q32: only a row with a place has one, and nothing else of any row changes."""
    located = Rows.build(batch).located(system)
    expected = [{**row, "coordinates": system} if row.get("longitude") else row for row in batch]
    assert located == Rows.build(expected)
    assert Rows.decode(located.encode()) == located


@given(BATCH, BATCH)
def test_equal_are_rows_with_equal_fields(one: list[dict[str, str]], other: list[dict[str, str]]) -> None:
    equal = [present(row) for row in one] == [present(row) for row in other]
    assert (Rows.build(one) == Rows.build(other)) is equal


@given(strategies.binary(max_size=200) | strategies.binary(max_size=80).map(b"LGR\x02".__add__))
def test_any_bytes_are_rows_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        all_of(Rows.decode(data))


@given(BATCH, strategies.data())
def test_any_change_of_a_byte_gives_rows_or_a_value_error(
    batch: list[dict[str, str]], data: strategies.DataObject
) -> None:
    encoded = bytearray(Rows.build(batch).encode())
    for _ in range(data.draw(strategies.integers(1, 4))):
        encoded[data.draw(strategies.integers(0, len(encoded) - 1))] = data.draw(strategies.integers(0, 255))
    with contextlib.suppress(ValueError):
        rows = Rows.decode(bytes(encoded))
        assert Rows.decode(rows.encode()) == rows


@pytest.mark.parametrize(
    ("row", "error"),
    [({"id": 1}, TypeError), ({1: "id"}, TypeError), ("id", TypeError), ({"id": "\ud800"}, ValueError)],
)
def test_what_is_no_text_is_refused(row: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Rows.build([row])


def test_a_row_beyond_the_end_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        Rows.build([{"id": "1"}]).get(1)


@given(strategies.lists(BATCH, max_size=5))
def test_pages_are_gathered_by_id_whatever_their_order(pages: list[list[dict[str, str]]]) -> None:
    gathered = RowSet()
    expected: dict[str, dict[str, str]] = {}
    for page in pages:
        expected.update((row["id"], present(row)) for row in page)
        assert gathered.add(Rows.build(page)) == len(expected) == len(gathered)
    assert all_of(gathered.rows()) == list(expected.values())


@pytest.mark.parametrize("name", ["", " ", "9" * 65, "a\x00b", "\u200b"])
def test_a_row_without_a_usable_id_costs_only_itself(name: str) -> None:
    gathered = RowSet()
    assert gathered.add(Rows.build([{"id": "1"}, {"id": name}, {"id": "2"}])) == 2
    assert gathered.rows().ids() == ["1", "2"]


@given(BATCH, RULES)
def test_admitted_and_refused_are_together_all_rows(
    batch: list[dict[str, str]], rules: list[tuple[str, bool, list[str]]]
) -> None:
    rows, selector = Rows.build(batch), Selector(rules)
    admitted, refused = rows.select(selector)
    verdicts = [selector.judge(row["id"], row["branch"], row.get("owner", "")) for row in batch]
    assert all_of(admitted) == [
        present(row) for row, (allowed, _) in zip(batch, verdicts, strict=True) if allowed
    ]
    assert refused == Counter(rule for allowed, rule in verdicts if not allowed)
    assert len(admitted) + sum(refused.values()) == len(rows)


def fits(selector: str, id: str, branch: str, owner: str) -> bool:
    form, _, value = selector.partition(":")
    return {
        "*": True,
        "id": id == value,
        "prefix": id.startswith(value),
        "branch": value in [id, *branch.split("/")],
        "owner": owner == value,
    }[form]


@given(IDS, BRANCH, IDS | strategies.just(""), RULES)
def test_the_first_rule_that_fits_decides(
    id: str, branch: str, owner: str, rules: list[tuple[str, bool, list[str]]]
) -> None:
    expected = next(
        (
            (allow, rule)
            for rule, allow, selectors in rules
            if any(fits(selector, id, branch, owner) for selector in selectors)
        ),
        (False, "default"),
    )
    assert Selector(rules).judge(id, branch, owner) == expected


def test_without_rules_nothing_passes() -> None:
    admitted, refused = Rows.build([{"id": "1"}, {"id": "2"}]).select(Selector([]))
    assert (len(admitted), refused) == (0, {"default": 2})


@pytest.mark.parametrize(
    "text", ["", "all", "id:", "prefix:", "prefix:4x", "branch:", "branch:1/2", "owner:", "area:44"]
)
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a selector"):
        Selector([("rule", True, [text])])
