"""What is kept of a password: HA1 by each algorithm, for one user in one realm (RFC 7616 section 3.4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sip._native import ha1
from sip.algorithms import ALGORITHMS, Algorithm

_BYTES: Final[dict[Algorithm, int]] = {"MD5": 16, "SHA-256": 32, "SM3": 32}

BYTES: Final = sum(_BYTES.values())
"""Of all hashes of one user."""


@dataclass(frozen=True, slots=True)
class Credential:
    """Whoever has it can prove to be `user` where `realm` is asked for: no print of it shows the hashes."""

    user: str
    realm: str
    since: int = field(compare=False)
    """When it was set, seconds of the wall clock."""
    hashes: bytes = field(repr=False)
    """HA1 by each of `ALGORITHMS`, one behind the other."""

    @classmethod
    def of(cls, user: str, realm: str, password: str, since: float) -> "Credential":
        made = (bytes.fromhex(ha1(user, realm, password, algorithm)) for algorithm in ALGORITHMS)
        return cls(user, realm, int(since), b"".join(made))

    @property
    def sound(self) -> bool:
        """Are there as many bytes as it takes?"""
        return len(self.hashes) == BYTES

    def keys(self, algorithms: Sequence[Algorithm]) -> list[tuple[Algorithm, str]]:
        """Each with its HA1 in hex, in that order."""
        return [(algorithm, self._ha1(algorithm)) for algorithm in algorithms]

    def _ha1(self, wanted: Algorithm) -> str:
        start = 0
        for algorithm in ALGORITHMS:
            end = start + _BYTES[algorithm]
            if algorithm == wanted:
                return self.hashes[start:end].hex()
            start = end
        raise KeyError(wanted)
