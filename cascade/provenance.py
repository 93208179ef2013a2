"""Loop guard: what comes back from where it was shown is counted, and is no channel.

Platforms may stand above each other, or in a ring (Q98); everybody shows on what it was shown. The
provenance of a row is its peer and its branch: the platforms that it came through, as far as they are
listed. Two things follow, and both are needed, since not every platform says where rows are from:

- a row is never offered to whom it came through (`Share`);
- a row that came through us is an echo. Its branch says so where it names our other side, or its id,
  where it is one that we show: but only of a peer that is known to show what we do, for ids from the
  factory repeat (Q11). Such a peer stands above us too, or lists us, or an id that we made up.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final

from cascade.model.ids import PlatformId
from cascade.model.index import Index, Rows, Selector

Key = tuple[str, str]
"""Peer and name of a channel."""

REST: Final = ("rest", True, ["*"])


class LoopGuard:
    """The echoes that one side meets: among what its lowers list, and among what comes from beyond.

    `own` is this side's id and `beyond` the other's. `above` are this side's uppers, `ring` the peers that
    were found to show what we do in an earlier run; `found` is told of each that is found now.
    """

    def __init__(
        self,
        own: str,
        beyond: str = "",
        above: Collection[PlatformId] = (),
        *,
        ring: Collection[PlatformId] = (),
        found: Callable[[PlatformId], None] = lambda peer: None,
    ) -> None:
        self._own = own
        self._beyond = beyond
        self._above = frozenset(above)
        self._ring = set(ring)  # peers that have shown an id which we made up
        self._found = found
        self._through: dict[PlatformId, frozenset[str]] = {}  # of lowers that list echoes, as they last did
        self.exported: Callable[[str], Iterable[Key]] = lambda shown: ()
        """Which channels this side's uppers call so; of the lower face."""

    def adopt(self, above: Collection[PlatformId]) -> None:
        """These are this side's uppers from now on."""
        self._above = frozenset(above)

    def listed(self, peer: PlatformId, rows: Rows, index: Index, *, complete: bool) -> Rows:
        """What of its rows a lower brings itself. `index` has what our lowers have; where the list is
        not `complete`, what it leaves out counts as it was."""
        before = self._through.get(peer, frozenset())
        names = {self._beyond} - {""} | (frozenset() if complete else before)
        kept, through = rows.through(names)
        ids = kept.ids()
        back = {self._own} if self._own in ids else set()
        if through or back or (before and not complete) or self.known(peer, ids):
            back |= {name for name in ids if self._shown_of_others(peer, name)}
            back |= {*index.elsewhere(peer, kept)}
        echoes = frozenset(through.ids()) | back | (frozenset() if complete else before)
        if echoes:
            self._through[peer] = echoes
        else:
            self._through.pop(peer, None)
        return without(kept, back)

    def echo(self, peer: PlatformId, name: str) -> bool:
        """Is this name of a lower's one that came through us?"""
        return name in self._through.get(peer, ()) or (self.known(peer) and self._shown_of_others(peer, name))

    def arrived(self, peer: PlatformId, rows: Rows) -> set[str]:
        """The ids of echoes among rows that come from the other side."""
        ids = rows.ids()
        echoes = {self._own} if self._own in ids else set()
        if self.known(peer, ids):
            echoes |= {name for name in ids if self._shown_of_others(peer, name)}
        return echoes

    def known(self, peer: PlatformId, ids: Iterable[str] = ()) -> bool:
        """Does this peer show what we do? Once it lists an id that we made up it does for good."""
        if peer in self._above or peer in self._ring:
            return True
        centre = self._own[:10]
        if any(name.startswith(centre) and self._made_up(peer, name) for name in ids):
            self._ring.add(peer)
            self._found(peer)
            return True
        return False

    def _made_up(self, peer: PlatformId, name: str) -> bool:
        return any(key != (peer, name) and key[1] != name for key in self.exported(name))

    def _shown_of_others(self, peer: PlatformId, name: str) -> bool:
        """Divisions are of everybody."""
        return len(name) > 8 and any(key != (peer, name) for key in self.exported(name))


def without(rows: Rows, ids: Collection[str]) -> Rows:
    """The rows but those of these ids."""
    if not ids:
        return rows
    kept, _ = rows.select(Selector([("left-out", False, [f"id:{name}" for name in sorted(ids)]), REST]))
    return kept
