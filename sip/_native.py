"""The native engine's face: `lockgate_native.sip`, re-exported for the rest of `sip`."""

from collections.abc import Sequence
from typing import TypeAlias

from lockgate_native.sip import Core, Engine, Event, authorize, ha1, parse

Address: TypeAlias = tuple[str, int]
Headers: TypeAlias = Sequence[tuple[str, str]]
Reply: TypeAlias = tuple[int, int] | tuple[int, int, Headers] | tuple[int, int, Headers, bytes]
Request: TypeAlias = tuple[str, str, Address, Headers, bytes, int]
Kept: TypeAlias = tuple[int, float, bool, Address, int, bytes]

__all__ = [
    "Address",
    "Core",
    "Engine",
    "Event",
    "Headers",
    "Kept",
    "Reply",
    "Request",
    "authorize",
    "ha1",
    "parse",
]
