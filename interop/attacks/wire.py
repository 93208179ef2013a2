"""Requests, answers and challenges as text: no more of SIP than an attack needs."""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from interop.sim.net import Address

Headers = Iterable[tuple[str, str]]

_PARAMETER: Final = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came. `size` is that of its datagram."""

    status: int
    headers: tuple[tuple[str, str], ...]
    size: int

    def values(self, name: str) -> list[str]:
        """All values of a header, by its long name."""
        return [value for given, value in self.headers if given.lower() == name.lower()]


def hashes() -> dict[str, Callable[[bytes], str]]:
    """Digest algorithms that this machine can do, by the name they have in a challenge."""
    known = {"MD5": "md5", "SHA-256": "sha256", "SM3": "sm3"}
    return {
        name: _hex(algorithm)
        for name, algorithm in known.items()
        if algorithm in hashlib.algorithms_available
    }


def _hex(algorithm: str) -> Callable[[bytes], str]:
    return lambda data: hashlib.new(algorithm, data).hexdigest()


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a 401 asks for. `qop`: "" where none is offered."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: str = ""
    opaque: str = ""
    stale: bool = False

    @property
    def known(self) -> bool:
        """Whether we can compute its digest."""
        return self.algorithm.upper() in hashes()


def challenges(answer: Answer) -> list[Challenge]:
    """Those of an answer in their order, strongest first as a good registrar sends them."""
    return [_challenge(value) for value in answer.values("WWW-Authenticate")]


def _challenge(value: str) -> Challenge:
    given = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(value)}
    offers = [offer.strip() for offer in given.get("qop", "").split(",")]
    return Challenge(
        realm=given.get("realm", ""),
        nonce=given.get("nonce", ""),
        algorithm=given.get("algorithm", "MD5"),
        qop="auth" if "auth" in offers else "",
        opaque=given.get("opaque", ""),
        stale=given.get("stale", "").lower() == "true",
    )


@dataclass(frozen=True, slots=True)
class Proof:
    """What a digest is made of. What is None is what it should be; anything else is an attack.

    `named`: the algorithm that the header names, `hashed`: the one that is used.
    """

    user: str
    password: str
    uri: str
    method: str = "REGISTER"
    count: int = 1
    nonce: str | None = None
    named: str | None = None
    hashed: str | None = None

    def header(self, asked: Challenge) -> str:
        """The value of Authorization."""
        named = self.named or asked.algorithm
        digest = hashes()[(self.hashed or named).upper()]
        nonce = asked.nonce if self.nonce is None else self.nonce
        first = digest(f"{self.user}:{asked.realm}:{self.password}".encode())
        second = digest(f"{self.method}:{self.uri}".encode())
        count, chosen = f"{self.count:08x}", secrets.token_hex(8)
        middle = f"{nonce}:{count}:{chosen}:auth" if asked.qop else nonce
        response = digest(f"{first}:{middle}:{second}".encode())
        value = (
            f'Digest username="{self.user}", realm="{asked.realm}", nonce="{nonce}", uri="{self.uri}", '
            f'response="{response}", algorithm={named}'
        )
        if asked.opaque:
            value += f', opaque="{asked.opaque}"'
        return value + (f', qop=auth, nc={count}, cnonce="{chosen}"' if asked.qop else "")


def branch() -> str:
    return f"z9hG4bK{secrets.token_hex(8)}"


def request(method: str, uri: str, here: Address, fixed: str, headers: Headers, body: bytes = b"") -> bytes:
    """A whole request. `fixed` is its branch."""
    host = f"[{here[0]}]" if ":" in here[0] else here[0]
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{here[1]};rport;branch={fixed}",
        "Max-Forwards: 70",
        *(f"{name}: {value}" for name, value in headers),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read(datagram: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Start line and headers of whatever came; ("", ()) for what is no message."""
    head, blank, _ = datagram.partition(b"\r\n\r\n")
    if not blank:
        return "", ()
    start, *lines = head.decode("utf-8", "replace").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return start, tuple((name.strip(), value.strip()) for name, _, value in pairs)


def status(start: str) -> int:
    """0 for a request, or for what is no message."""
    words = start.split(" ", 2)
    return int(words[1]) if words[0] == "SIP/2.0" and len(words) > 1 and words[1].isdecimal() else 0


def first(headers: Iterable[tuple[str, str]], name: str) -> str:
    return next((value for given, value in headers if given.lower() == name.lower()), "")


def branch_of(headers: Iterable[tuple[str, str]]) -> str:
    """Of the topmost Via."""
    found = re.search(r";\s*branch\s*=\s*([^;,\s]+)", first(headers, "Via"))
    return found[1] if found else ""


def answer_to(start: str, headers: tuple[tuple[str, str], ...], status: int, reason: str) -> bytes:
    """Our answer to a request of the registrar's; b"" where it wants none."""
    if start.startswith("ACK "):
        return b""
    copied = [f"{name}: {value}" for name, value in headers if name.lower() in _COPIED]
    lines = [f"SIP/2.0 {status} {reason}", *copied, "Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode()


_COPIED: Final = {"via", "v", "from", "f", "to", "t", "call-id", "i", "cseq"}
