"""Rules that count at certain times, and rules that let only so much pass."""

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.crossing import Crossing, StreamEnded
from gateway.chamber.gate import Gate
from gateway.chamber.link.memory import memory_link
from gateway.chamber.policy import CompiledRules, judge
from gateway.chamber.rules import DAYS, Quota, When
from gateway.chamber.under_way import MINUTE
from gateway.keeper import keeping
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.chamber_ground import (
    LOWER,
    NEITHER,
    ROAD_CAMERA,
    SCHOOL_CAMERA,
    UPPER,
    Recorded,
    answer,
    ask,
    places,
    presence,
    ptz,
    rule,
    stream_open,
)
from tests.gateway.test_rules_reload import LIVE, keeper_of
from tests.gateway.world import INNER, Link, Wire, header, text, world
from tests.gateway.world import UPPER as UPPER_HOST

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONDAY = datetime(2026, 3, 2, tzinfo=SHANGHAI).timestamp()
HOUR = 3600.0
DAY = 24 * HOUR
WALLS = st.floats(0, 4e9)


def test_a_time_is_by_the_clock_on_the_wall_of_its_zone() -> None:
    office = When(days=("mon", "tue", "wed", "thu", "fri"), hours=("08:00-12:00", "14:00-18:00"))
    for hour, holds in (
        (7.99, False),
        (8.0, True),
        (11.99, True),
        (12.0, False),
        (14.0, True),
        (18.0, False),
    ):
        assert office.holds(MONDAY + hour * HOUR) is holds, hour
    assert not office.holds(MONDAY + 5 * DAY + 9 * HOUR)  # Saturday
    utc = When(days=office.days, hours=office.hours, zone="UTC")
    assert utc.holds(MONDAY + 17 * HOUR) and not utc.holds(MONDAY + 9 * HOUR)  # noqa: PT018


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin() -> None:
    night = When(days=("mon",), hours=("22:00-06:00",))
    found = [hour for hour in range(-24, 72) if night.holds(MONDAY + hour * HOUR)]
    assert found == [22, 23, 24, 25, 26, 27, 28, 29]


def test_a_day_may_last_until_midnight() -> None:
    late = When(hours=("23:00-24:00",))
    assert late.holds(MONDAY - 1) and not late.holds(MONDAY)  # noqa: PT018


@given(WALLS)
def test_what_names_no_time_always_counts(wall: float) -> None:
    assert When().always
    assert When().holds(wall)
    assert When(days=DAYS, hours=("00:00-24:00",)).holds(wall)


@given(WALLS, st.sampled_from(["Asia/Shanghai", "Asia/Urumqi", "Europe/Berlin", "UTC"]))
def test_two_halves_of_the_day_are_the_day(wall: float, zone: str) -> None:
    halves = [When(hours=(hours,), zone=zone).holds(wall) for hours in ("06:00-18:00", "18:00-06:00")]
    assert sorted(halves) == [False, True]


def test_outside_its_time_a_rule_is_as_if_it_were_not_there() -> None:
    closed = rule("closed", verdict="deny", when=When(hours=("18:00-08:00",)))
    rules = CompiledRules([closed, rule("live")])

    def decides(wall: float) -> str:
        return judge(rules.at(wall), stream_open(), "outward", places).rule

    assert [decides(MONDAY + hour * HOUR) for hour in (7, 9, 19, 33)] == ["closed", "live", "closed", "live"]
    assert rules.at(MONDAY + 9 * HOUR) is rules.at(MONDAY + 10 * HOUR)
    assert rules.at(MONDAY).veils is rules.veils  # what is veiled at noon can be read at night
    plain = CompiledRules([rule("live")])
    assert plain.at(MONDAY) is plain


