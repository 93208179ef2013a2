"""The algorithms of digests, as they stand in a challenge (RFC 7616, RFC 8760; SM3 of GB/T 32905)."""

from typing import Final, Literal

Algorithm = Literal["MD5", "SHA-256", "SM3"]

ALGORITHMS: Final[tuple[Algorithm, ...]] = ("MD5", "SHA-256", "SM3")
