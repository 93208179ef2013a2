"""Whom a side of the gateway believes: the other side, certified by the same authority.

`Trust` is what one host holds of it, read from its files. It makes the settings of TLS, which checks
signatures and revocation in the handshake. Identity and dates are judged after that, here, so that there
is one judgement of time, and the clock is an argument.
"""

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from certs.ca import NotOurs, identity_of, read_certificate, read_pair, revoked
from certs.identities import Identity, SideName
from certs.shelf import AUTHORITY, REVOKED, certificate_of, key_of

Distrust = Literal["none", "unknown", "expired", "early", "revoked", "wrong-side", "wrong-id", "unreadable"]
"""Why somebody is not believed: no certificate; not of our authority; its time; taken back; not the one
we speak with, or no side at all."""

_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, which Python has no name for: dates are judged by `judge`."""

_CODES: Final[dict[int, Distrust]] = {
    2: "unknown",  # issuer not found
    7: "unknown",  # signature
    18: "unknown",  # signed by itself
    19: "unknown",
    20: "unknown",
    21: "unknown",
    23: "revoked",
}
"""OpenSSL's verification codes (x509_vfy.h)."""

_ALERTS: Final[dict[str, Distrust]] = {
    "CERTIFICATE_REVOKED": "revoked",
    "UNKNOWN_CA": "unknown",
    "CERTIFICATE_REQUIRED": "none",
    "DID_NOT_RETURN_A_CERTIFICATE": "none",
    "BAD_CERTIFICATE": "unreadable",
    "CERTIFICATE_UNKNOWN": "unreadable",
}
"""What the other end says of our certificate, by the end of OpenSSL's name for it."""


@dataclass(frozen=True, slots=True)
class Certified:
    """What a certificate says, once its signature is known to be good."""

    identity: Identity
    serial: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Trust:
    """One host's files: its own certificate and key, the authority, and what that has revoked."""

    folder: Path
    own: Certified
    revoked: frozenset[int]  # serial numbers

    def context(self, *, server: bool) -> ssl.SSLContext:
        """TLS 1.3 alone, a certificate on both ends, no resumption (it would skip the list).

        Raises:
            OSError, ssl.SSLError: the files have changed since they were read.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # who it is says the URI in the certificate, not a name of a host
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF | ssl.VerifyFlags(_NO_CHECK_TIME)
        context.load_verify_locations(self.folder / AUTHORITY)
        context.load_verify_locations(self.folder / REVOKED)
        side = self.own.identity.side
        context.load_cert_chain(self.folder / certificate_of(side), self.folder / key_of(side))
        if server:
            context.num_tickets = 0
        return context


def read_trust(folder: Path, side: SideName) -> Trust:
    """What the host of `side` holds.

    Raises:
        OSError: a file is missing or cannot be read.
        NotOurs: a file is not what its name says, or the certificate is another's.
    """
    listed = revoked((folder / REVOKED).read_bytes())
    authority = read_certificate((folder / AUTHORITY).read_bytes())
    certificate, _ = read_pair(
        (folder / certificate_of(side)).read_bytes(), (folder / key_of(side)).read_bytes()
    )
    own = certified(certificate)
    if own is None or own.identity.side != side:
        raise NotOurs("no certificate of this side")
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise NotOurs("not issued by the authority beside it") from error
    return Trust(folder, own, listed)


def certified(certificate: x509.Certificate) -> Certified | None:
    identity = identity_of(certificate)
    if identity is None:
        return None
    return Certified(
        identity,
        certificate.serial_number,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def judge(der: bytes, expected: Identity, now: datetime) -> Certified | Distrust:
    """Is it the one whom we speak with, and good now? Signature and revocation the handshake has checked.

    No certificate outlives the authority that issued it (`certs.ca.issue`), so its own dates suffice.
    """
    try:
        found = certified(x509.load_der_x509_certificate(der))
    except ValueError:
        return "unreadable"
    if found is None or found.identity.side != expected.side:
        return "wrong-side"
    if found.identity.id != expected.id:
        return "wrong-id"
    if (dated := out_of_time(found, now)) is not None:
        return dated
    return found


def out_of_time(found: Certified, now: datetime) -> Literal["expired", "early"] | None:
    """What the wall clock has against it."""
    if now > found.until:
        return "expired"
    return "early" if now < found.since else None


def refusal(error: ssl.SSLError) -> tuple[Distrust | None, bool]:
    """What a failed handshake was about, None for something else; and is it about *our* certificate?"""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CODES.get(error.verify_code, "unreadable"), False
    reason = error.reason or ""
    for name, distrust in _ALERTS.items():
        if reason.endswith(name):
            return distrust, "ALERT" in reason
    return None, False
