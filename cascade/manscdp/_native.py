"""The face of `lockgate_native.manscdp`: heads, the charset rule, Catalog pages."""

from typing import TypeAlias

from lockgate_native.manscdp import (
    CatalogNotice,
    CatalogPage,
    Head,
    clean,
    decode,
    encode,
    head,
    heads,
    keepalives,
    mend,
    scan_catalog,
    scan_notice,
    write_catalog,
    write_changes,
    write_rows,
)

from sip.events import Address, Event

Alive: TypeAlias = tuple[Event, int, str, Address, float]

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
