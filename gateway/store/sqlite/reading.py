"""The kept catalogs, read by a program beside the gateway: nothing is written, whoever else has them open."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from cascade.model.ids import PlatformId
from cascade.model.index import Rows
from gateway.store.sqlite.migrations import ADDED, COLUMNS
from gateway.store.sqlite.writer import BUSY_SECONDS

NEEDED = tuple(column for column in COLUMNS if column not in ADDED)
"""What every version of the file has."""

LAST = "\U0010ffff"
"""Comes after every text that may follow in a name."""


def rows_of(folder: Path, peer: str = "") -> list[tuple[PlatformId, Rows]]:
    """What the store in `folder` holds of one peer, or of all; nothing where there is no store yet.

    Raises:
        sqlite3.Error: there is one, and it cannot be read.
    """
    with _opened(folder / "catalog.db") as connection:
        if connection is None:
            return []
        which, values = ("WHERE peer = ? ", (peer,)) if peer else ("", ())
        found = connection.execute(
            f"SELECT peer, {', '.join(NEEDED)} FROM row {which}ORDER BY peer, id", values
        )
        return [
            (PlatformId(owner), Rows.build(list(map(_fields, rows))))
            for owner, rows in groupby(found, key=itemgetter(0))
        ]


def peers_with(folder: Path, name: str) -> list[str]:
    """The peers that have a row of this name. Raises sqlite3.Error."""
    with _opened(folder / "catalog.db") as connection:
        if connection is None:
            return []
        found = connection.execute("SELECT DISTINCT peer FROM row WHERE id = ? ORDER BY peer", (name,))
        return [peer for (peer,) in found]


def idle(folder: Path, peers: Sequence[str], selectors: Iterable[str]) -> set[str] | None:
    """Those of the selectors that select none of these peers' rows; None where none of these has a row.

    Raises:
        sqlite3.Error: the store cannot be read.
    """
    with _opened(folder / "catalog.db") as connection:
        if connection is None:
            return None
        here = f"peer IN ({', '.join('?' * len(peers))})"
        if connection.execute(f"SELECT 1 FROM row WHERE {here} LIMIT 1", (*peers,)).fetchone() is None:
            return None
        branches = connection.execute(f"SELECT DISTINCT branch FROM row WHERE {here}", (*peers,))
        within = {name for (branch,) in branches for name in branch.split("/")}
        owned = connection.execute(f"SELECT DISTINCT owner FROM row WHERE {here}", (*peers,))
        owners = {owner for (owner,) in owned}
        digits = f"SELECT DISTINCT substr(id, 11, 3) FROM row WHERE {here} AND length(id) = 20"
        classes = {found for (found,) in connection.execute(digits, (*peers,))}

        def known(first: str, last: str) -> bool:
            """Is there a name from the one to the other?"""
            found = "SELECT 1 FROM row WHERE peer = ? AND id >= ? AND id <= ? LIMIT 1"
            return any(connection.execute(found, (peer, first, last)).fetchone() for peer in peers)

        def selects(selector: str) -> bool:
            kind, _, value = selector.partition(":")
            match kind:
                case "id":
                    return known(value, value)
                case "prefix":
                    return known(value, value + LAST)
                case "branch":
                    return value in within or known(value, value)
                case "class":
                    return value in classes
                case "owner":
                    return value in owners
                case _:
                    return True

        return {selector for selector in selectors if not selects(selector)}


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    if not path.exists():
        yield None
        return
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=BUSY_SECONDS, uri=True)
    with closing(connection):
        yield connection


def _fields(found: tuple[str, ...]) -> dict[str, str]:
    return {column: value for column, value in zip(NEEDED, found[1:], strict=True) if value}
