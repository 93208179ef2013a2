"""What comes of a REGISTER, and how it is answered (GB/T 28181-2016 9.1; Q04)."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final, Literal, Protocol, assert_never

from sip.events import Address, Reply

OUR_VERSION: Final = "2.0"
"""X-GB-Ver of the 2016 edition; given to whoever sends the header (2022 annex I)."""

BEIJING: Final = timezone(timedelta(hours=8))


class Heard(Protocol):
    """What is needed of a request; `sip.events.Event` has it."""

    @property
    def transaction(self) -> int: ...
    @property
    def source(self) -> Address: ...
    @property
    def arrived(self) -> float: ...
    @property
    def from_user(self) -> str: ...
    @property
    def auth(self) -> int: ...
    @property
    def username(self) -> str: ...
    @property
    def transport(self) -> str: ...
    @property
    def certificate(self) -> str: ...
    @property
    def expires(self) -> int | None: ...
    @property
    def contact(self) -> str | None: ...
    def header(self, name: str, /) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """`expires` is what we grant; 0 removed the registration."""

    transaction: int
    expires: int
    contact: str
    versioned: bool


@dataclass(frozen=True, slots=True)
class Challenged:
    """No proof, or a wrong one, or an id nobody knows: all alike (401)."""

    transaction: int
    versioned: bool


@dataclass(frozen=True, slots=True)
class Refused:
    transaction: int
    status: Literal[403, 423]
    min_expires: int = 0


Decision = Accepted | Challenged | Refused


def beijing_time(wall: float) -> str:
    """Date of a registration's answer: local form without a zone (9.10.1, Q04)."""
    return datetime.fromtimestamp(wall, BEIJING).replace(tzinfo=None).isoformat(timespec="milliseconds")


def answer(decision: Decision, date: str) -> Reply:
    """The reply to a REGISTER; the engine adds the challenge to a 401 (Q04: the 200 is complete)."""
    match decision:
        case Accepted(transaction, expires, contact, versioned):
            headers = [("Expires", str(expires)), ("Date", date)]
            if expires:
                headers.insert(0, ("Contact", f"<{contact}>;expires={expires}"))
            if versioned:
                headers.append(("X-GB-Ver", OUR_VERSION))
            return (transaction, 200, headers)
        case Challenged(transaction, versioned):
            return (transaction, 401, [("X-GB-Ver", OUR_VERSION)]) if versioned else (transaction, 401)
        case Refused(transaction, 423, min_expires):
            return (transaction, 423, [("Min-Expires", str(min_expires))])
        case Refused(transaction, status):
            return (transaction, status)
        case _:
            assert_never(decision)
