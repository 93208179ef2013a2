"""A record is the same bytes whoever writes it: the native scribe, or Python as the reference has it."""

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from cascade.crossing import Ask, CatalogBatch, Crossing, NoAnswer, StreamEnded
from cascade.model.commands import Command
from cascade.model.ids import ChannelId, PlatformId
from cascade.model.secret import Secret
from cascade.ports import Verdict
from gateway.chamber import chain
from gateway.chamber._native import Scribe
from gateway.chamber.record import MAX_SUBJECTS, Post, describe, scribe
from tests.gateway.chamber_ground import CROSSINGS, LOWER, ROAD_CAMERA, UPPER, ask, batch, channel, rows
from tests.gateway.reference_record import described

SENT = Post("outer", "send", "inward")
WALL, TIME = 1_767_225_600.25, "2026-01-01T00:00:00.250000+00:00"
ours = scribe()


class Part(Struct, frozen=True):
    zone: str
    door: ChannelId | None
    above: PlatformId | None


class Anything(Command, frozen=True):
    """Whatever a field of a command added tomorrow may hold."""

    action: ClassVar[str] = "control.anything"

    value: Any
    other: Any = None
    above: tuple[ChannelId | PlatformId, ...] = ()


_channels = st.integers(0, 5).map(channel)
_platforms = st.sampled_from([LOWER, UPPER])
_plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(max_size=200)
    | st.text().map(Secret)
    | st.binary(max_size=5)
    | _channels
    | _platforms
    | st.builds(rows, _channels)
    | st.builds(Part, st.text(), st.none() | _channels, st.none() | _platforms)
)
_values = st.recursive(
    _plain,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.lists(inner, max_size=20).map(tuple)
        | st.builds(Anything, value=inner, other=inner)
    ),
    max_leaves=12,
)
_anything: st.SearchStrategy[Any] = st.builds(
    Ask,
    correlation=st.integers(0, 2**70),
    origin=_platforms,
    users=st.lists(st.text(max_size=140), max_size=20).map(tuple),
    payload=st.builds(
        Anything, value=_values, other=_values, above=st.lists(_channels | _platforms, max_size=90).map(tuple)
    ),
)
_moments = st.floats(-10.0, 1e10) | st.sampled_from([0.0, 1e-6, 0.001, 1e9, 999_999_999.999_999])


def by_reference(crossing: Crossing, verdict: Verdict, monotonic: float) -> tuple[bytes, str]:
    full = {**described(crossing, verdict, SENT), "time": TIME, "monotonic": monotonic}
    return chain.seal(full, sequence=7, previous=chain.GENESIS)


@settings(deadline=None)
@given(crossing=CROSSINGS | _anything, rule=st.text(max_size=9), passes=st.booleans(), moment=_moments)
@example(StreamEnded(correlation=1, origin=UPPER, channel=ROAD_CAMERA), "always", True, 1e16)
def test_the_same_bytes_as_the_reference(crossing: Any, rule: str, passes: bool, moment: float) -> None:
    moment = round(moment * 1e6) / 1e6
    verdict = Verdict(crossing if passes else None, rule, "", {"no-schools": 2, "路": 3})
    written = ours.tell(crossing, verdict, SENT, (WALL, moment, 7, chain.GENESIS))
    assert written == by_reference(crossing, verdict, moment)


@settings(deadline=None)
@given(crossing=CROSSINGS | _anything)
def test_what_is_written_is_checked(crossing: Any) -> None:
    verdict = Verdict(None, "default")
    line, hashed = ours.tell(crossing, verdict, SENT, (WALL, 1.5, 1, chain.GENESIS))
    record = json.loads(line)
    assert record.pop("hash") == hashed
    assert chain.digest(chain.GENESIS, record) == hashed
    assert chain.canonical(record) + b"\n" == line.replace(f',"hash":"{hashed}"'.encode(), b"")


@given(st.floats(0, 2**33) | st.integers(0, 2**33).map(float))
def test_a_moment_is_written_as_python_has_it(wall: float) -> None:
    second, rest = divmod(wall, 1.0)
    text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    assert ours.moment(wall) == f"{text}.{int(rest * 1e6):06d}+00:00"


def test_half_a_character_is_a_question_mark() -> None:
    told = NoAnswer(correlation=1, origin=UPPER, action="a\ud800b", failure="failed", users=("\udfff",))
    entry = describe(told, Verdict(told, "always"), SENT)
    assert (entry["action"], entry["users"]) == ("a?b", ["?"])


def test_a_name_is_listed_once_and_in_its_place() -> None:
    doors = (channel(3), UPPER, channel(1), channel(3), UPPER)
    entry = describe(
        Ask(correlation=1, origin=UPPER, payload=Anything(value=1, above=doors)), Verdict(None, "x"), SENT
    )
    assert entry["subjects"] == [str(channel(3)), str(UPPER), str(channel(1))]


def test_a_record_cut_short_says_who_and_how_many() -> None:
    doors = tuple(map(channel, range(MAX_SUBJECTS + 6)))
    given = Ask(correlation=1, origin=UPPER, users=("officer",), payload=Anything(value="long", above=doors))
    line, _ = ours.tell(given, Verdict(None, "x"), SENT, (WALL, 1.5, 1, chain.GENESIS), cut=True)
    record = json.loads(line)
    assert record["cut"] is True
    assert (record["details"], record["subjects"], record["users"]) == ({}, [], [])
    assert (record["subjects_not_listed"], record["origin"], record["kind"]) == (6, UPPER, "Ask")


@pytest.mark.parametrize("way", ["texts", "text "])
def test_a_plan_that_means_nothing_is_an_error(way: str) -> None:
    def plan(kind: type) -> Any:
        return (kind.__name__, None, False, way, "", (), ())

    with pytest.raises(ValueError, match=way):
        Scribe(plan, msgspec.json.encode, 1, 1, 1).tell(ask(), Verdict(None, "x"), SENT)


def test_a_batch_counts_its_rows() -> None:
    given = batch(rows(channel(1), channel(2)))
    passes = CatalogBatch(correlation=1, origin=LOWER, change="present", rows=rows(channel(1)))
    verdict = Verdict(passes, "row-by-row", "", {"b": 1, "a": 2})
    line, _ = ours.tell(given, verdict, SENT)
    assert b'"rows":2,"rows_passed":1,"rows_refused":{"a":2,"b":1}' in line
