"""The secrets of many peers in one piece: a hundred thousand are kept as long as the process runs, so that a
reload can tell whose is another."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from cascade.credential import BYTES, Credential
from cascade.model.ids import PlatformId

Row = tuple[str, Credential]


class Table(Mapping[str, Credential]):
    """By the id of the peer. A `Credential` is made of a row when it is asked for.

    Ids are `PlatformId` where they may be one, so that whoever is admitted by its secret has no second copy.
    """

    __slots__ = ("_hashes", "_peers", "_realm_of", "_realms", "_since", "_users")

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._peers: list[str] = []
        self._users: dict[str, str] = {}  # of those whose user is not the id
        self._realm_of = array("I")
        self._since = array("q")
        hashes = bytearray()
        realms: dict[str, int] = {}
        for peer, kept in sorted(rows, key=lambda row: row[0]):
            name = _named(peer)
            self._peers.append(name)
            if kept.user != peer:
                self._users[name] = kept.user
            self._realm_of.append(realms.setdefault(kept.realm, len(realms)))
            self._since.append(kept.since)
            hashes += kept.hashes
        self._realms = tuple(realms)
        self._hashes = bytes(hashes)

    def __getitem__(self, peer: str) -> Credential:
        row = bisect_left(self._peers, peer)
        if row == len(self._peers) or self._peers[row] != peer:
            raise KeyError(peer)
        realm = self._realms[self._realm_of[row]]
        hashes = self._hashes[row * BYTES : (row + 1) * BYTES]
        return Credential(self._users.get(peer, self._peers[row]), realm, self._since[row], hashes)

    def __iter__(self) -> Iterator[str]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)

    def __eq__(self, other: object) -> bool:
        """As of all mappings; of two tables it costs no look at each row."""
        if isinstance(other, Table):
            return self._what_counts() == other._what_counts()
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def _what_counts(self) -> tuple[object, ...]:
        """All but when each was set."""
        return self._hashes, self._peers, self._users, self._realms, self._realm_of


def _named(peer: str) -> str:
    try:
        name = PlatformId(peer)
    except ValueError:
        return peer
    return name if name == peer else peer
