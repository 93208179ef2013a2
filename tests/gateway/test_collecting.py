"""Nobody waits long for the collector: what stays is set apart, what is garbage is still given back."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from typing import Final

import pytest

from gateway.collecting import LONG_SECONDS, OLDEST, THRESHOLDS, Apart, calm, paused


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()
    gc.collect()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Ring:
    """Refers to itself: nothing but the collector gives it back."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.parametrize(("seconds", "times"), [(LONG_SECONDS * 0.9, 0), (LONG_SECONDS * 1.1, 3)])
def test_what_a_long_full_collection_left_is_set_apart(seconds: float, times: int) -> None:
    clock, frozen = Clock(), list[bool]()
    apart = Apart(lambda: frozen.append(True), clock)
    for _ in range(3):
        apart("start", {"generation": OLDEST})
        clock.now += seconds
        apart("stop", {"generation": OLDEST})
    assert (apart.times, len(frozen)) == (times, times)


def test_a_long_collection_of_the_young_sets_nothing_apart() -> None:
    clock = Clock()
    apart = Apart(lambda: pytest.fail("some of them may be garbage"), clock)
    for generation in (0, 1):
        apart("start", {"generation": generation})
        clock.now += 1.0
        apart("stop", {"generation": generation})


def test_a_full_collection_does_not_look_at_what_lived_at_the_start() -> None:
    gc.collect()
    with calm():
        looked_at = len(gc.get_objects())
        assert gc.get_freeze_count() > 10_000 > looked_at
        assert gc.get_threshold() == THRESHOLDS


def test_rings_that_come_and_go_while_we_run_are_given_back() -> None:
    with calm():
        lost = weakref.ref(Ring())
        gc.collect()
        assert lost() is None


def test_nothing_is_collected_until_we_serve_and_all_is_as_before_in_the_end() -> None:
    before = gc.get_threshold(), gc.isenabled(), gc.callbacks[:]
    with paused():
        assert not gc.isenabled()
        with calm():
            assert gc.isenabled()
        assert not gc.isenabled()
    assert (gc.get_threshold(), gc.isenabled(), gc.callbacks) == before
    assert gc.get_freeze_count() == 0


HELPER: Final = """
import os
from gateway.collecting import calm, paused

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
"""
START: Final = """
needed = [b"x" * 2000 + bytes([number % 256]) for number in range(20_000)]
last = needed[-1]  # it stays at the end of the heap, so that nothing before it goes by itself
del needed
before = resident()
with calm():
    print(before - resident())
"""
LARGE: Final = """
with paused():
    bytearray(20_000_000)  # by this the C library would raise its bound
    pieces = [bytearray(b"x") * 300_000 for _ in range(100)]
    last = pieces[-1]
    before = resident()
    del pieces
    print(before - resident())
"""


@pytest.mark.parametrize("work", [START, LARGE], ids=["start", "large"])
def test_what_was_needed_for_a_while_is_given_back_to_the_system(work: str) -> None:
    """In an interpreter of its own: what is free there already would serve first."""
    told = subprocess.run([sys.executable, "-c", HELPER + work], check=True, capture_output=True, text=True)
    assert int(told.stdout) > 20_000_000
