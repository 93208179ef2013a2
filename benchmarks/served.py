"""`python -m benchmarks.served FOLDER FD`: the gateway of a benchmark, and nothing else in its process.

It serves the folder's gateway.toml as `lockgate run` does, and answers what it is asked by that descriptor (a
`multiprocessing.connection.Connection`) until the other end is closed.
"""

import asyncio
import ctypes
import os
import resource
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from benchmarks.turns import Timed
from gateway import config
from gateway.app import open_gateway, real_surroundings
from gateway.collecting import calm, paused

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE: Final = 1 << 20


class Used(Struct, frozen=True):
    """CPU seconds of a process so far."""

    user: float
    system: float

    @classmethod
    def now(cls) -> "Used":
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return cls(usage.ru_utime, usage.ru_stime)

    def since(self, before: "Used") -> "Used":
        return Used(self.user - before.user, self.system - before.system)

    @property
    def seconds(self) -> float:
        return self.user + self.system


class Memory(Struct, frozen=True):
    """Of the process, in MiB: resident, and of that what is no file; what native code and larger objects hold
    and have given back to their allocator; and how many small objects the interpreter holds."""

    resident: float
    anonymous: float
    held: float
    given_back: float
    objects: int

    @classmethod
    def now(cls) -> "Memory":
        pages = dict[str, float]()
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
            name, _, size = line.partition(":")
            pages[name] = int(size.split()[0]) / 1024
        heap = _heap()
        held, back = (heap.held + heap.hblkhd) / MEBIBYTE, heap.back / MEBIBYTE
        return cls(pages["Rss"], pages["Anonymous"], held, back, sys.getallocatedblocks())


HEAP: Final = (
    "arena",
    "ordblks",
    "smblks",
    "hblks",
    "hblkhd",
    "usmblks",
    "fsmblks",
    "held",
    "back",
    "keepcost",
)
"""The fields of `struct mallinfo2` of the C library."""


class _Heap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in HEAP]


def _heap() -> Any:
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _Heap
    return ask()


async def _serve(folder: Path, ask: "Connection[Any, Any]") -> None:
    os.chdir(folder)
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Timed)
    answers: dict[str, Callable[[], object]] = {
        "ready": lambda: None,
        "used": Used.now,
        "turns": loop.longest,
        "memory": Memory.now,
    }

    def answer() -> None:
        try:
            asked = ask.recv()
        except (EOFError, ConnectionResetError):
            loop.remove_reader(ask.fileno())
            done.set()
            return
        ask.send(answers[asked]())

    with paused():
        examined = config.examine(folder / "gateway.toml")
        loaded, known = examined.config, examined.secrets
        if loaded is None or examined.problems:
            raise config.ConfigError(examined.problems)
        async with real_surroundings(loaded) as around, open_gateway(loaded, known, around):
            with calm():
                loop.add_reader(ask.fileno(), answer)
                await done.wait()


def main() -> None:
    folder, descriptor = sys.argv[1:]
    ask: Connection[Any, Any] = Connection(int(descriptor))
    with ask, asyncio.Runner(loop_factory=Timed) as runner:
        runner.run(_serve(Path(folder), ask))


if __name__ == "__main__":
    from benchmarks.served import main as serve  # so that its answers are not of a class in `__main__`

    serve()
