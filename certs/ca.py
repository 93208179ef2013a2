"""The authority of one gateway: makes itself, certifies sides, and lists what it has revoked.

Pure: keys and certificates in and out as values, the time as an argument. `certs.shelf` keeps them.
Keys are ECDSA on P-256; a certificate of a side serves both ends of a connection, since either may dial.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.identities import Identity

CLOCK_SECONDS: Final = 300
"""A new certificate counts from so long ago: the other host's clock may be behind ours."""


class NotOurs(Exception):
    """A file holds no certificate, key or list of this authority; the text says which."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority's certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def until(self) -> datetime:
        return self.certificate.not_valid_after_utc


@dataclass(frozen=True, slots=True)
class Issued:
    """A side's certificate with its private key, as PEM."""

    certificate: x509.Certificate
    certificate_pem: bytes
    key_pem: bytes


def create(now: datetime, *, days: int) -> Authority:
    """A new authority with a key of its own; it can certify sides and nothing below them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lockgate link authority")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _dated(x509.CertificateBuilder(), now, now + timedelta(days=days))
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def issue(authority: Authority, identity: Identity, now: datetime, *, days: int) -> Issued:
    """A certificate for `identity` with a new key; it never outlives the authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _dated(x509.CertificateBuilder(), now, min(now + timedelta(days=days), authority.until))
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Lockgate {identity}")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri)]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Issued(certificate, pem(certificate), key_pem(key))


def revocations(authority: Authority, serials: Sequence[int], now: datetime) -> bytes:
    """The list of what is revoked, as PEM. It holds until the authority ends: a new one is copied by hand."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - timedelta(seconds=CLOCK_SECONDS))
        .next_update(authority.until)
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        builder = builder.add_revoked_certificate(entry)
    signed = builder.sign(authority.key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def revoked(data: bytes) -> frozenset[int]:
    """The serial numbers in a list. Raises NotOurs."""
    try:
        return frozenset(entry.serial_number for entry in x509.load_pem_x509_crl(data))
    except ValueError as error:
        raise NotOurs("no list of revoked certificates") from error


def read_authority(certificate: bytes, key: bytes) -> Authority:
    """Raises NotOurs."""
    return Authority(*read_pair(certificate, key))


def read_pair(certificate: bytes, key: bytes) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Raises NotOurs: not a certificate, not its key, or one is unreadable."""
    found = read_certificate(certificate)
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError) as error:
        raise NotOurs("no private key") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != found.public_key():
        raise NotOurs("not the key of the certificate beside it")
    return found, private


def read_certificate(data: bytes) -> x509.Certificate:
    """Raises NotOurs."""
    try:
        return x509.load_pem_x509_certificate(data)
    except ValueError as error:
        raise NotOurs("no certificate") from error


def identity_of(certificate: x509.Certificate) -> Identity | None:
    """Whom it speaks for; None unless it names exactly one side in our form, and nothing else."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return Identity.of_uri(uris[0]) if len(uris) == len(names) == 1 else None


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def at(seconds: float) -> datetime:
    """A moment from seconds of the wall clock."""
    return datetime.fromtimestamp(seconds, UTC)


def _dated(builder: x509.CertificateBuilder, now: datetime, until: datetime) -> x509.CertificateBuilder:
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(seconds=CLOCK_SECONDS))
        .not_valid_after(until)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
