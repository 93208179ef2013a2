"""A loop whose time jumps to the next deadline: hours of protocol cost milliseconds, and never vary.

`run(coroutine)` runs a scenario on a fresh loop. Nothing real can be waited for on it: no socket, no
thread; what is given to an executor runs at once, in the loop's own thread.
"""

import asyncio
from asyncio import base_events
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MAX_STEPS_AT_ONE_TIME: Final = 1_000_000
"""Turns of the loop without time passing after which somebody is taken to spin."""


class Deadlock(Exception):
    """Everybody waits, and nothing is scheduled that could wake anybody. Names who waits, and where."""


class Runaway(Exception):
    """The scenario passed its limit of virtual time, or spins without time passing."""


class VirtualLoop(base_events.BaseEventLoop):
    """`time()` is 0 at first and moves only when nobody has anything to do; `limit` is in its seconds."""

    def __init__(self, *, limit: float = 7200.0) -> None:
        super().__init__()
        self._now = 0.0
        self._limit = limit
        self._steps = 0
        self._clock_resolution = 1e-9
        self._selector = self

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """Stand in for the selector: instead of sleeping, be there already."""
        if timeout is None:
            raise Deadlock(self._who_waits())
        if timeout <= 0:
            self._steps += 1
            if self._steps > MAX_STEPS_AT_ONE_TIME:
                raise Runaway(f"spins at {self._now:.3f} s\n{self._who_waits()}")
            return []
        self._steps = 0
        self._now += timeout
        if self._now > self._limit:
            raise Runaway(f"not over after {self._limit:.0f} virtual seconds\n{self._who_waits()}")
        return []

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _who_waits(self) -> str:
        lines = [f"at {self._now:.3f} s nothing is scheduled, and these wait:"]
        for task in asyncio.all_tasks(self):
            lines.append(f"  {task.get_name()}: {' > '.join(_frames(task.get_coro()))}")
        return "\n".join(lines)

    # What BaseEventLoop leaves to its subclasses

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def _frames(awaited: Any) -> Iterator[str]:
    """Where a suspended coroutine waits, from the outside in."""
    while awaited is not None:
        frame = next((getattr(awaited, name, None) for name in FRAMES if hasattr(awaited, name)), None)
        if frame is not None:
            yield f"{frame.f_code.co_qualname}:{frame.f_lineno}"
        awaited = next((getattr(awaited, name) for name in AWAITED if hasattr(awaited, name)), None)


FRAMES: Final = ("cr_frame", "ag_frame", "gi_frame")
AWAITED: Final = ("cr_await", "ag_await", "gi_yieldfrom")


def run(scenario: Coroutine[Any, Any, T], *, seconds: float = 7200.0) -> T:
    """Run the scenario in virtual time and return what it returns; leftover tasks are cancelled.

    Raises:
        Deadlock: nobody can ever wake up again.
        Runaway: more than `seconds` of virtual time passed.
    """
    loop = VirtualLoop(limit=seconds)
    try:
        return loop.run_until_complete(scenario)
    finally:
        close(loop)


def close(loop: VirtualLoop) -> None:
    """Cancel what is left of its tasks, and close it."""
    try:
        for _ in range(3):
            left = asyncio.all_tasks(loop)
            if not left:
                break
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
