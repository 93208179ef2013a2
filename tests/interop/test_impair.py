"""A bad network by plan: the same seed, the same losses, and each kind of harm as often as planned."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from interop.impair.plan import Fates, Plan, UnusablePlan, Way, read_plan
from interop.impair.relay import MAX_HELD, Relay
from tests.clock import run
from tests.sip.network import Network

ONE, OTHER, HERE = ("203.0.113.30", 5060), ("203.0.113.20", 5060), ("203.0.113.9", 5060)
COUNT = 10_000


def fates(way: Way, seed: str = "7") -> list[list[float]]:
    one = Fates(way, seed)
    return [one.next() for _ in range(COUNT)]


def test_the_same_seed_has_the_same_fates_and_another_has_others() -> None:
    way = Way(loss=0.2, duplicate=0.1, reorder=0.1, delay=0.01, jitter=0.05)
    assert fates(way) == fates(way) != fates(way, "8")


def test_each_harm_is_as_often_as_planned() -> None:
    one = Fates(Way(loss=0.2, duplicate=0.1, reorder=0.3, hold=1.0), "7")
    moments = [one.next() for _ in range(COUNT)]
    assert one.lost == moments.count([]) == pytest.approx(0.2 * COUNT, rel=0.1)
    assert one.doubled == sum(len(each) == 2 for each in moments) == pytest.approx(0.08 * COUNT, rel=0.1)
    assert one.reordered == sum(each[:1] == [1.0] for each in moments) == pytest.approx(0.24 * COUNT, rel=0.1)
    assert one.passed + one.lost == COUNT


def test_what_happens_to_one_datagram_changes_no_others_fate() -> None:
    before, after = fates(Way(loss=0.2)), fates(Way(loss=0.2, drop=frozenset({1, 2, 3})))
    assert after == [[], [], [], *before[3:]]


def carried(
    plan: Plan, datagrams: int, *, one: tuple[str, int] | None = ONE
) -> tuple[list[int], list[int], dict[str, int]]:
    """Numbered datagrams both ways, a tenth of a second apart: what came, and the relay's totals."""
    at_one: list[int] = []
    at_other: list[int] = []
    totals: dict[str, int] = {}

    async def scenario() -> None:
        network = Network(asyncio.get_running_loop(), 1)
        relay = Relay(network, HERE, one, OTHER, plan)
        near = network.datagrams(ONE, noted(at_one))
        far = network.datagrams(OTHER, noted(at_other))
        stranger = network.datagrams(("203.0.113.66", 5060), lambda _payload, _source: None)
        for number in range(datagrams):
            near.send(b"%d" % number, HERE)
            far.send(b"%d" % number, HERE)
            await asyncio.sleep(0.1)
            if one:
                stranger.send(b"666", HERE)
        await asyncio.sleep(10.0)
        totals.update(relay.totals())
        for port in (near, far, stranger):
            port.close()
        relay.close()
        assert network.bound() == []

    def noted(came: list[int]) -> Callable[[bytes, tuple[str, int]], None]:
        def note(payload: bytes, source: tuple[str, int]) -> None:
            assert source == HERE
            came.append(int(payload))

        return note

    run(scenario())
    return at_one, at_other, totals


def test_each_end_hears_the_other_from_one_address_and_a_third_one_is_not_carried() -> None:
    at_one, at_other, totals = carried(Plan(), 20)
    assert at_one == at_other == list(range(20))
    assert totals == {"passed": 40, "lost": 0, "doubled": 0, "delayed": 0, "reordered": 0}


def test_ways_are_harmed_each_by_its_own_plan() -> None:
    plan = Plan(to_other=Way(drop=frozenset({1, 3})), to_one=Way(delay=2.0, duplicate=1.0))
    at_one, at_other, totals = carried(plan, 4)
    assert at_other == [1, 3]
    assert sorted(at_one) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert totals == {"passed": 6, "lost": 2, "doubled": 4, "delayed": 4, "reordered": 0}


def test_what_is_held_is_overtaken() -> None:
    at_one, _, totals = carried(Plan(seed=3, to_one=Way(reorder=0.3, hold=0.25)), 50)
    assert sorted(at_one) == list(range(50)) != at_one
    assert totals["reordered"] > 5


def test_who_speaks_first_is_the_first_end_where_none_is_named() -> None:
    at_one, at_other, _ = carried(Plan(), 3, one=None)
    assert (at_one, at_other) == ([0, 1, 2], [0, 1, 2])


def test_so_many_are_held_and_no_more() -> None:
    async def scenario() -> None:
        network = Network(asyncio.get_running_loop(), 1)
        relay = Relay(network, HERE, ONE, OTHER, Plan(to_other=Way(delay=60.0)))
        near = network.datagrams(ONE, lambda _payload, _source: None)
        for _ in range(MAX_HELD + 5):
            near.send(b"x", HERE)
        await asyncio.sleep(1.0)
        assert relay.totals()["lost"] == 5
        near.close()
        relay.close()

    run(scenario())


@pytest.mark.parametrize(
    "written",
    ["seed = 'x'", "[to_other]\nloss = 2.0", "[to_one]\ndelay = -1.0", "[up]\nloss = 0.1", "seed", "\xff"],
)
def test_what_is_no_plan_is_refused_with_a_reason(tmp_path: Path, written: str) -> None:
    file = tmp_path / "plan.toml"
    file.write_bytes(written.encode("latin-1"))
    with pytest.raises(UnusablePlan, match=r"\w"):
        read_plan(file)


def test_a_plan_is_read_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text("seed = 9\n[to_other]\nloss = 0.1\ndrop = [2, 5]\n[to_one]\nreorder = 0.5\nhold = 0.02\n")
    assert read_plan(file) == Plan(
        seed=9, to_other=Way(loss=0.1, drop=frozenset({2, 5})), to_one=Way(reorder=0.5, hold=0.02)
    )
