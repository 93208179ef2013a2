"""Garbage of the interpreter is collected without anybody waiting long for it.

A full collection looks at everything that lives: half a second with 110,000 peers, in one turn of the
loop. So what lives when we have started is set apart for good, and what has come to live since as soon as
looking at it takes long. What is set apart is given back as ever when nobody refers to it; only what refers
to itself in a ring by then, and dies later, is not: a few sessions, each time that very many objects have
come to stay.

What a start needed for a while (the sealed secrets, the rows of all peers) is given back to the system
before anybody is served: later that would hold up the loop for as long as a third of a second. Large pieces
go back by themselves, so that what a storm needed is not kept for the next one.
"""

import ctypes
import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

THRESHOLDS: Final = (1_000, 4, 4)
"""New objects until the young ones are looked at, and how often until the older ones are."""

LONG_SECONDS: Final = 0.005
"""Of its thread's time: a full collection that took longer sets apart what it left."""

OLDEST: Final = 2

LARGE: Final = 256 * 1024
M_MMAP_THRESHOLD: Final = -3  # of mallopt(3)


class Apart:
    """Told by the interpreter of each collection; `clock` is the time that this thread has used."""

    def __init__(
        self, freeze: Callable[[], None] = gc.freeze, clock: Callable[[], float] = time.thread_time
    ) -> None:
        self.times = 0
        self._freeze = freeze
        self._clock = clock
        self._began = 0.0

    def __call__(self, phase: str, info: Mapping[str, Any]) -> None:
        if info["generation"] != OLDEST:
            return
        if phase == "start":
            self._began = self._clock()
        elif self._clock() - self._began > LONG_SECONDS:
            self._freeze()  # nothing but what was just looked at: the younger ones are empty now
            self.times += 1


@contextmanager
def paused() -> Iterator[None]:
    """Collect nothing: whoever starts makes much that stays, and hardly any garbage."""
    apart_where_large()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def apart_where_large() -> bool:
    """From now on each large piece of memory is the system's again as soon as nobody holds it, where the C
    library can be told to. By itself it raises that bound to the largest piece that ever went back: some
    megabytes."""
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    return tell is not None and bool(tell(M_MMAP_THRESHOLD, LARGE))


def give_back() -> bool:
    """Give the system what the C library keeps free, where it can be told to. Was there any?"""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    return trim is not None and bool(trim(0))


@contextmanager
def calm() -> Iterator[None]:
    """From here on, when all has started, until we stop."""
    before = gc.get_threshold()
    apart = Apart()
    gc.freeze()
    gc.collect()  # of nothing: so that the interpreter does not wait for a quarter of what was set apart
    give_back()
    gc.set_threshold(*THRESHOLDS)
    gc.callbacks.append(apart)
    was = gc.isenabled()
    gc.enable()
    try:
        yield
    finally:
        gc.callbacks.remove(apart)
        gc.set_threshold(*before)
        gc.unfreeze()
        if not was:
            gc.disable()
