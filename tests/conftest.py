"""What holds for all tests: one profile for property tests, Ctrl-C that reaches the programs we start, and
which files come first.

`HYPOTHESIS_PROFILE=explore` looks at new and more examples, for whoever hunts.
"""

import fcntl
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# A shell starts background jobs with SIGINT ignored, and what we start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONG: Final = (
    "test_selftest.py",
    "test_leak.py",
    "test_two_hosts_real.py",
    "test_restart_real.py",
    "test_real_time.py",
    "test_hot_path.py",
)
"""Files of more than ten seconds. With them at the end one process would wait for the other."""


@pytest.fixture
def alone() -> Iterator[None]:
    """For tests whose programs take the demo's addresses: one of them at a time on this machine.

    Who finds a port free and has it taken by a program that is still starting can't keep it for that one.
    """
    with (Path(tempfile.gettempdir()) / "lockgate-addresses").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONG)
