"""A fleet against the simulators' own upper platform: real sockets, and an end that needs no clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from interop.sim._native import Fleet
from interop.sim.fleet import Plan, Running, counted, statuses
from interop.sim.membership import Server
from interop.sim.station import Reporter, station
from interop.sim.upper import UpperPlatform
from interop.words import Words
from sip.endpoint import Party

UPPER = Party("44000000002000000001", "4400000000")
FIRST = "44010700001180000001"
COUNT = 20


@asynccontextmanager
async def above(password: str = "Pu-2026") -> AsyncIterator[Server]:
    """A platform that knows twenty devices."""
    passwords = {f"{int(FIRST) + offset:020d}": password for offset in range(COUNT)}
    async with station(("127.0.0.1", 0), UPPER, UPPER.host) as base:
        UpperPlatform(
            endpoint=base.endpoint,
            calls=base.calls,
            net=base.net,
            media_host="127.0.0.1",
            passwords=passwords,
            workers=base.workers,
        )
        yield Server(UPPER.user, UPPER.host, base.endpoint.local)


def fleet_of(server: Server) -> Fleet:
    return Fleet(
        server.address,
        ("127.0.0.1", 0),
        server_id=server.id,
        domain=server.domain,
        first_id=FIRST,
        count=COUNT,
        password="Pu-2026",
        sockets=3,
    )


async def until_done(fleet: Fleet) -> None:
    while not await asyncio.to_thread(fleet.run, 0.05):
        pass


async def test_all_register_with_digest_and_stay_alive() -> None:
    async with above() as server:
        fleet = fleet_of(server)
        fleet.aim("register", window=4, count=COUNT)
        await until_done(fleet)
        fleet.aim("keepalive", rate=10_000, count=3 * COUNT)
        await until_done(fleet)
        counters = fleet.counters()
    assert counters["registered"] == counters["register_finished"] == counters["challenged"] == COUNT
    assert counters["keepalive_finished"] == 3 * COUNT
    assert counters["register_lost"] == counters["unreadable"] == counters["dropped"] == 0
    assert statuses(counters, "register", "keepalive") == {}
    count, p50, p99, longest = fleet.latency("register")
    assert count == COUNT
    assert 0 < p50 <= p99 <= longest


async def test_a_wrong_password_and_strangers_are_told_apart_by_status() -> None:
    async with above("another") as server:
        fleet = fleet_of(server)
        fleet.aim("register", window=4, count=COUNT)
        await until_done(fleet)
        fleet.aim("forged", rate=10_000, count=10)
        await until_done(fleet)
        counters = fleet.counters()
    assert counters["registered"] == 0
    (status, times), *_ = statuses(counters, "register").items()
    assert (status // 100, times) == (4, COUNT)
    assert counters["forged_started"] == 10
    assert counted({401: 2, 503: 1}) == "401: 2, 503: 1"


async def test_a_plan_is_carried_out_wave_by_wave_and_then_kept_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with above() as server:
        plan = Plan(count=COUNT, window=8, expires=3600, keepalive=0.01, waves=2, strangers=1)
        running = Running(server, ("127.0.0.1", 0), first_id=FIRST, password="Pu-2026", sockets=1, plan=plan)
        reporter = Reporter(Words("en"), as_json=True, every=60.0)
        task = asyncio.create_task(running.run(reporter))
        while running.status()["keepalives"] < COUNT:
            await asyncio.wait({task}, timeout=0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert running.missing() == (0, {})
    assert running.status()["registrations"] >= 2 * COUNT
    assert capsys.readouterr().out.count('"fleet_registered"') == 2


@pytest.mark.parametrize(
    "wrong", [{"first_id": "1"}, {"server_id": "x" * 20}, {"domain": "a b"}, {"count": 0}]
)
def test_terms_that_can_not_be_written_are_refused(wrong: dict[str, object]) -> None:
    terms: dict[str, object] = {
        "server_id": UPPER.user,
        "domain": UPPER.host,
        "first_id": FIRST,
        "count": 1,
        "password": "x",
    }
    with pytest.raises(ValueError, match=r"digits|domain|ids"):
        Fleet(("127.0.0.1", 5060), ("127.0.0.1", 0), **{**terms, **wrong})  # type: ignore[arg-type]


def test_work_is_named_and_paced_in_one_way() -> None:
    fleet = fleet_of(Server(UPPER.user, UPPER.host, ("127.0.0.1", 5060)))
    with pytest.raises(ValueError, match="no work"):
        fleet.aim("nothing", window=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="either a window or a rate"):
        fleet.aim("register")
    with pytest.raises(ValueError, match="either a window or a rate"):
        fleet.aim("register", window=1, rate=1.0)
