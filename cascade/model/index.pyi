"""Types of the native catalog. A peer is named by its configured id, a row by what the peer calls it."""

import collections.abc
from collections.abc import Sequence
from typing import Final, Self, final

__all__ = [
    "FIELDS",
    "Changes",
    "Delta",
    "Index",
    "Mapping",
    "Renewal",
    "RowSet",
    "Rows",
    "Selector",
    "Snapshot",
    "View",
]

FIELDS: Final[tuple[str, ...]]
"""Names of a row's fields: "id" first, "branch" last, "status" ("ON", "OFF" or "") among them."""

@final
class Rows:
    """An immutable batch of rows in columns. Equal when all fields of all rows are; not hashable."""

    @staticmethod
    def build(rows: Sequence[collections.abc.Mapping[str, str]]) -> Rows:
        """Rows from their fields; what is missing is empty. The id is trimmed, a text above 2048 bytes cut.

        Raises:
            ValueError: a key is not in `FIELDS`, a text is no Unicode, or there are over 2,000,000 rows.
            TypeError: a key or value is not text.
        """

    @staticmethod
    def decode(data: bytes) -> Rows:
        """What `encode` made.

        Raises:
            ValueError: anything else, whatever the bytes.
        """

    def encode(self) -> bytes:
        """The batch as bytes, about as long as its texts, with a version and checked lengths."""

    def __len__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def get(self, row: int) -> dict[str, str]:
        """The fields of one row that are not empty. Raises IndexError."""

    def ids(self) -> list[str]: ...
    def slice(self, start: int, stop: int) -> Rows:
        """Rows from `start` to below `stop`, sharing the columns; bounds beyond the end are drawn in."""

    def named_above(self) -> list[str]:
        """The ids that these rows name in ParentID, BusinessGroupID or branch, once each.

        A division that a row's own CivilCode says is not among them.
        """

    def veil(self, veils: collections.abc.Mapping[str, str]) -> Rows:
        """The same rows without the ids that are keys of `veils`; in branches their values stand for them."""

    def through(self, names: collections.abc.Set[str]) -> tuple[Rows, Rows]:
        """Rows as a peer lists them: those that came through none of `names`, and the others.

        A row came through what it is and through what stands above it in this list, however far.
        Divisions, which all platforms share, came through nothing.
        """

    def located(self, system: str) -> Rows:
        """The same rows, those with a place saying in `coordinates` in which system it is (Q32)."""

    def select(self, selector: Selector) -> tuple[Rows, dict[str, int]]:
        """The admitted rows in their order, and how many rows each rule refused.

        Judges by the fields "id", "branch" and "owner"; admitted and refused are together all rows.
        """

@final
class RowSet:
    """Pages of one answer, gathered by id: they come in any order, and more than once (Q16)."""

    def __new__(cls) -> Self: ...
    def add(self, rows: Rows) -> int:
        """Take a page; return how many different ids came so far.

        A row whose id is no name (1 to 64 printable characters) is dropped; of one id the last row stands.
        """

    def rows(self) -> Rows:
        """All rows so far, in the order in which their ids first came."""

    def __len__(self) -> int: ...

@final
class Selector:
    """A rule list, compiled: the first rule that fits decides, and what none fits is refused by "default"."""

    def __new__(cls, rules: Sequence[tuple[str, bool, Sequence[str]]]) -> Self:
        """Rules as (rule id, whether it allows, selectors of which any may fit).

        Selectors: "*"; "id:<id>"; "prefix:<digits>" of the id; "class:<three digits>", those that say in an
        id of 20 digits what it is of; "branch:<id>", that id or whatever has it among its ancestors;
        "owner:<text>", the whole field.

        Raises:
            ValueError: a selector is none of these.
        """

    def judge(self, id: str, branch: str, owner: str = "") -> tuple[bool, str]:
        """Whether a row with this id, branch and owner passes, and the id of the rule that says so."""

@final
class Delta:
    """What an application changed."""

    @property
    def added(self) -> int:
        """Ids that were not there."""

    @property
    def changed(self) -> int:
        """Ids that were there with another row, and rows elsewhere whose branch is another now."""

    @property
    def removed(self) -> int: ...
    @property
    def unchanged(self) -> int:
        """Ids of the batch whose row is as it was."""

    @property
    def dropped(self) -> int:
        """Rows of the batch whose id is no name."""

    @property
    def loops(self) -> int:
        """Rows whose branch was computed, and which are above themselves by way of others (Q26)."""

    def present(self) -> Rows:
        """The added and the changed rows as they are now, with their branch."""

    def gone(self) -> Rows:
        """The removed rows as they were."""

    def former(self) -> Rows:
        """Id, former branch and former owner of each changed row that has another of these now.

        A rule that knew it by them may decide otherwise from now on.
        """

@final
class Renewal:
    """A long answer on its way into an index, from `Index.renew`."""

