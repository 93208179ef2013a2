"""The algorithms of digests, as they stand in a challenge (RFC 7616, RFC 8760; SM3 of GB/T 32905), and
whether a proof counts its nonce."""

from typing import Final, Literal

Algorithm = Literal["MD5", "SHA-256", "SM3"]

Qop = Literal["both", "none", "auth"]
"""`both`: as the other end can; `none`: not offered, not used (RFC 2069); `auth`: nothing else is right."""

ALGORITHMS: Final[tuple[Algorithm, ...]] = ("MD5", "SHA-256", "SM3")
