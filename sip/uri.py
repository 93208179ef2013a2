"""SIP URIs (RFC 3261 section 19.1), read as far as dialogs and routes need them.

Cameras write what they like as a user, so a user is any text without `@`; hosts and ports are checked.
"""

from dataclasses import dataclass
from typing import Final

from sip.errors import MalformedMessage
from sip.events import Address

DEFAULT_PORT: Final = 5060


@dataclass(frozen=True, slots=True)
class SipUri:
    """`host` has no brackets; `port` is None where the text names none; `parameters` keep their order."""

    user: str
    host: str
    port: int | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    scheme: str = "sip"

    @property
    def address(self) -> Address:
        return self.host, self.port or DEFAULT_PORT

    def parameter(self, name: str) -> str | None:
        """The value, "" for a parameter without one, None when it is absent."""
        return next((value for key, value in self.parameters if key == name), None)

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        tail = "".join(f";{key}={value}" if value else f";{key}" for key, value in self.parameters)
        return f"{self.scheme}:{user}{host_port(self.host, self.port)}{tail}"


def host_port(host: str, port: int | None) -> str:
    """`host:port` with brackets around IPv6."""
    host = f"[{host}]" if ":" in host else host
    return host if port is None else f"{host}:{port}"


def parse_uri(text: str) -> SipUri:
    """Read `sip:` or `sips:`; URI headers (after `?`) are dropped.

    Raises:
        MalformedMessage: another scheme, no host, a port that is none, or spaces and brackets within.
    """
    text = text.strip()
    if any(char <= " " or char in '<>"\x7f' for char in text):
        raise MalformedMessage(f"not a URI: {text[:64]!r}")
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in {"sip", "sips"}:
        raise MalformedMessage(f"not a SIP URI: {text[:64]!r}")
    user, at, place = rest.rpartition("@")
    if at and not user:
        raise MalformedMessage(f"no user before @: {text[:64]!r}")
    place, *parameters = place.partition("?")[0].split(";")
    host, port = _place(place.strip(), text)
    return SipUri(user, host, port, tuple(map(_parameter, filter(None, parameters))), scheme.lower())


def _place(place: str, text: str) -> tuple[str, int | None]:
    if place.startswith("["):
        host, bracket, tail = place[1:].partition("]")
        colon, digits = tail[:1], tail[1:]
        well = bracket and colon in {"", ":"}
    else:
        host, colon, digits = place.partition(":")
        well = ":" not in digits
    if (
        not well
        or not host
        or not all(char.isascii() and (char.isalnum() or char in "-._:%") for char in host)
    ):
        raise MalformedMessage(f"no host: {text[:64]!r}")
    if not colon or not digits:
        return host, None
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) < 65536):
        raise MalformedMessage(f"not a port: {text[:64]!r}")
    return host, int(digits)


def _parameter(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip().lower(), value.strip()
