"""The peers below a side, of which a province has a hundred thousand: what they have in common is kept once.

Nearly all of them differ by their id alone. Each is still a `LowerConfig` of its own to whoever looks at it;
whoever keeps them keeps an id, and somebody who is alike.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import Final, overload

from msgspec.structs import force_setattr, replace

from cascade.model.ids import PlatformId
from gateway.config_peers import LowerConfig

ANYBODY: Final = PlatformId("00000000000000000000")
"""Stands for whoever has certain terms."""


class Lowers(Sequence[LowerConfig]):
    """Some peers in their order. They are made when they are looked at."""

    __slots__ = ("_alike", "_ids")

    def __init__(self, peers: Iterable[LowerConfig] = ()) -> None:
        self._ids: list[PlatformId] = []
        self._alike: list[LowerConfig] = []  # of each somebody with the same terms and aliases
        known: dict[LowerConfig, LowerConfig] = {}
        for peer in peers:
            self._ids.append(peer.id)
            self._alike.append(known.setdefault(replace(peer, id=ANYBODY), peer))

    def add(self, alike: LowerConfig, ids: Iterable[PlatformId]) -> None:
        """These too, each like that one but for its id."""
        before = len(self._ids)
        self._ids += ids
        self._alike += [alike] * (len(self._ids) - before)

    def pairs(self) -> Iterator[tuple[PlatformId, LowerConfig]]:
        """Each id with somebody who has its terms and aliases, and maybe another id: nothing is made."""
        return zip(self._ids, self._alike, strict=True)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[LowerConfig]:
        return map(_named, self._ids, self._alike)

    @overload
    def __getitem__(self, number: int) -> LowerConfig: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[LowerConfig]: ...
    def __getitem__(self, number: int | slice) -> LowerConfig | Sequence[LowerConfig]:
        if isinstance(number, slice):
            return tuple(map(_named, self._ids[number], self._alike[number]))
        return _named(self._ids[number], self._alike[number])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Lowers, tuple, list)):
            return NotImplemented
        return len(self) == len(other) and all(map(LowerConfig.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]


def pairs(peers: Sequence[LowerConfig]) -> Iterator[tuple[PlatformId, LowerConfig]]:
    """Each id with somebody who has its terms and aliases; see `Lowers.pairs`."""
    return peers.pairs() if isinstance(peers, Lowers) else ((peer.id, peer) for peer in peers)


def _named(name: PlatformId, alike: LowerConfig) -> LowerConfig:
    if alike.id == name:
        return alike
    made = copy(alike)
    force_setattr(made, "id", name)  # nobody else has seen it yet
    return made
