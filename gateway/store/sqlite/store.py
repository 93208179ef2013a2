"""All files of a side as its one `cascade.ports.Store`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from cascade.model.ids import ChannelId, PlatformId
from cascade.model.index import Rows
from cascade.outbox import Letter
from cascade.ports import Binding, KeptDialog
from gateway.store.bindings import BindingFile
from gateway.store.sqlite import outbox
from gateway.store.sqlite.catalog import CatalogFile
from gateway.store.sqlite.state import StateFile
from gateway.store.sqlite.writer import WriterCounters


class SqliteStore:
    """`state.db`, `bindings.log` and `catalog.db` in `folder`, which is made when it is not there.

    A read first waits for the writes queued before it. Raises `StoreUnavailable` from the constructor.
    """

    def __init__(self, folder: Path) -> None:
        self._state = StateFile(folder / "state.db")
        self._bindings = BindingFile(folder / "bindings.log", self._state.bindings)
        self._state.forget_bindings()
        self._catalog = CatalogFile(folder / "catalog.db")

    def counters(self) -> dict[str, WriterCounters]:
        return {"state": self._state.database.counters, "catalog": self._catalog.database.counters}

    async def bindings(self) -> list[Binding]:
        return self._bindings.bindings()

    def save_bindings(self, bindings: Sequence[Binding], gone: Sequence[PlatformId] = ()) -> None:
        self._bindings.write(bindings, gone)

    async def dialogs(self) -> list[KeptDialog]:
        await self._state.database.flush()
        return self._state.dialogs()

    def save_dialog(self, dialog: KeptDialog) -> None:
        self._state.save_dialog(dialog)

    def drop_dialog(self, call_id: str, local_tag: str) -> None:
        self._state.drop_dialog(call_id, local_tag)

    async def written(self) -> None:
        await self._state.database.flush()

    async def mapping(self, upper: PlatformId) -> list[tuple[str, str, str]]:
        await self._state.database.flush()
        return self._state.mapping(upper)

    def save_mapping(self, upper: PlatformId, triples: Sequence[tuple[str, str, str]]) -> None:
        self._state.save_mapping(upper, triples)

    async def ring(self) -> list[PlatformId]:
        await self._state.database.flush()
        return self._state.ring()

    def save_ring(self, peer: PlatformId) -> None:
        self._state.save_ring(peer)

    async def moving(self) -> list[ChannelId]:
        await self._state.database.flush()
        return self._state.moving()

    def save_moving(self, camera: ChannelId) -> None:
        self._state.save_moving(camera)

    def drop_moving(self, camera: ChannelId) -> None:
        self._state.drop_moving(camera)

    async def letters(self) -> list[Letter]:
        await self._state.database.flush()
        return outbox.letters(self._state.database)

    async def taken(self) -> list[int]:
        await self._state.database.flush()
        return outbox.taken(self._state.database)

    async def keep(
        self, letters: Sequence[Letter], gone: Sequence[Letter] = (), *, taken: Sequence[int] = ()
    ) -> bool:
        return await outbox.keep(self._state.database, letters, gone, taken=taken)

    async def catalog(self) -> list[tuple[PlatformId, Rows]]:
        await self._catalog.database.flush()
        return await asyncio.to_thread(self._catalog.rows)

    def save_rows(self, peer: PlatformId, present: Rows, gone: Sequence[str]) -> None:
        self._catalog.save_rows(peer, present, gone)

    async def flush(self) -> None:
        await asyncio.gather(self._state.database.flush(), self._catalog.database.flush())

    async def close(self) -> None:
        self._bindings.close()
        await asyncio.gather(self._state.database.close(), self._catalog.database.close())
