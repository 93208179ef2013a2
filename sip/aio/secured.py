"""TLS without a socket: bytes of the wire in and out, plain text in and out, by Python's ssl."""

import ssl
from typing import Any, Final

READ_BYTES: Final = 64 * 1024
MAX_NAMES: Final = 8


class Secured:
    """One end of one TLS connection. `established` once the handshake is done on this end."""

    def __init__(self, context: ssl.SSLContext, *, server: bool) -> None:
        self.established = False
        self._arrived = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_side=server)

    def feed(self, data: bytes) -> bytes:
        """Take what came from the wire (nothing begins a handshake), return the plain text in it.

        Raises:
            ssl.SSLError: the handshake failed, or what came is not TLS; `output` then holds the alert.
        """
        self._arrived.write(data)
        plain = bytearray()
        try:
            if not self.established:
                self._tls.do_handshake()
                self.established = True
            while part := self._tls.read(READ_BYTES):
                plain += part
        except ssl.SSLWantReadError:
            pass
        return bytes(plain)

    def write(self, plain: bytes) -> None:
        """Only once it is established."""
        self._tls.write(plain)

    def output(self) -> bytes:
        """What is to go onto the wire."""
        return self._leaving.read()

    def names(self) -> frozenset[str]:
        """Common names and alternative names of the other end's certificate, which was verified.

        Empty where it showed none, and before it is established.
        """
        shown: dict[str, Any] = self._tls.getpeercert() or {}
        subject = [value for rdn in shown.get("subject", ()) for key, value in rdn if key == "commonName"]
        others = [
            value for kind, value in shown.get("subjectAltName", ()) if kind in {"DNS", "IP Address", "URI"}
        ]
        return frozenset(
            name for name in (*subject, *others)[:MAX_NAMES] if name.isprintable() and " " not in name
        )
