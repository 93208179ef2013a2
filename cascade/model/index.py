"""Catalog rows by the thousand: the face of `lockgate_native.catalog`; index.pyi has its types.

A row is one item of a peer's catalog, as text fields (`FIELDS`), an empty one being an absent one.
Rows live in native columns and become Python only when looked at. Everything here is a value or a
container of values: no socket, no clock, no file, no wire format. Work on many rows releases the GIL.

    answer pages -> RowSet -> Index.apply -> Delta -> present() and gone() cross the lock
    Rows.select(Selector) -> the rows that the rules admit, and how many each rule refused
    Index.snapshot -> Mapping.assign -> what an upper platform is shown, under which ids
    Index.view -> View.changes_since -> Changes -> what a subscriber is told

Who is above whom is read by `Index` only, from ParentID, BusinessGroupID and CivilCode (GB/T
28181-2016 annex O), and written into the field `branch` of the rows: the ids of the ancestors, nearest
first, joined by "/". The divisions around a row close it: a camera with CivilCode 440106 is in the
branches of 440106, 4401 and 44, whether its peer lists them or not.
"""

from lockgate_native.catalog import (
    FIELDS,
    Changes,
    Delta,
    Index,
    Mapping,
    Renewal,
    Rows,
    RowSet,
    Selector,
    Snapshot,
    View,
)

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
