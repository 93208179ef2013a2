"""`catalog.db`: the rows of each peer, as they were last told. It can be had again by a new query."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from cascade.model.ids import PlatformId
from cascade.model.index import Rows
from gateway.store.sqlite import migrations
from gateway.store.sqlite.migrations import COLUMNS
from gateway.store.sqlite.writer import Database, connect

SAVE = f"INSERT OR REPLACE INTO row (peer, {', '.join(COLUMNS)}) VALUES (?{', ?' * len(COLUMNS)})"
READ = f"SELECT peer, {', '.join(COLUMNS)} FROM row ORDER BY peer, id"


class CatalogFile:
    """May hold a million rows: reading it all belongs on a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path, migrations.CATALOG)

    def rows(self) -> list[tuple[PlatformId, Rows]]:
        """Everything, by peer and id, on a connection of its own: may be called on any thread."""
        with closing(connect(self.database.path)) as connection:
            return [
                (PlatformId(peer), Rows.build(list(map(_fields, found))))
                for peer, found in groupby(_all(connection), key=itemgetter(0))
            ]

    def save_rows(self, peer: PlatformId, present: Rows, gone: Sequence[str]) -> None:
        owner = str(peer)
        self.database.write(
            f"rows of {owner}",
            ("DELETE FROM row WHERE peer = ? AND id = ?", [(owner, str(name)) for name in gone]),
            (SAVE, _parameters(owner, present)),
        )


def _all(connection: sqlite3.Connection) -> Iterator[tuple[str, ...]]:
    return connection.execute(READ)


def _fields(found: tuple[str, ...]) -> dict[str, str]:
    return {column: value for column, value in zip(COLUMNS, found[1:], strict=True) if value}


def _parameters(owner: str, rows: Rows) -> Iterator[tuple[str, ...]]:
    """Made row by row on the writer's thread, so no more than a slice is ever Python objects."""
    for number in range(len(rows)):
        row = rows.get(number)
        yield (owner, *(row.get(column, "") for column in COLUMNS))
