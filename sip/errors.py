"""Errors of the SIP library, split by who is to blame.

SipError
    PeerError             the peer broke the protocol; carries the status we should answer
        MalformedMessage
        MessageTooLarge
        MalformedSdp
    UsageError            our own code misused the library; never shown to a peer
    Declined              the peer answered our request with 300 to 699
    InviteOver            the INVITE we wanted to answer is cancelled, refused or answered already
    TransactionTimeout    nobody is to blame: no answer within timer B or F, or within the owner's limit
    TransportFailed       the datagram could not leave; carries the operating system's reason
"""


class SipError(Exception):
    """Root of everything this library raises on purpose."""


class PeerError(SipError):
    """The peer broke a rule of RFC 3261. `status` is the answer it has earned."""

    status = 400

    def __init__(self, reason: str, *, at: int | None = None) -> None:
        super().__init__(reason if at is None else f"{reason} (byte {at})")
        self.at = at


class MalformedMessage(PeerError):
    """The bytes are not a SIP message, or a header's value is not what its name promises."""


class MessageTooLarge(PeerError):
    """The message passes the limit set for its transport (RFC 3261 section 21.5.7)."""

    status = 513


class MalformedSdp(PeerError):
    """The body is not a session description that can be read (RFC 8866)."""

    status = 488


class UsageError(SipError):
    """Our own code asked for something that can't be; a bug here, not there."""


class Declined(SipError):
    """A final answer other than 2xx. `warning` is the Warning header's value, None if there is none."""

    def __init__(self, status: int, reason: str = "", warning: str | None = None) -> None:
        super().__init__(f"{status} {reason}".rstrip())
        self.status = status
        self.reason = reason
        self.warning = warning


class InviteOver(SipError):
    """It is too late to accept: the INVITE was cancelled, refused or answered before."""


class TransactionTimeout(SipError):
    """No final answer came in time."""


class TransportFailed(SipError):
    """The datagram could not leave this host."""
