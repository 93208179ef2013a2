"""A store that keeps nothing beyond the process: for tests."""

import asyncio
from collections import deque
from collections.abc import Sequence

from cascade.model.ids import ChannelId, PlatformId
from cascade.model.index import Rows
from cascade.outbox import WINDOW, Letter
from cascade.ports import Binding, KeptDialog


class MemoryStore:
    """Satisfies `cascade.ports.Store`; every write is done when its call returns."""

    def __init__(self) -> None:
        self._bindings: dict[PlatformId, Binding] = {}
        self._dialogs: dict[tuple[str, str], KeptDialog] = {}
        self._mapping: dict[PlatformId, list[tuple[str, str, str]]] = {}
        self._ring: set[PlatformId] = set()
        self._moving: set[ChannelId] = set()
        self._rows: dict[PlatformId, dict[str, dict[str, str]]] = {}
        self._letters: dict[tuple[str, int], Letter] = {}
        self._taken: deque[int] = deque(maxlen=WINDOW)
        self.full = False  # nothing more can be kept
        self.seconds = 0.0  # that a disk would take to keep it

    async def bindings(self) -> list[Binding]:
        return sorted(self._bindings.values(), key=lambda binding: binding.peer)

    def save_bindings(self, bindings: Sequence[Binding], gone: Sequence[PlatformId] = ()) -> None:
        self._bindings |= {binding.peer: binding for binding in bindings}
        for peer in gone:
            self._bindings.pop(peer, None)

    async def dialogs(self) -> list[KeptDialog]:
        return [dialog for _, dialog in sorted(self._dialogs.items())]

    def save_dialog(self, dialog: KeptDialog) -> None:
        self._dialogs[dialog.call_id, dialog.local_tag] = dialog

    def drop_dialog(self, call_id: str, local_tag: str) -> None:
        self._dialogs.pop((call_id, local_tag), None)

    async def written(self) -> None:
        return

    async def mapping(self, upper: PlatformId) -> list[tuple[str, str, str]]:
        return list(self._mapping.get(upper, ()))

    def save_mapping(self, upper: PlatformId, triples: Sequence[tuple[str, str, str]]) -> None:
        """What is mapped or shown already stays as it is: an id is never given twice."""
        kept = self._mapping.setdefault(upper, [])
        mapped = {(peer, name) for peer, name, _ in kept}
        shown = {taken for _, _, taken in kept}
        for peer, name, wanted in triples:
            if (peer, name) not in mapped and wanted not in shown:
                kept.append((peer, name, wanted))
                mapped.add((peer, name))
                shown.add(wanted)

    async def ring(self) -> list[PlatformId]:
        return sorted(self._ring)

    def save_ring(self, peer: PlatformId) -> None:
        self._ring.add(peer)

    async def moving(self) -> list[ChannelId]:
        return sorted(self._moving, key=str)

    def save_moving(self, camera: ChannelId) -> None:
        self._moving.add(camera)

    def drop_moving(self, camera: ChannelId) -> None:
        self._moving.discard(camera)

    async def catalog(self) -> list[tuple[PlatformId, Rows]]:
        return [
            (peer, Rows.build([rows[name] for name in sorted(rows)]))
            for peer, rows in sorted(self._rows.items())
            if rows
        ]

    def save_rows(self, peer: PlatformId, present: Rows, gone: Sequence[str]) -> None:
        rows = self._rows.setdefault(peer, {})
        for name in gone:
            rows.pop(name, None)
        for number, name in enumerate(present.ids()):
            rows[name] = present.get(number)

    async def letters(self) -> list[Letter]:
        return list(self._letters.values())

    async def taken(self) -> list[int]:
        return list(self._taken)

    async def keep(
        self, letters: Sequence[Letter], gone: Sequence[Letter] = (), *, taken: Sequence[int] = ()
    ) -> bool:
        await asyncio.sleep(self.seconds)
        if self.full:
            return False
        for letter in letters:
            self._letters.setdefault((letter.to, letter.number), letter)
        for letter in gone:
            self._letters.pop((letter.to, letter.number), None)
        self._taken.extend(number for number in taken if number not in self._taken)
        return True

    async def flush(self) -> None:
        return

    async def close(self) -> None:
        return
