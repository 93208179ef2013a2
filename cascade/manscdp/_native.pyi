"""Types of `lockgate_native.manscdp`. All of it is pure and takes any bytes."""

from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from typing import TypeAlias, final

from cascade.model.index import Changes, Mapping, Rows, Snapshot
from sip.events import Address, Event

Alive: TypeAlias = tuple[Event, int, str, Address, float]
"""(event, transaction, from_user, source, arrived) of a keepalive."""

__all__ = [
    "Alive",
    "CatalogNotice",
    "CatalogPage",
    "Head",
    "clean",
    "decode",
    "encode",
    "head",
    "heads",
    "keepalives",
    "mend",
    "scan_catalog",
    "scan_notice",
    "write_catalog",
    "write_changes",
    "write_rows",
]

@final
class Head:
    """What decides a body's SIP answer: checked text. Only `operation`, `source_id` and the id of a
    broadcast's answer may be empty."""

    @property
    def root(self) -> str:
        """`Control`, `Query`, `Notify` or `Response`."""

    @property
    def cmd_type(self) -> str: ...
    @property
    def sn(self) -> str:
        """1 to 18 digits, as sent."""

    @property
    def device_id(self) -> str:
        """1 to 64 printable ASCII characters; of a Broadcast notice its `TargetID`."""

    @property
    def source_id(self) -> str:
        """Of a Broadcast notice who speaks, else ""."""

    @property
    def operation(self) -> str:
        """Of a DeviceControl the name of the element that says what to do, else ""."""

    @property
    def well(self) -> bool:
        """False for a keepalive that does not say OK, or lists broken children (Q14)."""

@final
class CatalogPage:
    """One page of a catalog. `sum_num` and `num` are claims of the peer, None where it made none."""

    def __new__(
        cls,
        *,
        sn: str,
        device_id: str,
        sum_num: int | None,
        num: int | None,
        rows: Rows,
        repaired: int = 0,
        replaced: int = 0,
        dropped: int = 0,
    ) -> CatalogPage: ...
    @property
    def sn(self) -> str: ...
    @property
    def device_id(self) -> str: ...
    @property
    def sum_num(self) -> int | None: ...
    @property
    def num(self) -> int | None: ...
    @property
    def rows(self) -> Rows: ...
    @property
    def repaired(self) -> int:
        """Places put right before it could be read."""

    @property
    def replaced(self) -> int:
        """Characters that were unreadable in the body's charset."""

    @property
    def dropped(self) -> int:
        """Items that could not be kept: unreadable, or without a usable id."""

@final
class CatalogNotice:
    """A notice of changes. Of an id that stands in it several times the last item counts."""

    def __new__(
        cls,
        *,
        device_id: str,
        present: Rows,
        turned: Rows,
        gone: Sequence[str],
        repaired: int = 0,
        replaced: int = 0,
        dropped: int = 0,
    ) -> CatalogNotice: ...
    @property
    def device_id(self) -> str: ...
    @property
    def present(self) -> Rows:
        """What came or is another; what is empty in these rows was not said."""

    @property
    def turned(self) -> Rows:
        """What turned: id and status alone."""

    @property
    def gone(self) -> list[str]: ...
    @property
    def repaired(self) -> int: ...
    @property
    def replaced(self) -> int: ...
    @property
    def dropped(self) -> int: ...

def head(body: bytes) -> Head | None:
    """The head of a body, looked for in its first 4 KiB; None when there is none."""

def heads(bodies: Sequence[bytes]) -> list[Head | None]: ...
def keepalives(run: list[Event]) -> tuple[list[Alive], list[tuple[Event, Head | None]]]:
    """Of a run of MESSAGE the keepalives that say OK, and the others with their heads, each in order."""

def decode(body: bytes) -> tuple[str, int]:
    """Text by the one charset rule, and the number of characters that were unreadable."""

def encode(text: str, charset: str) -> bytes:
    """Bytes under the label "GB2312", "GB18030" or "UTF-8"; the first means GB18030's bytes too.

    Raises:
        ValueError: another charset.
    """

def mend(text: str) -> tuple[str, int]:
    """Text that a strict parser may take, and how many places were put right (Q21, Q22, Q23)."""

def scan_catalog(body: bytes) -> CatalogPage:
    """Read a Catalog page, repaired where that needs no guess.

    Raises:
        ValueError: not a Catalog page, beyond repair, or with markup that only a full parser reads.
    """

def scan_notice(body: bytes) -> CatalogNotice:
    """Read a notice of changes as `scan_catalog` reads a page. Raises as that does."""

def clean(items: Sequence[dict[str, str]]) -> tuple[Rows, int]:
    """Rows of texts under the names of the fields, tidied like those of a scanned page; how many
    were dropped for want of a usable id.

    Raises:
        KeyError: not the name of a field.
    """

def write_catalog(
    snapshot: Snapshot,
    mapping: Mapping,
    start: int,
    *,
    sn: int,
    device_id: str,
    own: Dictionary[str, str],
    charset: str,
    max_bytes: int,
    max_items: int,
) -> tuple[bytes, int]:
    """One page that shows `snapshot` to an upper platform, and the number of the next item.

    Item 0 is our own system, `own` its fields; `len(snapshot) + 1` items in all. A page holds one
    item at least, whatever the limits.
    """

def write_changes(
    changes: Changes,
    mapping: Mapping,
    start: int,
    *,
    sn: int,
    device_id: str,
    civil_code: str,
    charset: str,
    max_bytes: int,
    max_items: int,
) -> tuple[bytes, int]:
    """One notice of `changes` from number `start` on, and the number of the next; of nothing it has no list.

    `civil_code` is that of rows which tell none. A notice holds one change at least, if there is one.
    """

def write_rows(
    rows: Rows, start: int, *, sn: int, device_id: str, charset: str, max_bytes: int, max_items: int
) -> tuple[bytes, int]:
    """One page of `rows` as they stand, and the number of the next row; nothing is filled in."""
