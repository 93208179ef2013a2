"""What comes of a REGISTER, and how it is answered (GB/T 28181-2016 9.1; Q04)."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Final, Literal

from msgspec import Struct

from sip.events import Headers, Reply

OUR_VERSION: Final = "2.0"
"""X-GB-Ver of the 2016 edition; given to whoever sends the header (2022 annex I)."""

VERSIONED: Final = [("X-GB-Ver", OUR_VERSION)]

LEADING: Final = ("X-GB-Ver", "3.0")
"""Beside a 302: no earlier edition has it."""

BEIJING: Final = timezone(timedelta(hours=8))


class Accepted(Struct, frozen=True, gc=False):
    """`expires` is what we grant; 0 removed the registration."""

    transaction: int
    expires: int
    contact: str
    versioned: bool


class Challenged(Struct, frozen=True, gc=False):
    """No proof, or a wrong one, or an id nobody knows: all alike (401)."""

    transaction: int
    versioned: bool


class Refused(Struct, frozen=True, gc=False):
    transaction: int
    status: Literal[403, 423]
    min_expires: int = 0


class Redirected(Struct, frozen=True, gc=False):
    """It is to register elsewhere: `places` are Contact values, the best first."""

    transaction: int
    expires: int
    places: tuple[str, ...]
    versioned: bool


Decision = Accepted | Challenged | Refused | Redirected


def beijing_time(wall: float) -> str:
    """Date of a registration's answer: local form without a zone (9.10.1, Q04)."""
    return datetime.fromtimestamp(wall, BEIJING).replace(tzinfo=None).isoformat(timespec="milliseconds")


def answers(decisions: Sequence[Decision], date: str) -> list[Reply]:
    """The replies to a run of REGISTER; the engine adds the challenge to a 401."""
    dated, replies = ("Date", date), list[Reply]()
    for decision in decisions:
        if isinstance(decision, Accepted):
            replies.append((decision.transaction, 200, _granted(decision, dated)))
        elif isinstance(decision, Challenged) and not decision.versioned:
            replies.append((decision.transaction, 401))
        else:
            replies.append(_other(decision))
    return replies


def _granted(decision: Accepted, dated: tuple[str, str]) -> Headers:
    """Of a 200, which is complete (Q04)."""
    expires = str(decision.expires)
    until = ("Expires", expires)
    if not decision.expires:
        return [until, dated, *VERSIONED] if decision.versioned else [until, dated]
    contact = ("Contact", f"<{decision.contact}>;expires={expires}")
    return [contact, until, dated, *VERSIONED] if decision.versioned else [contact, until, dated]


def _other(decision: Challenged | Refused | Redirected) -> Reply:
    if isinstance(decision, Challenged):
        return (decision.transaction, 401, VERSIONED)
    if isinstance(decision, Redirected):
        headers = [*(("Contact", place) for place in decision.places), ("Expires", str(decision.expires))]
        return (decision.transaction, 302, [*headers, LEADING])
    if decision.status == 423:
        return (decision.transaction, 423, [("Min-Expires", str(decision.min_expires))])
    return (decision.transaction, decision.status)
