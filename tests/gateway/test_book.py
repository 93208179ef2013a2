"""What a side keeps is bounded, and streams are not pushed out by everything else."""

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.chamber.audit import AuditUnavailable
from gateway.trace.book import MAX_CROSSINGS, MAX_WEIGHT, Book, Recording
from gateway.trace.facts import Began
from gateway.words import saying


def entry(kind: str, number: int, subjects: int = 0) -> dict[str, Any]:
    return {
        "door": "send",
        "direction": "inward",
        "kind": kind,
        "action": "media.live",
        "origin": "peer",
        "correlation": number,
        "subjects": ["a/b"] * subjects,
        "verdict": "passed",
        "rule": "live",
    }


def book() -> Book:
    return Book("outer", clock=lambda: 100.0, wall=lambda: 5000.0)


def test_the_newest_are_kept_and_streams_apart() -> None:
    kept = book()
    kept.crossed(entry("StreamOpen", 1))
    for number in range(2 * MAX_CROSSINGS):
        kept.crossed(entry("CatalogBatch", number))
    found = list(kept.crossings())
    assert len(found) == MAX_CROSSINGS + 1
    assert found[0].kind == "StreamOpen"
    assert found[-1].correlation == 2 * MAX_CROSSINGS - 1


def test_what_names_much_weighs_more() -> None:
    kept = book()
    for number in range(MAX_CROSSINGS):
        kept.crossed(entry("Answer", number, subjects=64))
    assert 65 * len(list(kept.crossings())) <= MAX_WEIGHT


def test_moments_are_of_the_day_and_numbers_rise() -> None:
    kept = book()
    kept.crossed(entry("StreamOpen", 1))
    kept.media(Began(stream="s", ssrc=1, host="h", port=1))
    kept.crossed({"event": "recording-resumed", "kind": "Note"})
    (crossing,) = kept.crossings()
    (began,) = kept.streams()
    assert (crossing.at, began.at, began.side) == (5000.0, 5000.0, "outer")
    assert (crossing.number, began.number, kept.newest) == (1, 2, 3)
    assert list(kept.crossings(after=1)) == []
    assert kept.at(90.0) == 4990.0


def test_what_cannot_be_recorded_is_kept_as_what_it_is() -> None:
    class Full:
        def record(self, _entry: Mapping[str, Any]) -> None:
            raise AuditUnavailable(saying("system.full"))

    kept = book()
    with pytest.raises(AuditUnavailable):
        Recording(Full(), kept).record(entry("StreamOpen", 1))
    (crossing,) = kept.crossings()
    assert (crossing.passed, crossing.rule) == (False, "audit")
