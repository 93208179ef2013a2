"""`state.db`: who is registered where, and which id each upper platform was given for what."""

from collections.abc import Sequence
from pathlib import Path

from cascade.model.ids import PlatformId
from cascade.ports import Binding
from gateway.store.sqlite import migrations
from gateway.store.sqlite.writer import Database


class StateFile:
    """Small tables: reads are made in place."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path, migrations.STATE)

    def bindings(self) -> list[Binding]:
        found = self.database.reading.execute(
            "SELECT peer, host, port, contact, expires_at, registered_at FROM binding ORDER BY peer"
        )
        return [
            Binding(
                peer=PlatformId(peer),
                host=host,
                port=port,
                contact=contact,
                expires_at=expires_at,
                registered_at=registered_at,
            )
            for peer, host, port, contact, expires_at, registered_at in found
        ]

    def save_bindings(self, bindings: Sequence[Binding]) -> None:
        self.database.write(
            "bindings",
            (
                "INSERT OR REPLACE INTO binding (peer, host, port, contact, expires_at, registered_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [(str(b.peer), b.host, b.port, b.contact, b.expires_at, b.registered_at) for b in bindings],
            ),
        )

    def drop_binding(self, peer: PlatformId) -> None:
        self.database.write("an unregistration", ("DELETE FROM binding WHERE peer = ?", [(str(peer),)]))

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
        )
