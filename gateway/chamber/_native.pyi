"""Types of the native audit."""

from collections.abc import Callable
from typing import final

__all__ = ["Scribe"]

@final
class Scribe:
    """Writes what crosses as records, and remembers of each type how that is done."""

    def __new__(
        cls,
        plan: Callable[[type], tuple[str, str | None, bool, str, str, tuple[str, ...], tuple[str, ...]]],
        encode: Callable[[object], bytes],
        subjects: int,
        items: int,
        chars: int,
    ) -> Scribe:
        """`plan` is asked once for each type (`gateway.chamber.record.Plan`), `encode` writes seldom numbers
        as JSON. At most so many names and list items are written, and so many characters of a text."""

    def tell(
        self,
        crossing: object,
        verdict: object,
        post: tuple[str, str, str],
        chained: tuple[float, float, int, str] | None = None,
        cut: bool = False,
    ) -> tuple[bytes, str]:
        """The line of the record and its hash. `post`: side, door, direction. `chained`: seconds since 1970,
        monotonic seconds, sequence, and the hash of the record before; without it there is no hash and no
        newline. `cut` leaves out whatever may be long."""

    def moment(self, wall: float) -> str:
        """A time of day, in seconds since 1970, as records have it: UTC, to the microsecond."""
