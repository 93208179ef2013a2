"""The native engine's face: `lockgate_native.sip`, re-exported for the rest of `sip`."""

from collections.abc import Sequence
from typing import TypeAlias

from lockgate_native.sip import Core, Engine, Event, authorize, ha1, parse, registrations, respond

Address: TypeAlias = tuple[str, int]
Headers: TypeAlias = Sequence[tuple[str, str]]
Reply: TypeAlias = tuple[int, int] | tuple[int, int, Headers] | tuple[int, int, Headers, bytes]
Request: TypeAlias = tuple[str, str, Address, Headers, bytes, int]
Listener: TypeAlias = tuple[str, str, int]
Cut: TypeAlias = tuple[Address, str, str]
Order: TypeAlias = tuple[int, int, bytes, Address, str]
Kept: TypeAlias = tuple[int, float, bool, Address, int, bytes]
Proof: TypeAlias = tuple[str, Address, float, str, str, int | None, str | None]
Registration: TypeAlias = tuple[int, int, str | None, str, Proof | None]
Attempt: TypeAlias = tuple[str, float, str, str, tuple[str, str, str, str, str, str, str, int], float | None]

__all__ = [
    "Address",
    "Attempt",
    "Core",
    "Cut",
    "Engine",
    "Event",
    "Headers",
    "Kept",
    "Listener",
    "Order",
    "Proof",
    "Registration",
    "Reply",
    "Request",
    "authorize",
    "ha1",
    "parse",
    "registrations",
    "respond",
]
