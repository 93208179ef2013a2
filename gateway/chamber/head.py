"""The head file beside an audit: which record was the last one known to be on the disk.

`audit.jsonl.head` holds one anchor, rewritten as a whole after an fsync of the audit, so at most some
twenty times a second whatever the records. It may lag behind the audit, and never leads it: a record
that it knows and the audit does not was taken away. Whoever can do that can rewrite the head too; against
them an anchor has to be kept elsewhere (`lockgate audit verify --anchor`).
"""

import os
import re
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

SUFFIX: Final = ".head"
_ANCHOR: Final = re.compile(r"([0-9a-f]{64})@([1-9][0-9]{0,17})")


class Anchor(Struct, frozen=True):
    """One record of a chain, and with it all before it. Its text is `HASH@NUMBER`."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.hash}@{self.number}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        found = _ANCHOR.fullmatch(text.strip())
        return cls(int(found[2]), found[1]) if found else None


def beside(audit: Path) -> Path:
    return audit.with_name(audit.name + SUFFIX)


def known(audit: Path) -> Anchor | None:
    """What the head file says; None where there is none, or nothing that can be read."""
    try:
        with beside(audit).open("rb") as file:
            return Anchor.read(file.read(128).decode("ascii", "replace"))
    except OSError:
        return None


def note(audit: Path, anchor: Anchor) -> None:
    """Let the head file say this, or what it said before: nothing in between. Raises OSError."""
    path = beside(audit)
    new = path.with_name(path.name + ".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, f"{anchor}\n".encode())
    finally:
        os.close(fd)
    new.replace(path)
