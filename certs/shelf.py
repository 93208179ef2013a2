"""The authority in a folder: what `lockgate certs` writes, and what a host is given of it.

    ca.pem  ca.key        the authority; the key stays here, on neither host of the gateway
    revoked.pem           what is revoked; goes to both hosts, together with ca.pem
    SIDE.pem  SIDE.key    a side's certificate and key; go to that side's host alone
    issued/SERIAL.pem     every certificate that was ever issued

Private keys are readable by their owner alone (0600), from the moment the file exists.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from cryptography import x509

from certs.ca import (
    Authority,
    Issued,
    NotOurs,
    create,
    identity_of,
    issue,
    key_pem,
    pem,
    read_authority,
    read_certificate,
    revocations,
    revoked,
)
from certs.identities import Identity, SideName

AUTHORITY: Final = "ca.pem"
AUTHORITY_KEY: Final = "ca.key"
REVOKED: Final = "revoked.pem"
ISSUED: Final = "issued"

State = Literal["good", "early", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate that was issued."""

    serial: int
    identity: Identity
    since: datetime
    until: datetime
    state: State

    @property
    def number(self) -> str:
        return number(self.serial)


def number(serial: int) -> str:
    """A serial number as it is shown and named: hexadecimal digits, always as many."""
    return f"{serial:040x}"


def certificate_of(side: SideName) -> str:
    return f"{side}.pem"


def key_of(side: SideName) -> str:
    return f"{side}.key"


def found(folder: Path, now: datetime, *, days: int) -> None:
    """Begin an authority in `folder`, which is made when missing.

    Raises:
        FileExistsError: one of its files is there already; nothing of it is touched.
        OSError: the folder cannot be written.
    """
    authority = create(now, days=days)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (AUTHORITY_KEY, AUTHORITY, REVOKED):
        if (folder / name).exists():
            raise FileExistsError(17, "exists", str(folder / name))
    write(folder / AUTHORITY_KEY, key_pem(authority.key), private=True)
    write(folder / AUTHORITY, pem(authority.certificate))
    write(folder / REVOKED, revocations(authority, (), now))
    (folder / ISSUED).mkdir(exist_ok=True)


def opened(folder: Path) -> Authority:
    """The authority of a folder.

    Raises:
        OSError: a file cannot be read.
        NotOurs: a file is not what its name says.
    """
    return read_authority((folder / AUTHORITY).read_bytes(), (folder / AUTHORITY_KEY).read_bytes())


def certify(folder: Path, authority: Authority, identity: Identity, now: datetime, *, days: int) -> Issued:
    """Issue a certificate and put it and its key into `folder`; an earlier pair there is replaced.

    An earlier certificate stays good until it expires or is revoked. Raises OSError.
    """
    issued = issue(authority, identity, now, days=days)
    (folder / ISSUED).mkdir(exist_ok=True)
    write(folder / ISSUED / f"{number(issued.certificate.serial_number)}.pem", issued.certificate_pem)
    replace(folder / key_of(identity.side), issued.key_pem, private=True)
    replace(folder / certificate_of(identity.side), issued.certificate_pem)
    return issued


def revoke(folder: Path, authority: Authority, serial: int, now: datetime) -> None:
    """Add a serial number to the list. Raises OSError, NotOurs."""
    listed = revoked((folder / REVOKED).read_bytes())
    replace(folder / REVOKED, revocations(authority, sorted({*listed, serial}), now))


def entries(folder: Path, now: datetime) -> Iterator[Entry]:
    """Every certificate that was issued here, the oldest first. Raises OSError, NotOurs."""
    listed = revoked((folder / REVOKED).read_bytes())
    certificates = [read_certificate(path.read_bytes()) for path in (folder / ISSUED).glob("*.pem")]
    for certificate in sorted(certificates, key=lambda each: each.not_valid_before_utc):
        identity = identity_of(certificate)
        if identity is None:
            raise NotOurs("no certificate of a side")
        yield Entry(
            certificate.serial_number,
            identity,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            _state(certificate, listed, now),
        )


def _state(certificate: x509.Certificate, listed: frozenset[int], now: datetime) -> State:
    if certificate.serial_number in listed:
        return "revoked"
    if now > certificate.not_valid_after_utc:
        return "expired"
    return "early" if now < certificate.not_valid_before_utc else "good"


def write(path: Path, data: bytes, *, private: bool = False) -> None:
    """Raises FileExistsError rather than overwrite."""
    mode = 0o600 if private else 0o644
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)


def replace(path: Path, data: bytes, *, private: bool = False) -> None:
    """Whole or not at all: whoever reads it meanwhile reads the old one."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    write(new, data, private=private)
    new.replace(path)
