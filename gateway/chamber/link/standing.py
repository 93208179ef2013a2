"""How the link between two hosts stands, as who administers one of them looks at it."""

from typing import Final

from msgspec import Struct

from certs.identities import SideName
from certs.trust import Certified
from gateway.words import Saying

WARNED_DAYS: Final = 30.0
"""So long before a certificate ends whoever looks is told."""


class CertificateView(Struct, frozen=True, kw_only=True):
    """`until` is a time of day, in seconds."""

    side: SideName
    id: str
    until: float


class LinkView(Struct, frozen=True, kw_only=True):
    """One end. Certificates are those of the connection that stands, or stood last.

    `since` is the time of day from which on it is up, or down. `why` it is down, as far as that is known,
    and what to do. `round_trip` in seconds, through the loops of both hosts. `unheard`: frames that the
    other end has not said to have heard. `counts`: what befell the link, by name.
    """

    up: bool
    since: float
    dialler: SideName | None = None
    why: Saying | None = None
    remedy: Saying | None = None
    own: CertificateView | None = None
    other: CertificateView | None = None
    round_trip: float | None = None
    unheard: int = 0
    counts: dict[str, int] = {}


def certificate(found: Certified) -> CertificateView:
    return CertificateView(side=found.identity.side, id=found.identity.id, until=found.until.timestamp())
