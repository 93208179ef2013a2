"""Rows that come from the other side: taken but echoes, kept, and shown again after our own death."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import assert_never

from cascade.crossing import ROWS_PER_CROSSING, CatalogBatch
from cascade.model.ids import PlatformId
from cascade.model.index import Index, Rows
from cascade.ports import Gate, Store
from cascade.provenance import LoopGuard, without

log = logging.getLogger(__name__)


class Arrivals:
    """Those of one face. `changed` is called when rows came or went; `counts` is the face's."""

    def __init__(
        self,
        *,
        gate: Gate,
        index: Index,
        store: Store,
        guard: LoopGuard,
        counts: Counter[str],
        changed: Callable[[], None],
    ) -> None:
        self._gate = gate
        self._index = index
        self._store = store
        self._guard = guard
        self._counts = counts
        self._changed = changed

    def readmit(self, peer: PlatformId, rows: Rows) -> None:
        """Show again what today's rules let through; forget the rest, they may have become stricter."""
        for start in range(0, len(rows), ROWS_PER_CROSSING):
            part = rows.slice(start, start + ROWS_PER_CROSSING)
            batch = CatalogBatch(correlation=0, origin=peer, change="present", rows=part)
            passes = self._gate.readmit(batch).passes
            kept = passes.rows if isinstance(passes, CatalogBatch) else part.slice(0, 0)
            kept = without(kept, self._guard.arrived(peer, kept))
            self._index.apply(peer, kept, complete=False)
            if len(kept) < len(part):
                lost = {*part.ids()} - {*kept.ids()}
                self._store.save_rows(peer, part.slice(0, 0), sorted(lost))

    def take(self, batch: CatalogBatch) -> None:
        present, gone = batch.rows.slice(0, 0), list[str]()
        match batch.change:
            case "present":
                present, gone = self._admit(batch.origin, batch.rows)
            case "gone":
                gone = batch.rows.ids()
                self._index.remove(batch.origin, gone)
            case "anew":
                self._index.begin(batch.origin)
            case "whole":
                gone = self._index.finish(batch.origin).ids()
            case _:
                assert_never(batch.change)
        if len(present) or gone:
            self._store.save_rows(batch.origin, present, gone)
            self._changed()

    def _admit(self, peer: PlatformId, rows: Rows) -> tuple[Rows, list[str]]:
        """Take rows but those that went out through us; what was taken before one knew is withdrawn."""
        unknown = not self._guard.known(peer)
        echoes = self._guard.arrived(peer, rows)
        present = self._index.apply(peer, without(rows, echoes), complete=False).present()
        if not echoes:
            return present, []
        self._counts["echoes"] += len(echoes)
        if unknown and self._guard.known(peer):
            echoes |= self._guard.arrived(peer, self._index.rows(peer))
            log.warning("catalog.echoes", extra={"peer": peer, "rows": len(echoes)})
        return present, self._index.remove(peer, sorted(echoes)).ids()
