"""What a side holds and takes at most: named, counted, told of once, and strangers lose first."""

import asyncio
import logging
import re
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import asdict, fields

from cascade.limits import USUAL
from gateway.config import examine, load
from gateway.config_changes import changes_of, in_force
from gateway.config_limits import ABOVE, COUNTERS, HARMLESS, OF_ENGINE, LimitsConfig, costly, met
from gateway.words import ENGLISH, LANGUAGES
from gateway.words.limits import LIMITS
from sip._native import Core
from tests.clock import run
from tests.gateway.by_hand import Hand
from tests.gateway.test_cli import lockgate
from tests.gateway.test_reload_peers import secrets
from tests.gateway.test_rules_reload import keeper_of, write
from tests.gateway.test_status import drawn, standing
from tests.gateway.world import (
    LOWER,
    OUTER,
    OUTER_ID,
    Link,
    Wire,
    settings_in,
    text,
    world,
)

FORGER = ("203.0.113.99", 5060)


def limited(side: str = "outer", /, **limits: int) -> str:
    """The world's configuration with these limits on one side."""
    table = f"[{side}.limits]\n" + "".join(f"{name} = {value}\n" for name, value in limits.items())
    return text() + table


# The configuration


def test_every_limit_is_the_engines_and_has_a_counter_and_words() -> None:
    names = {field.name for field in fields(LimitsConfig)}
    engine = Core(("192.0.2.1", 5060), "r", ["0.0.0.0/0"], bytes(32), limits=LimitsConfig().engine())
    for name in names - {*ABOVE}:
        engine.set_limits({name: asdict(LimitsConfig())[name]})
    with pytest.raises(ValueError, match="no limit is called"):
        engine.set_limits({"nonsense": 1})
    assert names - {"retry_after", "retry_spread"} == COUNTERS.keys() == LIMITS.keys()
    assert {counter for each in OF_ENGINE.values() for counter in each} <= engine.counters().keys()
    assert COUNTERS.keys() > HARMLESS


def test_the_engines_own_defaults_are_those_of_the_configuration() -> None:
    """So that nothing is another where nobody configured it: a test and the gateway have the same limits."""
    usual = asdict(LimitsConfig())
    rust = (Path(__file__).parents[2] / "native/sip-core/src/limits.rs").read_text()
    body = rust.partition("fn default() -> Self")[2].partition("fn set")[0]
    assert LimitsConfig().above() == USUAL
    for name, value in usual.items():
        if name in ABOVE:
            continue
        written = body.partition(f"{name}: ")[2].partition(",")[0].replace("_", "")
        assert eval(written, {"__builtins__": {}}) == value, name


@pytest.mark.parametrize(
    ("limits", "at"),
    [
        ({"requests": 63}, "outer.limits.requests"),
        ({"strangers_of_source": 9}, "outer.limits.strangers_of_source"),
        ({"retry_after": 3601}, "outer.limits.retry_after"),
        ({"requets": 100}, "outer.limits.requets"),
    ],
)
def test_a_limit_beyond_its_bounds_is_named(limits: dict[str, int], at: str) -> None:
    with settings_in(limited(**limits)) as folder:
        problems = examine(folder / "gateway.toml").problems
    assert [problem.key for problem in problems] == [at]


def test_check_and_diff_know_the_limits() -> None:
    with settings_in(text()) as folder:
        before = load(folder / "gateway.toml")
        other = folder / "other.toml"
        other.write_text(limited(strangers_of_source=77))
        after = load(other)
        changes = changes_of(before, after)
        assert (changes.limits, changes.later) == (("outer.limits.strangers_of_source",), ())
        assert in_force(before, after).outer.limits.strangers_of_source == 77
        shown = lockgate("diff", other, "--config", folder / "gateway.toml")
        assert "outer.limits.strangers_of_source" in shown.stdout


# What they do


