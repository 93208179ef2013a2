"""Names, keys and ids (GB/T 28181-2016 annex D).

Three words for three things: what a peer calls something is a `PeerName`, our key of it a
`ChannelId`, what we show to others a `GbId`.
"""

from dataclasses import dataclass
from typing import Self

from msgspec import Struct


class PeerName(str):
    """What one peer calls something: 1 to 64 printable characters, trimmed, otherwise opaque.

    Field devices use 8, 18 and 21 characters (Q10); nobody but their own peer has to like it.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if text.isalnum() and len(text) <= 64:  # as nearly all are: there is nothing to trim
            return str.__new__(cls, text)
        text = text.strip()
        if not (1 <= len(text) <= 64 and text.isprintable()):
            raise ValueError(f"not a name: {text[:32]!r}")
        return str.__new__(cls, text)


class PlatformId(PeerName):
    """One of our peers, by the id that the configuration gives it."""

    __slots__ = ()


class ChannelId(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Our key of a channel or device, the same on both sides: whose it is, what they call it."""

    peer: PlatformId
    name: PeerName

    def __str__(self) -> str:
        return f"{self.peer}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class GbId:
    """What we show to others: 20 digits, or 2, 4, 6 or 8 for an administrative area.

    The 20: 8 centre (2 province, 2 city, 2 county, 2 station), 2 industry, 3 kind, 1 network,
    6 serial. Zeros lead, so text.
    """

    digits: str

    def __post_init__(self) -> None:
        if not (self.digits.isascii() and self.digits.isdigit()):
            raise ValueError(f"not digits: {self.digits[:32]!r}")
        if len(self.digits) not in {2, 4, 6, 8, 20}:
            raise ValueError(f"{len(self.digits)} digits: {self.digits[:32]!r}")

    def __str__(self) -> str:
        return self.digits

    @property
    def kind(self) -> int | None:
        """Digits 11 to 13, None for an area. Not an enum: vendors use values outside the table."""
        return int(self.digits[10:13]) if len(self.digits) == 20 else None

    @property
    def domain(self) -> str:
        """The SIP domain by convention: the first ten digits."""
        return self.digits[:10]
