"""MANSCDP on the wire: one reader, and a table a command (GB/T 28181-2016 annex A)."""

from cascade.manscdp._native import Alive, CatalogNotice, CatalogPage, Head, head, heads, keepalives

CONTENT_TYPE = "Application/MANSCDP+xml"
"""As the standard spells it; read in any case and without its parameters (Q108)."""

COMMAND_TYPES = frozenset({"application/manscdp+xml", "text/xml", "application/xml"})
"""Types of bodies that hold commands, as they are read."""

__all__ = [
    "COMMAND_TYPES",
    "CONTENT_TYPE",
    "Alive",
    "CatalogNotice",
    "CatalogPage",
    "Head",
    "head",
    "heads",
    "keepalives",
]
