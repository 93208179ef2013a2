import asyncio
import itertools
import threading

import pytest

import tests.clock
from tests.clock import Deadlock, Runaway, run


def test_an_hour_of_sleep_costs_nothing_and_passes() -> None:
    async def scenario() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == 3600.0


def test_deadlines_come_in_their_order_at_their_time() -> None:
    seen: list[tuple[str, float]] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()

        def note(name: str) -> None:
            seen.append((name, loop.time()))

        for name, delay in (("c", 0.3), ("a", 0.1), ("b", 0.2)):
            loop.call_later(delay, note, name)
        await asyncio.sleep(1)

    run(scenario())
    assert seen == [("a", 0.1), ("b", 0.2), ("c", 0.3)]


def test_work_takes_no_time() -> None:
    async def scenario() -> float:
        for _ in range(1000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == 0.0


def test_timeouts_are_virtual_too() -> None:
    async def scenario() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(32.0):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert run(scenario()) == 32.0


def test_a_deadlock_is_told_with_who_waits_and_where() -> None:
    async def waits_for_ever() -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        await asyncio.create_task(waits_for_ever(), name="the one who waits")

    with pytest.raises(Deadlock, match=r"the one who waits: .*waits_for_ever:\d+"):
        run(scenario())


def test_a_scenario_that_never_ends_is_told() -> None:
    async def scenario() -> None:
        for _ in itertools.count():
            await asyncio.sleep(60)

    with pytest.raises(Runaway, match="not over after 600 virtual seconds"):
        run(scenario(), seconds=600)


def test_spinning_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tests.clock, "MAX_STEPS_AT_ONE_TIME", 1000)

    async def scenario() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(Runaway, match="spins"):
        run(scenario())


def test_what_is_given_to_an_executor_runs_at_once_in_this_thread() -> None:
    async def scenario() -> tuple[int, int]:
        return await asyncio.to_thread(threading.get_ident), threading.get_ident()

    there, here = run(scenario())
    assert there == here


def test_what_an_executor_raises_is_raised() -> None:
    async def scenario() -> None:
        await asyncio.to_thread(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        run(scenario())


def test_what_is_left_is_cancelled_and_may_clean_up() -> None:
    cleaned: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def left() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            cleaned.append("yes")

    async def scenario() -> None:
        tasks.append(asyncio.create_task(left()))
        await asyncio.sleep(1)

    run(scenario())
    assert cleaned == ["yes"]
