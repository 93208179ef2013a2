"""The face of `lockgate_native.manscdp`: heads, the charset rule, Catalog pages."""

from lockgate_native.manscdp import (
    CatalogNotice,
    CatalogPage,
    Head,
    clean,
    decode,
    encode,
    head,
    heads,
    mend,
    scan_catalog,
    scan_notice,
    write_catalog,
    write_changes,
    write_rows,
)

__all__ = [
    "CatalogNotice",
    "CatalogPage",
    "Head",
    "clean",
    "decode",
    "encode",
    "head",
    "heads",
    "mend",
    "scan_catalog",
    "scan_notice",
    "write_catalog",
    "write_changes",
    "write_rows",
]
