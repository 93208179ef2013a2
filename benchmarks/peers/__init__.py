"""The independent programs that we measure ourselves against, and what their processes use."""

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

PACKAGES: Final = {"rtpengine": "rtpengine-daemon", "kamailio": "kamailio"}
"""The Debian package of each program."""
PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin"


class PeerFailed(Exception):
    """The program did not start, or answered what it should not; the text says what."""


def program(name: str) -> str | None:
    """Where it is, or None."""
    return shutil.which(name, path=PATH)


def run_seconds(process: int) -> float:
    """Processor time of all threads of a process and of its children, as the scheduler counted it."""
    nanoseconds = 0
    for each in (process, *_children(process)):
        for task in Path(f"/proc/{each}/task").iterdir():
            nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def _children(process: int) -> Iterator[int]:
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from _children(child)


def apart() -> tuple[set[int], set[int]]:
    """Processors for the load and for what is measured; the same ones where there is only one."""
    here = sorted(os.sched_getaffinity(0))
    return set(here[:-1] or here), set(here[-1:])


@contextlib.contextmanager
def on(processors: Collection[int]) -> Iterator[None]:
    """Run on these; what is started meanwhile stays on them."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
