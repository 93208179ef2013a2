"""A virtual loop that counts the work of each of its turns: calls of Python and of native functions.

No clock: the same scenario makes the same calls on every machine. What a turn costs with few peers and with
many says whether it grows with them.
"""

import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any, Final, TypeVar

from tests.clock import VirtualLoop, close

T = TypeVar("T")

CALLS: Final = frozenset({"call", "c_call"})


class CountingLoop(VirtualLoop):
    """`longest` is the number of calls in its longest turn since `begin`, `turns` how many there were."""

    def __init__(self) -> None:
        super().__init__()
        self._counting = False
        self._calls = 0
        self.longest = 0
        self.turns = 0

    def begin(self) -> None:
        """Count from the next turn on."""
        self._counting, self.longest, self.turns = True, 0, 0

    def _run_once(self) -> None:
        if not self._counting:
            super()._run_once()  # type: ignore[misc]
            return
        self._calls = 0
        sys.setprofile(self._called)
        try:
            super()._run_once()  # type: ignore[misc]
        finally:
            sys.setprofile(None)
        self.turns += 1
        self.longest = max(self.longest, self._calls)

    def _called(self, _frame: FrameType, event: str, _argument: object) -> None:
        if event in CALLS:
            self._calls += 1


def counted(scenario: Coroutine[Any, Any, T]) -> T:
    """Run the scenario on such a loop, of which it says `begin` when it likes."""
    loop = CountingLoop()
    try:
        return loop.run_until_complete(scenario)
    finally:
        close(loop)
