"""What a side keeps is bounded, and streams are not pushed out by everything else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cascade.crossing import Crossing
from cascade.ports import Verdict
from gateway.chamber.audit import Audit, AuditUnavailable
from gateway.chamber.chain import canonical
from gateway.chamber.record import Post, describe_head
from gateway.trace.book import MAX_CROSSINGS, MAX_WEIGHT, Book, Recording
from gateway.trace.facts import Began
from gateway.words import saying
from tests.gateway.chamber_ground import ROAD_CAMERA, UPPER, stream_open

SENT = Post("outer", "send", "inward")


def entry(kind: str, number: int, subjects: int = 0) -> bytes:
    return canonical(
        {
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
    )


def book() -> Book:
    return Book("outer", clock=lambda: 100.0, wall=lambda: 5000.0)


def test_the_newest_are_kept_and_streams_apart() -> None:
    kept = book()
    kept.crossed(entry("StreamOpen", 1), stream=True)
    for number in range(2 * MAX_CROSSINGS):
        kept.crossed(entry("CatalogBatch", number))
    found = list(kept.crossings())
    assert len(found) == MAX_CROSSINGS + 1
    assert found[0].kind == "StreamOpen"
    assert found[-1].correlation == 2 * MAX_CROSSINGS - 1


def test_what_names_much_weighs_more() -> None:
    kept = book()
    for number in range(MAX_CROSSINGS):
        kept.crossed(entry("Answer", number, subjects=500))
    assert 500 * len(list(kept.crossings())) * len('"a/b",') <= MAX_WEIGHT


def test_moments_are_of_the_day_and_numbers_rise() -> None:
    kept = book()
    kept.crossed(entry("StreamOpen", 1), stream=True)
    kept.media(Began(stream="s", ssrc=1, host="h", port=1))
    kept.crossed(canonical({"event": "recording-resumed", "kind": "Note"}))
    (crossing,) = kept.crossings()
    (began,) = kept.streams()
    assert (crossing.at, began.at, began.side) == (5000.0, 5000.0, "outer")
    assert (crossing.number, began.number, kept.newest) == (1, 2, 3)
    assert list(kept.crossings(after=1)) == []
    assert kept.at(90.0) == 4990.0


class Full:
    """An audit that takes nothing."""

    def cross(self, _crossing: Crossing, _verdict: Verdict, _post: Post) -> bytes:
        raise AuditUnavailable(saying("system.full"))

    def record(self, _entry: Mapping[str, Any]) -> bytes:
        raise AuditUnavailable(saying("system.full"))


def test_what_cannot_be_recorded_is_kept_as_what_it_is() -> None:
    kept, wanted = book(), stream_open()
    recording = Recording(Full(), kept)
    with pytest.raises(AuditUnavailable):
        recording.cross(wanted, Verdict(wanted, "live"), SENT)
    head = describe_head("media.live", ROAD_CAMERA, UPPER, Verdict(None, "no-live"), SENT)
    with pytest.raises(AuditUnavailable):
        recording.record(head)
    with pytest.raises(AuditUnavailable):  # it does not cross, so nobody asks for it here
        recording.record({"side": "outer", "kind": "Note", "event": "binding-moved"})
    assert [(one.kind, one.passed, one.rule) for one in kept.crossings()] == [
        ("StreamOpen", False, "audit"),
        ("Head", False, "audit"),
    ]


def test_a_crossing_is_kept_as_its_record(tmp_path: Path) -> None:
    kept, wanted = book(), stream_open()
    audit = Audit(tmp_path / "audit.jsonl")
    Recording(audit, kept).cross(wanted, Verdict(wanted, "live"), SENT)
    audit.close()
    (entry,) = kept.entries()
    assert entry == json.loads(audit.path.read_bytes())
