"""Who a certificate speaks for: one side of one gateway, by its 20-digit id.

It stands in the certificate as the only URI of its subject's alternative names, in one closed form:
`lockgate:SIDE/ID`. The subject's own name is for people, and nothing is decided by it.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, cast

SideName = Literal["outer", "inner"]

_URI: Final = re.compile(r"lockgate:(outer|inner)/([0-9]{20})")


@dataclass(frozen=True, slots=True)
class Identity:
    side: SideName
    id: str

    @property
    def uri(self) -> str:
        return f"lockgate:{self.side}/{self.id}"

    def __str__(self) -> str:
        return f"{self.side} {self.id}"

    @classmethod
    def of_uri(cls, uri: str) -> "Identity | None":
        """None for whatever is not exactly of our form."""
        found = _URI.fullmatch(uri)
        return None if found is None else cls(cast("SideName", found[1]), found[2])
