"""Which errors on the wire get a line of their own: few, whoever sends however many."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.side.firsts import AGAIN_SECONDS, MAX_LINES, MAX_REMEMBERED, WINDOW_SECONDS, Firsts
from tests.clock import run
from tests.gateway.test_bad_input import Caller, register
from tests.gateway.world import LOWER_ID, Link, world


def test_each_source_and_kind_has_one_line_until_an_hour_has_passed() -> None:
    firsts = Firsts()
    assert firsts.told("203.0.113.1", "no From", 0.0) == 1
    assert firsts.told("203.0.113.1", "no From", 1.0) is None
    assert firsts.told("203.0.113.1", "no Via", 1.0) == 1
    assert firsts.told("203.0.113.2", "no From", 1.0) == 1
    for number in range(100):
        assert firsts.told("203.0.113.1", "no From", 2.0 + number) is None
    assert firsts.told("203.0.113.1", "no From", AGAIN_SECONDS) == 102
    assert firsts.told("203.0.113.1", "no From", AGAIN_SECONDS + 1.0) is None


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3000).map(str), st.sampled_from(["no From", "no Via"]), st.floats(0.0, 60.0)
        ),
        max_size=2000,
    )
)
def test_lines_and_memory_are_bounded_whoever_sends(errors: list[tuple[str, str, float]]) -> None:
    firsts, now, lines = Firsts(), 0.0, 0
    for source, kind, wait in errors:
        now += wait
        lines += firsts.told(source, kind, now) is not None
        assert len(firsts) <= MAX_REMEMBERED
    assert lines <= MAX_LINES * (now // WINDOW_SECONDS + 1)


def test_malformed_datagrams_make_one_line_of_a_source_and_kind_and_then_sums(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            sources = [f"203.0.113.{number}" for number in range(90, 93)]
            callers = [Caller(here, (source, 5060)) for source in sources]
            broken = register(LOWER_ID, "m1").replace("CSeq: 1 REGISTER", "CSeq: 1 MESSAGE")
            for _ in range(300):
                for caller in callers:
                    caller.throw(broken)
                    caller.throw("not a message at all\r\n\r\n")
                await asyncio.sleep(1.0)
            assert here.gateway.outer.side.endpoint.stack.counters()["malformed"] == 1800
            for caller in callers:
                caller.close()

    with caplog.at_level(logging.WARNING):
        run(scenario())
    lines = [record for record in caplog.records if record.getMessage() == "sip.malformed"]
    assert len({(line.__dict__["source"], line.__dict__["reason"]) for line in lines}) == len(lines) == 6
    sums = [
        line.__dict__["new"]
        for line in caplog.records
        if line.getMessage() == "sip.trouble" and line.__dict__["counter"] == "malformed"
    ]
    assert sum(sums) == 1800
    assert len(sums) <= 32


def test_a_flood_from_forged_sources_makes_few_lines(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            for number in range(500):
                caller = Caller(here, (f"203.0.113.{100 + number % 100}", 20_000 + number))
                caller.throw("not a message at all\r\n\r\n")
                await asyncio.sleep(0.1)
                caller.close()

    with caplog.at_level(logging.WARNING):
        run(scenario())
    lines = [record for record in caplog.records if record.getMessage() == "sip.malformed"]
    assert 1 <= len(lines) <= MAX_LINES
