"""What a side shows by TLS, and whose certificates it believes: its files, read into contexts."""

import ssl
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from certs.identities import SideName
from gateway.config_reading import Problem
from gateway.words import Saying, Told, saying
from gateway.words.system import reason

if TYPE_CHECKING:
    from gateway.config import Config, TlsConfig


class BadCertificate(Told):
    """A file of `[SIDE.tls]` cannot be used."""

    def __init__(self, file: str, why: Saying | str) -> None:
        super().__init__(saying("run.certificate", file=file, reason=why))


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """`mark` is another one when a file says something else, and "" where there are none."""

    server: ssl.SSLContext | None = None
    client: ssl.SSLContext | None = None
    mark: str = ""


NO_FILES: Final = TlsFiles()


def read_files(given: "TlsConfig") -> TlsFiles:
    """TLS 1.2 or newer, both ways; a certificate of theirs is asked for, a name is not.

    Raises BadCertificate.
    """
    if not given.certificate:
        return NO_FILES
    mark = sha256()
    for file in (given.certificate, given.key, given.authority):
        mark.update(_content(file))
    return TlsFiles(_context(given, server=True), _context(given, server=False), mark.hexdigest())


def read_sides(
    config: "Config", path: Path, here: SideName | None
) -> tuple[dict[SideName, TlsFiles], list[Problem]]:
    """Of both sides, or of the one that runs here; and what keeps which from being used."""
    files, problems = {}, []
    sides: tuple[SideName, ...] = ("outer", "inner") if here is None else (here,)
    for side in sides:
        try:
            files[side] = read_files((config.outer if side == "outer" else config.inner).tls)
        except BadCertificate as error:
            problems.append(Problem(str(path), f"{side}.tls", error.said))
    return files, problems


def _content(file: str) -> bytes:
    """Which file, by its digest, so that what stands in one and moves to another is told apart."""
    try:
        return sha256(Path(file).read_bytes()).digest() if file else bytes(32)
    except OSError as error:
        raise BadCertificate(file, reason(error)) from error


def _context(given: "TlsConfig", *, server: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.check_hostname = False  # peers are known by id or address: `Tls.names`
    try:
        # A key under a password is refused: without this, ssl asks for it on the terminal.
        context.load_cert_chain(given.certificate, given.key or None, password="")
    except (OSError, ssl.SSLError) as error:
        raise BadCertificate(given.certificate, _why(error)) from error
    context.verify_mode = ssl.CERT_NONE
    if given.authority:
        try:
            context.load_verify_locations(given.authority)
        except (OSError, ssl.SSLError) as error:
            raise BadCertificate(given.authority, _why(error)) from error
        context.verify_mode = ssl.CERT_OPTIONAL if server else ssl.CERT_REQUIRED
    return context


def _why(error: OSError) -> Saying | str:
    """ssl.SSLError is an OSError with a reason of its own."""
    return str(error) if isinstance(error, ssl.SSLError) else reason(error)
