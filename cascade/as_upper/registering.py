"""What comes of a REGISTER, and how it is answered (GB/T 28181-2016 9.1; Q04)."""

from datetime import datetime, timedelta, timezone
from typing import Final, Literal

from msgspec import Struct

from sip.events import Reply

OUR_VERSION: Final = "2.0"
"""X-GB-Ver of the 2016 edition; given to whoever sends the header (2022 annex I)."""

VERSIONED: Final = [("X-GB-Ver", OUR_VERSION)]

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


def answer(decision: Decision, date: str) -> Reply:
    """The reply to a REGISTER; the engine adds the challenge to a 401 (Q04: the 200 is complete)."""
    if isinstance(decision, Challenged):
        return (decision.transaction, 401, VERSIONED) if decision.versioned else (decision.transaction, 401)
    if isinstance(decision, Accepted):
        expires = str(decision.expires)
        headers = [("Expires", expires), ("Date", date)]
        if decision.expires:
            headers.insert(0, ("Contact", f"<{decision.contact}>;expires={expires}"))
        if decision.versioned:
            headers += VERSIONED
        return (decision.transaction, 200, headers)
    if isinstance(decision, Redirected):
        headers = [*(("Contact", place) for place in decision.places), ("Expires", str(decision.expires))]
        return (decision.transaction, 302, headers + VERSIONED if decision.versioned else headers)
    if decision.status == 423:
        return (decision.transaction, 423, [("Min-Expires", str(decision.min_expires))])
    return (decision.transaction, decision.status)
