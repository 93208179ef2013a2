"""Platforms above each other, in pairs and rings: what comes back is no channel (Q98)."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from tests.clock import run
from tests.gateway.rings import CATALOG_SECONDS, At, Edge, Foreign, Ring, lower, ring, upper
from tests.gateway.world import Link

MINUTES = 10

Beyond = Mapping[int, Sequence[int]]
"""Which lowers an upper may see; all where it is not named."""

MUTUAL: list[Edge] = [
    (At(1, "outer"), At(2, "outer")),
    (At(2, "outer"), At(1, "outer")),
    (At(1, "inner"), At(2, "inner")),
    (At(2, "inner"), At(1, "inner")),
    (lower(1), At(1, "inner")),
    (lower(2), At(2, "outer")),
    (At(1, "outer"), upper(1)),
    (At(2, "inner"), upper(2)),
]
"""Two gateways, on both networks each other's upper and lower."""

THREE: list[Edge] = [
    (At(1, "inner"), At(2, "outer")),
    (At(2, "inner"), At(3, "outer")),
    (At(3, "inner"), At(1, "outer")),
    *((lower(number), At(number, "outer")) for number in (1, 2, 3)),
    *((At(number, "inner"), upper(number)) for number in (1, 2, 3)),
]

WITH_FOREIGN: list[Edge] = [
    (At(1, "inner"), At(2, "outer")),
    *((lower(number), At(number, "outer")) for number in (1, 2)),
    *((At(number, "inner"), upper(number)) for number in (1, 2)),
]
"""And a member of somebody else between the second one and the first."""

BOTH: list[Edge] = [
    (lower(1), At(1, "inner")),
    (lower(2), At(1, "outer")),
    (At(1, "inner"), upper(1)),
    (At(1, "outer"), upper(2)),
]
"""And one of somebody else that is above and below the same side, under one id."""


def sides(edges: Sequence[Edge]) -> dict[int, At]:
    """Which side each of the uppers is above."""
    return {
        int(above.host.split(".")[2]): below
        for below, above in edges
        if isinstance(below, At) and above.host.startswith("10.2.")
    }


async def settle() -> None:
    """Until everybody has heard of everything, all the way round, and what was doubtful is withdrawn."""
    await asyncio.sleep(8 * CATALOG_SECONDS)


async def assert_once(here: Ring, edges: Sequence[Edge], beyond: Beyond) -> None:
    """Every upper is shown each camera that is beyond it, once, as what it is."""
    for number, side in sides(edges).items():
        assert await here.shown(number, side.id) == here.cameras(beyond.get(number, ())), f"upper {number}"


async def assert_asked_once(here: Ring, edges: Sequence[Edge], beyond: Beyond) -> None:
    """A question about each camera reaches it, and takes no hop twice."""
    for number, side in sides(edges).items():
        for camera in here.cameras(beyond.get(number, ())):
            here.asked.clear()
            answer = await here.uppers[number].device_info(side.id, target=camera)
            assert answer["Result"] == "OK"
            hops = {hop: times for hop, times in here.asked.items() if hop[2] == "DeviceInfo"}
            assert set(hops.values()) == {1}, hops


async def changing(here: Ring) -> None:
    """Ten minutes in which cameras come and go everywhere, and at the end are as they were."""
    for minute in range(MINUTES):
        for number in here.lowers:
            here.change(number, 1 + (minute + number) % 4)
        await asyncio.sleep(60)
    for number in here.lowers:
        here.change(number, 3)


async def stays(
    edges: Sequence[Edge], link: Link, foreign: Sequence[Foreign] = (), beyond: Beyond | None = None
) -> None:
    async with ring(edges, link, foreign=foreign) as here:
        await settle()
        await assert_once(here, edges, beyond or {})
        rows = here.rows()
        here.asked.clear()
        await changing(here)
        await settle()
        most = (MINUTES * 60 + 8 * CATALOG_SECONDS) / CATALOG_SECONDS + 1
        assert max(times for hop, times in here.asked.items() if hop[2] == "Catalog") <= most
        assert here.rows() == rows
        await assert_once(here, edges, beyond or {})
        await assert_asked_once(here, edges, beyond or {})


@pytest.mark.parametrize("edges", [MUTUAL, THREE], ids=["mutual", "three"])
def test_rows_and_queries_do_not_go_round(edges: list[Edge], link: Link) -> None:
    run(stays(edges, link))


@pytest.mark.parametrize("only", [(), ("131", "132")], ids=["hides-parents", "cameras-only"])
def test_they_do_not_with_a_foreign_member_that_says_of_nothing_where_it_is_from(
    only: tuple[str, ...],
    link: Link,
) -> None:
    foreign = Foreign(1, At(2, "inner"), At(1, "outer"), only)
    run(stays([*WITH_FOREIGN, *foreign.edges], link, [foreign]))


@pytest.mark.parametrize("only", [(), ("131", "132")], ids=["hides-parents", "cameras-only"])
def test_they_do_not_with_a_foreign_platform_that_shows_us_what_we_show_it(
    only: tuple[str, ...], link: Link
) -> None:
    foreign = Foreign(1, At(1, "outer"), At(1, "outer"), only)
    run(stays([*BOTH, *foreign.edges], link, [foreign], {1: [2], 2: [1]}))


async def rises(here: Ring, seconds: int) -> dict[str, int]:
    """What each side held at most, looked at each second."""
    most: Counter[str] = Counter()
    for _ in range(seconds):
        for side, rows in here.rows().items():
            most[side] = max(most[side], rows)
        await asyncio.sleep(1.0)
    return dict(most)


@pytest.mark.parametrize("only", [(), ("131", "132")], ids=["hides-parents", "cameras-only"])
def test_a_gateway_that_starts_anew_knows_at_once_who_shows_what_it_does(
    only: tuple[str, ...], link: Link
) -> None:
    """Not one round later: by then nobody lists any more what gave the foreign member away."""

    async def scenario() -> None:
        foreign = Foreign(1, At(2, "inner"), At(1, "outer"), only)
        edges = [*WITH_FOREIGN, *foreign.edges]
        async with ring(edges, link, foreign=[foreign]) as here:
            await settle()
            rows = here.rows()
            for number in (1, 2, 1):
                await here.kill(number)
                most = await rises(here, int(8 * CATALOG_SECONDS))
                assert all(most[side] <= rows[side] for side in rows), (most, rows)
                assert here.rows() == rows
                await assert_once(here, edges, {})
            await assert_asked_once(here, edges, {})

    run(scenario())