@given(st.lists(WALLS, min_size=1), st.lists(st.sampled_from(["08:00-18:00", "22:00-06:00"]), max_size=4))
def test_which_rules_count_depends_on_the_time_alone(walls: list[float], hours: list[str]) -> None:
    given_rules = [rule(str(number), when=When(hours=(each,))) for number, each in enumerate(hours)]
    asked_before = CompiledRules(given_rules)
    for wall in walls:
        counting = [each for each in given_rules if each.when.holds(wall // 60 * 60)]
        assert list(asked_before.at(wall).rules) == counting


class Lock:
    """Two doors with the same rules, and a clock that is moved by hand."""

    def __init__(self, rules: CompiledRules) -> None:
        loop = asyncio.get_running_loop()
        ends = memory_link(loop)
        self.audits = {"outer": Recorded(), "inner": Recorded()}
        self.delivered: list[Crossing] = []
        self.outer = Gate(
            side="outer",
            rules=rules,
            audit=self.audits["outer"],
            link=ends[0],
            places=places,
            clock=loop.time,
            wall=lambda: MONDAY,
        )
        self.inner = Gate(
            side="inner",
            rules=rules,
            audit=self.audits["inner"],
            link=ends[1],
            places=places,
            clock=loop.time,
            wall=lambda: MONDAY,
        )
        self.outer.on_delivery = self.inner.on_delivery = self.delivered.append


def ended(correlation: int, camera: object = ROAD_CAMERA) -> StreamEnded:
    return StreamEnded(correlation=correlation, origin=UPPER, channel=camera)  # type: ignore[arg-type]


def test_so_many_streams_and_no_more_until_one_has_ended() -> None:
    async def scenario() -> None:
        lock = Lock(CompiledRules([rule("two", quota=Quota(streams=2))]))
        one, two, three = (stream_open(correlation=number) for number in (1, 2, 3))
        assert lock.inner.send(one).passes
        assert lock.inner.send(two).passes
        refused = lock.inner.send(three)
        assert (refused.passes, refused.rule, refused.failure) == (None, "two", "refused")
        assert "2 streams flow at once" in str(refused.reason)
        await asyncio.sleep(1)
        assert len(lock.delivered) == 2  # the other door counts for itself, and has counted the same
        assert lock.outer.send(ended(1)).passes
        await asyncio.sleep(1)
        assert lock.inner.send(three).passes
        await asyncio.sleep(1)
        assert lock.audits["outer"].entries[-1]["verdict"] == "passed"

    run(scenario())


def test_a_stream_that_went_nowhere_does_not_count() -> None:
    async def scenario() -> None:
        lock = Lock(CompiledRules([rule("one", quota=Quota(streams=1))]))
        lock.audits["inner"].broken = True
        assert lock.inner.send(stream_open(correlation=1)).rule == "audit"
        lock.audits["inner"].broken = False
        assert lock.inner.send(stream_open(correlation=2)).passes
        lock.inner.linked(False)
        assert lock.inner.send(stream_open(correlation=3)).passes

    run(scenario())


def test_so_many_commands_in_any_minute() -> None:
    async def scenario() -> None:
        rules = [rule("slow", quota=Quota(commands=3)), rule("presence", direction="inward")]
        lock = Lock(CompiledRules(rules))
        assert lock.inner.send(ask(correlation=1)).passes
        await asyncio.sleep(MINUTE / 2)
        assert lock.inner.send(ptz()).passes
        assert lock.inner.admits("control.ptz", ROAD_CAMERA, UPPER)
        assert lock.inner.send(ptz(SCHOOL_CAMERA)).passes
        assert not lock.inner.admits("control.ptz", ROAD_CAMERA, UPPER)
        assert lock.inner.send(ptz()).rule == "slow"
        assert lock.outer.send(answer(correlation=1)).passes  # an answer and a stream are no commands
        assert lock.inner.send(stream_open(NEITHER)).passes
        assert lock.outer.send(presence((LOWER, True))).passes
        await asyncio.sleep(MINUTE / 2)
        assert lock.inner.send(ptz()).passes
        assert lock.inner.send(ptz()).rule == "slow"

    run(scenario())


def test_a_viewer_beyond_the_quota_is_told_and_may_come_back(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=text().replace(LIVE, LIVE + "quota = { streams = 1 }\n")) as here:
            await here.shown()
            one, two = here.shared()[:2]
            async with here.upper.play(one):
                with pytest.raises(PlayRefused) as refused:
                    async with here.upper.play(two):
                        pass
                assert refused.value.status == 403
            await asyncio.sleep(1.0)
            async with here.upper.play(two):
                pass
            assert here.gateway.inner.counters.refused["live"] == 1

    run(scenario())


def test_a_stream_ends_with_the_time_of_its_rule_and_rows_go(link: Link) -> None:
    """It is 16:00 in Shanghai when this world begins."""
    written = text().replace(LIVE, LIVE + 'when = { hours = ["16:00-16:02"] }\n')
    rows = written.index('channels = ["*"]')
    written = written[:rows] + 'when = { hours = ["15:00-16:03"], days = ["sun"] }\n' + written[rows:]

    async def scenario() -> None:
        async with world(link, written=written) as here, keeping(keeper_of(here)):
            await here.shown()
            wire = Wire(here.network)
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(100.0)
                assert playing.ended is None
                await asyncio.sleep(25.0)
                assert playing.ended is not None
                assert "default" in header(wire.between(INNER, UPPER_HOST, "BYE")[0], "Reason")
            assert here.playable() == sorted(here.shared())
            await asyncio.sleep(60.0)
            assert here.playable() == []
            assert not (await here.upper.catalog()).channels()

    run(scenario())