async def flood(hand: Hand, seconds: float, a_second: int) -> None:
    """REGISTER of ids that nobody knows, evenly."""
    for number in range(round(seconds * 20)):
        for turn in range(a_second // 20):
            me = f"4401060000118{number * 100 + turn:07d}"
            hand.send(hand.request("REGISTER", OUTER_ID, me=me, to=me, headers=["Expires: 3600"]))
        await asyncio.sleep(0.05)


def test_a_flood_of_strangers_is_dropped_unread_told_of_once_and_harms_nobody(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with world(link, written=limited(strangers_of_source=20)) as here:
            await here.shown()
            wire = Wire(here.network)
            hand = Hand(here.network, FORGER, (OUTER, 5060), ())
            counters = here.gateway.outer.side.endpoint.stack.counters
            before = counters()["strangers_of_source"]
            assert "limit" not in drawn(standing(here), None, "en", columns=240)
            await flood(hand, 130.0, 200)
            after = counters()
            assert after["strangers_of_source"] - before > 130 * 170
            assert after["now_strangers"] == 0
            asked = wire.between(LOWER, OUTER, "MESSAGE")
            answered = wire.between(OUTER, LOWER, "SIP/2.0 200")
            assert len(asked) == len(answered) >= 2  # each at its first try
            async with here.upper.play(here.shared()[0]):
                await asyncio.sleep(1.0)
            shown = drawn(standing(here), None, "en", columns=240)
            assert "strangers_of_source" in shown
            hand.close()

    with caplog.at_level(logging.WARNING, logger="gateway.side.router"):
        run(scenario())
    told = [vars(line) for line in caplog.records if line.getMessage() == "limit.reached"]
    assert [(line["limit"], line["source"], line["count"]) for line in told] == [
        ("strangers_of_source", "203.0.113.99:5060", 1)
    ]
    assert "dropped unread" in ENGLISH.render(told[0]["what"])


def test_a_peer_that_was_registered_before_a_restart_is_no_stranger_after_it(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()

            def known() -> int:
                return here.gateway.outer.side.endpoint.stack.counters()["now_known"]

            assert known() == 1
            await here.kill()
            await asyncio.sleep(0.1)
            assert known() == 1
            await here.lower.membership.register(0)
            await asyncio.sleep(0.1)
            assert known() == 0

    run(scenario())


def test_limits_are_taken_while_the_gateway_runs(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            secrets(here)
            keeper = keeper_of(here)
            hand = Hand(here.network, FORGER, (OUTER, 5060), ())
            counters = here.gateway.outer.side.endpoint.stack.counters
            await flood(hand, 3.0, 200)
            assert counters()["strangers_of_source"] == 0
            write(here, limited(strangers_of_source=20))
            assert (await keeper.reload()).taken
            await flood(hand, 3.0, 200)
            assert counters()["strangers_of_source"] > 400
            assert here.gateway.outer.side.as_upper.state()[0].online
            hand.close()

    run(scenario())


def test_what_a_displaced_connection_costs_is_counted_once() -> None:
    counters = {"streams_displaced": 5, "streams_of_source": 3, "streams_refused": 1, "overload": 0}
    assert met(counters) == {"connections": 3, "connections_of_source": 3}


def test_a_limit_above_the_engine_is_shown_and_told_of_and_taken_by_a_reload(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    """An upper that asks for its catalog five times at once, where one query may wait."""

    async def scenario() -> None:
        async with world(link, written=limited("inner", catalog_requests_of_upper=1)) as here:
            await here.shown()
            secrets(here)
            keeper = keeper_of(here)

            async def ask() -> bool:
                return (await here.upper.catalog()).complete

            answered = await asyncio.gather(*(ask() for _ in range(5)))
            assert 1 <= sum(answered) < 5
            lost = here.gateway.inner.side.counters()["limit_catalog_requests_of_upper"]
            assert lost == 5 - sum(answered)
            shown = [drawn(standing(here), None, language, columns=240) for language in LANGUAGES]
            assert f"limit catalog_requests_of_upper met {lost} times" in shown[0]
            assert f"达到限值 catalog_requests_of_upper {lost} 次" in shown[1]
            write(here, limited("inner", catalog_requests_of_upper=8))
            assert (await keeper.reload()).taken
            assert sum(await asyncio.gather(*(ask() for _ in range(5)))) == 5

    with caplog.at_level(logging.WARNING, logger="gateway.side.troubles"):
        run(scenario())
    told = [vars(line) for line in caplog.records if line.getMessage() == "limit.met"]
    assert [line["counter"] for line in told] == ["catalog_requests_of_upper"]
    assert "catalog queries" in ENGLISH.render(told[0]["what"])


def test_what_costs_nobody_anything_is_counted_and_is_no_trouble() -> None:
    counters = {"limit_tries_under_way": 70_000, "limit_questions": 2}
    assert met(counters) == {"tries_under_way": 70_000, "questions": 2}
    assert costly(counters) == {"questions": 2}


# The page


PAGE = Path(__file__).parents[2] / "docs" / "operations" / "limits.md"


def test_the_page_has_every_limit_with_its_default_its_bounds_and_its_counters() -> None:
    rows = [
        [cell.strip().replace(",", "") for cell in line.strip("|").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    found = {row[0].strip("`"): row for row in rows}
    assert len(found) == len(rows)
    schema = msgspec.json.schema(LimitsConfig)["$defs"]["LimitsConfig"]["properties"]
    assert schema.keys() == found.keys()
    for name, said in schema.items():
        _, default, least, most, loses, counters = found[name]
        assert (int(default), int(least), int(most)) == (said["default"], said["minimum"], said["maximum"])
        assert loses
        assert re.findall("`([a-z_]+)`", counters) == [*COUNTERS.get(name, ())]