@final
class Index:
    """All rows of all peers. The key of a row is (peer, id), since factory-set ids repeat (Q11)."""

    def __new__(cls, *, told: bool = False) -> Self:
        """`told`: the branch of each row is what the row says, as another index has computed it."""

    def apply(self, peer: str, rows: Rows, complete: bool) -> Delta:
        """Take rows of a peer. `complete`: it has no others, so those are gone; else nothing is deleted.

        A row whose status is empty keeps the one it had (Q29). The branch of the given rows is not
        read but computed, and so is that of the rows below them, unless the index is one of what is told.
        """

    def renew(self, peer: str, rows: Rows, complete: bool) -> Renewal:
        """As `apply`, for a long answer, in steps: every reader has the old rows until `renewed`.

        Nothing else of this peer is applied, removed or told anew meanwhile; whether it is there may turn.
        """

    def step(self, renewal: Renewal, most: int) -> bool:
        """Go on by so many rows; whether there is more to do."""

    def renewed(self, renewal: Renewal) -> list[Delta]:
        """From now on these are the rows: what that changes, a part for each step. Once."""

    def merge(self, peer: str, rows: Rows, *, known: bool = ...) -> tuple[Rows, int]:
        """Rows of which only what they say is another, ready for `apply`: what is empty in them is as it was.

        And how many of them were not known; with `known` these are left out. Nothing is changed here.
        """

    def remove(self, peer: str, ids: Sequence[str]) -> Rows:
        """Take rows away and return them as they were; ids that are not there are passed over.

        Rows below them stay, with another branch.
        """

    def begin(self, peer: str) -> None:
        """From here on all rows of a peer are told anew, by `apply`."""

    def finish(self, peer: str) -> Rows:
        """Take away what was not told since `begin`, and return it; nothing where nothing was begun."""

    def set_online(self, peer: str, online: bool) -> int:
        """Say whether a peer is there; return how many of its rows read another status now.

        While it is not, `find` and `snapshot` read OFF for all its rows; what the peer said is kept. A
        peer counts as there until told otherwise, which may be before its first row.
        """

    def __len__(self) -> int: ...
    def count(self, peer: str) -> int: ...
    def peers(self) -> list[str]:
        """Peers that have rows, in order."""

    def find(self, peer: str, id: str) -> dict[str, str] | None:
        """The fields of one row that are not empty, None when there is no such row."""

    def place(self, peer: str, id: str) -> tuple[str, str] | None:
        """Branch and owner of one row, None when there is no such row."""

    def rows(self, peer: str) -> Rows:
        """All rows of a peer, with the status that the peer gave."""

    def elsewhere(self, peer: str, rows: Rows) -> list[str]:
        """The ids among these rows of a peer, divisions left out, that another peer has too.

        Looks at every row of all the others.
        """

    def view(self, *, without: Sequence[str] = ..., top: tuple[str, str] | None = ...) -> View:
        """All rows as they are now, to be compared with another view; `without` as in `snapshot`.

        `top`: of this peer only this row, and what has it among its ancestors.
        """

    def snapshot(self, *, without: Sequence[str] = ...) -> Snapshot:
        """All rows as they are now; the same object's content until something changes.

        `without`: leave out what came through one of these, be it the row's peer, the row itself or in
        its branch.
        """

@final
class View:
    """What somebody is shown at one moment. It holds row numbers and shares the columns."""

    def __len__(self) -> int: ...
    def faults(self) -> Changes:
        """An OFF for each row that is off, for somebody who takes all to be on."""

    def changes_since(self, former: View) -> Changes:
        """What turns `former` into this, each row once; what went to and fro in between is not among it."""

@final
class Changes:
    """ADD, UPDATE, ON and OFF of rows that are there, parents first; then DEL of others, children first."""

    def __len__(self) -> int: ...
    def present(self) -> Snapshot:
        """The rows that are there: those which may need an id before they are written."""

@final
class Snapshot:
    """A frozen view of all rows in the order of sending: what happens later can't be seen in it.

    Systems, divisions from the shortest, business groups, virtual organisations, devices, channels; by
    depth, then id, then peer; parents before their children. A division of several peers stands here
    once, since its digits mean the same for all.
    """

    def __len__(self) -> int: ...
    def key(self, number: int) -> tuple[str, str]:
        """Peer and id of one row. Raises IndexError."""

    def get(self, number: int) -> dict[str, str]:
        """The fields of one row that are not empty; the status is OFF while its peer is offline."""

@final
class Mapping:
    """What each thing is called towards one upper platform: one to one, once, for ever.

    An id is shown as it is when it is regular (2, 4, 6, 8 or 20 digits) and nobody else's; else as a
    generated one of our own centre, which keeps its kind. A shown id is never given to another thing,
    also when the first is gone, since uppers store them. Divisions are shown as they are for all peers.
    """

    def __new__(cls, own_id: str, pairs: Sequence[tuple[str, str, str]]) -> Self:
        """Restore from the stored (peer, id, shown); `own_id`, 20 digits, is ours and given to nobody.

        Raises:
            ValueError: `own_id` or a shown id is no such id, or two pairs contradict each other.
        """

    def assign(self, snapshot: Snapshot) -> list[tuple[str, str, str]]:
        """Give each row that has none a shown id; return only these (peer, id, shown), to be stored."""

    def shown(self, peer: str, id: str) -> str | None: ...
    def key(self, shown: str) -> tuple[str, str] | None:
        """Peer and id of what is shown as this, None for our own id and for what was never assigned."""

    @property
    def own_id(self) -> str: ...
    def __len__(self) -> int: ...
