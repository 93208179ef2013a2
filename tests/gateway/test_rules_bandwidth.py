"""Quotas of bandwidth: what a stream counts, who is refused, and what is measured."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.crossing import StreamOffered
from cascade.model.rates import declared
from gateway.chamber.policy import CompiledRules
from gateway.chamber.rules import Quota
from gateway.chamber.under_way import UnderWay
from gateway.cli.quotas import taken
from gateway.local.messages import Status
from gateway.session.meter import Meter
from gateway.words import ENGLISH, Words
from interop.sim.upper import PlayRefused
from media import stats
from tests.clock import run
from tests.gateway.chamber_ground import LOWER, ROAD_CAMERA, rule, stream_open
from tests.gateway.test_rules_reload import LIVE, keeper_of, write
from tests.gateway.test_rules_times import Lock, ended
from tests.gateway.world import Link, text, world

MBIT = 1_000_000


def offered(correlation: int, description: str = "", encoding: str = "PS/90000") -> StreamOffered:
    return StreamOffered(
        correlation=correlation,
        origin=LOWER,
        channel=ROAD_CAMERA,
        action="media.live",
        stream=f"relay-{correlation}",
        payload_type=96,
        encoding=encoding,
        description=description,
    )


@pytest.mark.parametrize(
    ("description", "bits"),
    [
        ("v/2/5/25/1/4096a/1/8/1", 4_096_000 + 64_000),
        ("v/2/5/25/1/4096a///", 4_096_000),
        ("v/////a/1/8/1", 64_000),
        ("v/////a///", 0),
        ("v/2/5/25/1/a/1//1", 0),
        ("", 0),
        ("4096", 0),
    ],
)
def test_a_format_says_how_many_bits_it_has(description: str, bits: int) -> None:
    assert declared(description) == bits


@given(st.text("va/0123456789", max_size=40))
def test_whatever_it_says_is_a_rate_or_none(description: str) -> None:
    assert 0 <= declared(description) < 10**10


def test_streams_are_let_in_until_the_bandwidth_is_taken() -> None:
    """Each door counts; one that declares little makes room once it has said so."""

    async def scenario() -> None:
        quota = Quota(bits_per_second=8 * MBIT, stream_bits_per_second=3 * MBIT)
        lock = Lock(CompiledRules([rule("narrow", quota=quota)]))
        assert lock.inner.send(stream_open(correlation=1)).passes
        assert lock.inner.send(stream_open(correlation=2)).passes
        refused = lock.inner.send(stream_open(correlation=3))
        assert (refused.passes, refused.rule, refused.failure) == (None, "narrow", "refused")
        for figure in ("8 Mbit/s", "6 are taken", "counts 3"):
            assert figure in str(refused.reason)
        await asyncio.sleep(1)
        assert lock.outer.send(offered(1, "v/2/5/25/1/1000a///")).passes
        await asyncio.sleep(1)
        assert lock.inner.send(stream_open(correlation=3)).passes
        await asyncio.sleep(1)
        beyond = lock.outer.send(offered(2, "v/2/5/25/1/9000a///"))
        assert (beyond.passes, beyond.rule) == (None, "narrow")
        assert lock.outer.send(ended(2)).passes
        await asyncio.sleep(1)
        assert lock.inner.send(stream_open(correlation=4)).passes

    run(scenario())


def test_an_offer_that_only_the_far_door_refuses_ends_the_stream_on_both_sides() -> None:
    async def scenario() -> None:
        wide = Quota(bits_per_second=100 * MBIT, stream_bits_per_second=1 * MBIT)
        lock = Lock(CompiledRules([rule("r", quota=wide)]))
        lock.inner.adopt(
            CompiledRules([rule("r", quota=Quota(bits_per_second=2 * MBIT, stream_bits_per_second=MBIT))])
        )
        assert lock.inner.send(stream_open(correlation=1)).passes
        await asyncio.sleep(1)
        assert lock.outer.send(offered(1, "v/2/5/25/1/5000a///")).passes
        await asyncio.sleep(1)
        ends = [each for each in lock.delivered if type(each).__name__ == "StreamEnded"]
        assert [(each.failure, each.rule) for each in ends] == [("refused", "r")] * 2  # type: ignore[union-attr]
        assert lock.inner.streams == lock.outer.streams == []

    run(scenario())


def flowing(under_way: UnderWay, quota: Quota, count: int) -> None:
    for number in range(count):
        under_way.remember(stream_open(correlation=number), "outward", "r", None, quota)
        under_way.remember(offered(number, "v/2/5/25/1/1000a///"), "inward", "r", None, quota)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9 * MBIT)), max_size=12), st.sampled_from(["r", "s"])
)
def test_the_sum_is_that_of_the_streams_whatever_is_measured(
    measured: list[tuple[int, int]], later: str
) -> None:
    quota = Quota(bits_per_second=8 * MBIT, stream_bits_per_second=3 * MBIT)
    under_way = UnderWay(lambda: 0.0)
    flowing(under_way, quota, 4)
    assert under_way.bits_of("r") == 4 * MBIT
    for number, bits in measured:
        under_way.measured({f"relay-{number}": bits, "other": 7})
        under_way.judged(under_way.streams[number], later, quota)
    for name in "rs":
        mine = [stream for stream in under_way.streams if stream.rule == name]
        assert under_way.bits_of(name) == sum(stream.bits for stream in mine)
        assert under_way.streams_of(name) == len(mine)
    assert all(stream.bits >= MBIT for stream in under_way.streams)
    assert [stream.correlation for stream in under_way.streams] == [0, 1, 2, 3]
    for number in range(4):
        under_way.forget("outward", number)
    assert under_way.bits_of("r") == under_way.bits_of("s") == 0


def test_a_rate_is_what_came_between_two_looks() -> None:
    now, came = [10.0], {"one": 1000}

    def counters() -> stats.Counters:
        return stats.Counters(
            streams={name: stats.StreamCounters(bytes=count) for name, count in came.items()}
        )

    meter = Meter(counters, lambda: now[0])
    assert meter.rates() == {}
    now[0], came["one"], came["two"] = 12.0, 251_000, 5
    assert meter.rates() == {"one": MBIT}
    now[0], came["one"] = 12.5, 999_000
    assert meter.rates() == {"one": MBIT}  # the other door asked just now
    now[0] = 14.0
    assert meter.rates() == {"one": round(8 * 748_000 / 2), "two": 0}


QUOTA = 'quota = {{ bits_per_second = {bits}, stream_bits_per_second = 2000000, over = "{over}" }}\n'


def limited(bits: int, over: str = "refuse") -> str:
    return text().replace(LIVE, LIVE + QUOTA.format(bits=bits, over=over))


def test_who_would_take_more_than_there_is_gets_403_and_may_come_back(link: Link) -> None:
    """The cameras declare 1 Mbit/s and send less; who asks is counted with 2 until they have answered."""

    async def scenario() -> None:
        async with world(link, written=limited(3 * MBIT)) as here:
            await here.shown()
            one, two, three = here.shared()[:3]
            async with here.upper.play(one), here.upper.play(two) as second:
                with pytest.raises(PlayRefused) as refused:
                    async with here.upper.play(three):
                        pass
                assert refused.value.status == 403
                await asyncio.sleep(12.0)
                assert second.ended is None
            await asyncio.sleep(1.0)
            async with here.upper.play(three):
                pass
            await asyncio.sleep(1.0)
            assert here.gateway.inner.counters.refused["live"] == 1
            assert not here.gateway.inner.gate.streams

    run(scenario())


def test_the_status_says_how_much_of_a_quota_is_taken(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=limited(50 * MBIT)) as here:
            await here.shown()
            async with here.upper.play(here.shared()[0]):
                await asyncio.sleep(2.0)
                standing = here.gateway.desk(lambda: 0.0).status(Status())
                assert taken(standing.sides, ENGLISH) == ["Rule live has let through: 1 of 50 Mbit/s"]
                for line in taken(standing.sides, Words("zh")):
                    assert "码率 1/50 Mbit/s" in line

    run(scenario())


@pytest.mark.parametrize("over", ["refuse", "end"])
def test_what_is_measured_counts_and_ends_the_youngest_only_where_that_is_configured(
    link: Link, over: str
) -> None:
    async def scenario() -> None:
        async with world(link, written=limited(100 * MBIT, over)) as here:
            await here.shown()
            keeper = keeper_of(here)
            one, two = here.shared()[:2]
            async with here.upper.play(one) as first, here.upper.play(two) as second:
                await asyncio.sleep(30.0)
                rates = [stream.measured for stream in here.gateway.outer.gate.streams]
                assert len(rates) == 2
                assert all(10_000 < rate < 2 * MBIT for rate in rates)
                write(here, limited(sum(stream.bits for stream in here.gateway.outer.gate.streams) - 1, over))
                assert (await keeper.reload()).ended == 0
                await asyncio.sleep(12.0)
                assert first.ended is None
                assert (second.ended is not None) == (over == "end")

    run(scenario())
