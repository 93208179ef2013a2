"""One coroutine for all deadlines: it wakes in time, earlier when told, and never judges in haste."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from cascade.timer import BREATH_SECONDS, BREATHLESS_SECONDS, PULSE_SECONDS, Timer
from tests.clock import VirtualLoop, run


class Due:
    """Deadlines that the test sets, and when each was served."""

    def __init__(self, *moments: float) -> None:
        self.moments = sorted(moments)
        self.served: list[float] = []
        self.fail = False

    def deadline(self) -> float | None:
        return self.moments[0] if self.moments else None

    def turn(self, now: float) -> None:
        self.served.append(now)
        self.moments = [moment for moment in self.moments if moment > now]
        if self.fail:
            self.fail = False
            raise RuntimeError("a bug")


@contextlib.asynccontextmanager
async def running(due: Due) -> AsyncIterator[Timer]:
    timer = Timer(asyncio.get_running_loop(), due.deadline, due.turn)
    task = asyncio.create_task(timer.run())
    await asyncio.sleep(0)
    yield timer
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_every_deadline_is_served_when_it_is_reached() -> None:
    async def scenario() -> None:
        due = Due(1.0, 2.5, 100.0)
        async with running(due):
            await asyncio.sleep(200.0)
        assert due.served == pytest.approx([1.0, 2.5, 100.0])

    run(scenario())


def test_a_deadline_that_moves_nearer_is_not_missed() -> None:
    async def scenario() -> None:
        due = Due()
        async with running(due) as timer:
            await asyncio.sleep(5.0)
            due.moments = [7.0]
            timer.plan()
            await asyncio.sleep(5.0)
        assert due.served[-1] == pytest.approx(7.0)

    run(scenario())


def test_after_a_hold_up_the_socket_comes_first() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        due, read = Due(1.0), []

        def hold_up() -> None:
            loop._now += 5.0
            loop.call_soon(lambda: read.append(loop.time()))

        loop.call_at(0.9, hold_up)
        async with running(due):
            await asyncio.sleep(20.0)
        assert read == [pytest.approx(5.9)]
        assert due.served == [pytest.approx(5.9 + BREATH_SECONDS)]

    run(scenario())


def test_a_bug_costs_its_turn_only() -> None:
    async def scenario() -> None:
        due = Due(1.0, 5.0)
        due.fail = True
        async with running(due):
            await asyncio.sleep(20.0)
        assert due.served == pytest.approx([1.0, 5.0])

    run(scenario())


class Watch:
    """What a timer told of hold-ups: how long, and when it was over."""

    def __init__(self) -> None:
        self.told: list[tuple[float, float]] = []

    def __call__(self, seconds: float, now: float) -> None:
        self.told.append((seconds, now))


def test_a_hold_up_between_two_deadlines_is_told_of_before_the_next() -> None:
    """Nobody was due while it lasted, and yet what peers sent then may be lost (Q15)."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        due, watch = Due(200.0), Watch()
        timer = Timer(loop, due.deadline, due.turn, watch)
        task = asyncio.create_task(timer.run())
        await asyncio.sleep(60.0)
        loop._now += 90.0
        await asyncio.sleep(100.0)
        ((seconds, until),) = watch.told
        assert 90.0 - PULSE_SECONDS <= seconds <= 90.0
        assert until == pytest.approx(150.0)
        assert 200.0 in [pytest.approx(moment) for moment in due.served]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(scenario())


def test_a_loop_that_stays_behind_judges_in_the_end() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        due, watch = Due(1.0), Watch()
        timer = Timer(loop, due.deadline, due.turn, watch)

        def burden() -> None:  # each turn of the loop takes a second
            loop._now += 1.0
            if loop.time() < 60.0:
                loop.call_later(0.01, burden)

        loop.call_at(0.6, burden)
        task = asyncio.create_task(timer.run())
        await asyncio.sleep(100.0)
        served = [moment for moment in due.served if moment >= 1.0]
        assert BREATHLESS_SECONDS <= served[0] <= BREATHLESS_SECONDS + 5.0
        assert sum(seconds for seconds, _ in watch.told) > BREATHLESS_SECONDS / 2
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(scenario())


def test_what_a_turn_leaves_due_is_served_after_others_had_theirs_and_is_no_hold_up() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        watch, left, order = Watch(), [1.0] * 5, list[str]()

        def turn(now: float) -> None:
            if left and left[0] <= now:
                loop._now += 0.2  # a part takes its time, all of them more than a hold-up does
                left.pop()
                order.append("part")
                loop.call_soon(order.append, "other")

        timer = Timer(loop, lambda: left[0] if left else None, turn, watch)
        task = asyncio.create_task(timer.run())
        await asyncio.sleep(10.0)
        assert order == ["part", "other"] * 5
        assert watch.told == []
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(scenario())
