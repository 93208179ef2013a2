"""A program that ends with whoever started it, even where that one is killed.

`tied(command)` is what to start instead of `command`, from the thread that will live longest: Linux
tells the children of a thread.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def tied(command: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "interop.tied", str(os.getpid()), *command]


def tie(parent: int, number: signal.Signals) -> None:
    """Have this process told by that signal when `parent` is gone; at once where it is already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


if __name__ == "__main__":
    tie(int(sys.argv[1]), signal.SIGKILL)
    os.execvp(sys.argv[2], sys.argv[2:])
