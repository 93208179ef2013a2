"""Where the local socket is. A Unix address has room for 107 bytes; a folder may have a longer name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

NAME: Final = "lockgate.sock"
LONGEST: Final = 107


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name of `path` that fits into a socket address, while this lasts.

    Raises:
        OSError: its folder is not there, or may not be entered.
    """
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
