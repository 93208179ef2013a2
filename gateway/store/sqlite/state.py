"""`state.db`: which legs exist, which id each upper was given for what, and what else is rarely written."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.ports import Binding, KeptDialog
from gateway.store.sqlite import migrations
from gateway.store.sqlite.writer import Database

DIALOG: Final = KeptDialog.__struct_fields__
"""The columns of a kept dialog; a test compares them with the table."""

SAVE_DIALOG: Final = (
    f"INSERT OR REPLACE INTO dialog ({', '.join(DIALOG)}) VALUES (?{', ?' * (len(DIALOG) - 1)})"
)
READ_DIALOGS: Final = f"SELECT {', '.join(DIALOG)} FROM dialog ORDER BY call_id, local_tag"


class StateFile:
    """Small tables: reads are made in place."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path, migrations.STATE)

    def bindings(self) -> list[Binding]:
        """Those that an earlier version kept here; today's are in `bindings.log`."""
        found = self.database.reading.execute(
            "SELECT peer, host, port, contact, expires_at, registered_at FROM binding ORDER BY peer"
        )
        return [Binding(PlatformId(peer), *rest) for peer, *rest in found]

    def forget_bindings(self) -> None:
        if self.database.reading.execute("SELECT 1 FROM binding LIMIT 1").fetchone() is not None:
            self.database.write("bindings of an earlier version", ("DELETE FROM binding", [()]))

    def dialogs(self) -> list[KeptDialog]:
        return [
            _dialog(dict(zip(DIALOG, row, strict=True)))
            for row in self.database.reading.execute(READ_DIALOGS)
        ]

    def save_dialog(self, dialog: KeptDialog) -> None:
        values = [getattr(dialog, field) for field in DIALOG]
        values[DIALOG.index("peer")] = str(dialog.peer)
        values[DIALOG.index("routes")] = json.dumps(dialog.routes)
        # What a peer may hold must be ended, whatever died here; what is over, or is no dialog yet, need not.
        self.database.write("a dialog", (SAVE_DIALOG, [values]), durable=bool(dialog.target), short=True)

    def drop_dialog(self, call_id: str, local_tag: str) -> None:
        self.database.write(
            "the end of a dialog",
            ("DELETE FROM dialog WHERE call_id = ? AND local_tag = ?", [(call_id, local_tag)]),
            short=True,
        )

    def mapping(self, upper: PlatformId) -> list[tuple[str, str, str]]:
        return self.database.reading.execute(
            "SELECT peer, name, shown FROM mapping WHERE upper = ? ORDER BY made", (str(upper),)
        ).fetchall()

    def save_mapping(self, upper: PlatformId, triples: Sequence[tuple[str, str, str]]) -> None:
        self.database.write(
            "ids given to channels",
            (
                "INSERT OR IGNORE INTO mapping (upper, peer, name, shown) VALUES (?, ?, ?, ?)",
                [(str(upper), str(peer), str(name), str(shown)) for peer, name, shown in triples],
            ),
            durable=True,  # an upper stores them: an id that it was shown once never means anything else
        )

    def ring(self) -> list[PlatformId]:
        found = self.database.reading.execute("SELECT peer FROM ring ORDER BY peer")
        return [PlatformId(peer) for (peer,) in found]

    def save_ring(self, peer: PlatformId) -> None:
        self.database.write(
            "a peer that shows what we do", ("INSERT OR IGNORE INTO ring (peer) VALUES (?)", [(str(peer),)])
        )

    def moving(self) -> list[ChannelId]:
        found = self.database.reading.execute("SELECT peer, name FROM moving ORDER BY peer, name")
        return [ChannelId(PlatformId(peer), PeerName(name)) for peer, name in found]

    def save_moving(self, camera: ChannelId) -> None:
        self.database.write(
            "a camera that moves",
            (
                "INSERT OR IGNORE INTO moving (peer, name) VALUES (?, ?)",
                [(str(camera.peer), str(camera.name))],
            ),
            durable=True,
            short=True,
        )

    def drop_moving(self, camera: ChannelId) -> None:
        self.database.write(
            "a camera that was stopped",
            ("DELETE FROM moving WHERE peer = ? AND name = ?", [(str(camera.peer), str(camera.name))]),
            short=True,
        )


def _dialog(row: dict[str, Any]) -> KeptDialog:
    row |= {
        "peer": PlatformId(row["peer"]),
        "routes": tuple(json.loads(row["routes"])),
        "early": bool(row["early"]),
    }
    return KeptDialog(**row)
