"""What the native engine tells us, and what we hand back, as plain values.

Kinds are small integers from the engine; the names are here. An `Event` is immutable and holds the
message as it came, so a header nobody asks for is never made into text.
"""

from enum import IntEnum

from sip._native import (
    Address,
    Attempt,
    Cut,
    Event,
    Headers,
    Kept,
    Listener,
    Order,
    Proof,
    Registration,
    Reply,
    Request,
    registrations,
)
from sip.algorithms import Algorithm

__all__ = [
    "Address",
    "Algorithm",
    "Attempt",
    "Auth",
    "Cut",
    "Event",
    "Headers",
    "Kept",
    "Kind",
    "Listener",
    "Order",
    "Proof",
    "Registration",
    "Reply",
    "Request",
    "registrations",
]


class Kind(IntEnum):
    REGISTER = 1
    MESSAGE = 2
    INVITE = 3
    ACK = 4  # of a 2xx only; others end in the engine
    BYE = 5
    CANCEL = 6  # answered by the engine; `transaction` is that of the INVITE, which still wants its 487
    REQUEST = 7  # any other method
    RESPONSE = 8
    TIMEOUT = 9  # of a client transaction: timer B or F
    UNACKNOWLEDGED = 10  # no ACK for our 2xx within 64*T1; `transaction` is that of the INVITE
    UNDELIVERED = 11  # our request could not leave; `reason` is the operating system's
    MALFORMED = 12  # `reason` says what is wrong
    LIMITED = 13  # a limit was met; `reason` is its name; there is no message


class Auth(IntEnum):
    """What the engine found about a REGISTER's digest (RFC 2617, RFC 8760)."""

    NONE = 0
    VERIFIED = 1
    WRONG = 2  # also for an unknown user, after the same computation
    STALE = 3  # digest right, nonce not: expired, used before, or a repeated count
