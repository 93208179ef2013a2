"""How many bits a second media has, as far as its format description says (GB/T 28181-2016 annex G, `f=`)."""

import re
from typing import Final

_DECLARED: Final = re.compile(
    r"v/[^/]*/[^/]*/[^/]*/[^/]*/(?P<picture>\d{0,6})a/(?P<codec>[^/]*)/(?P<sound>\d{0,2})/.*", re.ASCII
)

_SOUND: Final = {
    "1": 5300,
    "2": 6300,
    "3": 8000,
    "4": 16_000,
    "5": 24_000,
    "6": 32_000,
    "7": 48_000,
    "8": 64_000,
}
"""Bits a second by the number that stands for them."""

VOICE: Final = 64_000
"""Of G.711, which needs no description to be known."""


def declared(description: str) -> int:
    """Bits a second of picture and sound together, without packet headers; 0 where none is declared."""
    found = _DECLARED.fullmatch(description)
    if found is None:
        return 0
    return 1000 * int(found["picture"] or 0) + _SOUND.get(found["sound"], 0)
