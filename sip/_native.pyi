"""Types of the native SIP engine. `now` is seconds of any monotonic clock, an address is (host, port)."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, final

from sip.algorithms import Algorithm, Qop

Address: TypeAlias = tuple[str, int]
Headers: TypeAlias = Sequence[tuple[str, str]]
Reply: TypeAlias = tuple[int, int] | tuple[int, int, Headers] | tuple[int, int, Headers, bytes]
"""(transaction, status[, headers[, body]]). With a body, Content-Type must be among the headers."""
Request: TypeAlias = tuple[str, str, Address, Headers, bytes, int]
"""(method, uri, destination, headers, body, ack_for); `ack_for` is 0 unless the method is ACK."""
Listener: TypeAlias = tuple[str, str, int]
"""("udp", "tcp" or "tls", host, port): an address of ours."""
Cut: TypeAlias = tuple[Address, str, str]
"""(where, which user, by "tcp" or "tls") was reached by a connection that is gone."""
Order: TypeAlias = tuple[int, int, bytes, Address, str]
"""(kind, connection, what to write, whom to dial, by "tcp" or "tls"); kinds are 1 write, 2 close, 3 dial."""
Kept: TypeAlias = tuple[int, float, bool, Address, int, bytes]
"""(number, moment, sent by us, peer, bytes of the whole, its first 8 KiB with every secret covered)."""
Proof: TypeAlias = tuple[str, Address, float, str, str, int | None, str | None]
"""(username, source, arrived, transport, certificate, expires, contact), as `Event` has them."""
Registration: TypeAlias = tuple[int, int, str | None, str, Proof | None]
"""(transaction, auth, X-GB-Ver, from_user, what was proven: None unless it is verified)."""
Attempt: TypeAlias = tuple[str, float, str, str, tuple[str, str, str, str, str, str, str, int], float | None]
"""(what was not right, when, from which address, Request-URI, inputs, when that address was given the nonce).

Inputs: user name, realm, URI, algorithm, qop, nonce count, nonce, and how many characters of response. What
was not right, the first of: realm, user, algorithm, target (its URI is not for whom the Request-URI is for),
qop, count, response; or with a right response: nonce-foreign, nonce-expired, nonce-used, nonces-full.
"""

__all__ = [
    "Address",
    "Attempt",
    "Core",
    "Cut",
    "Engine",
    "Event",
    "Headers",
    "Kept",
    "Listener",
    "Order",
    "Proof",
    "Registration",
    "Reply",
    "Request",
    "authorize",
    "ha1",
    "parse",
    "registrations",
    "respond",
]

@final
class Event:
    """One thing that happened, read-only. What is absent reads as "" or 0, where None is not named.

    Attributes are read from the datagram on access: take what you need into a local.
    """

    @property
    def kind(self) -> int: ...
    @property
    def transaction(self) -> int: ...
    @property
    def source(self) -> Address: ...
    @property
    def transport(self) -> str:
        """By what it came or went: "udp", "tcp" or "tls"."""

    @property
    def connection(self) -> int:
        """The connection it came or went by, 0 for a datagram."""

    @property
    def certificate(self) -> str:
        """Names in the verified certificate of that connection's other end, parted by blanks."""

    @property
    def arrived(self) -> float:
        """When the engine took the datagram, on the clock of its `now`."""

    @property
    def awaits_answer(self) -> bool: ...
    @property
    def method(self) -> str:
        """The request's method; for responses and time-outs the method of their CSeq."""

    @property
    def uri(self) -> str: ...
    @property
    def uri_user(self) -> str: ...
    @property
    def from_user(self) -> str: ...
    @property
    def to_user(self) -> str: ...
    @property
    def from_tag(self) -> str: ...
    @property
    def to_tag(self) -> str: ...
    @property
    def local_tag(self) -> str:
        """The tag our answers carry in To where the request had none; the same for the whole transaction."""

    @property
    def call_id(self) -> str: ...
    @property
    def cseq(self) -> int: ...
    @property
    def branch(self) -> str:
        """The branch of the topmost Via, "" when it has none."""

    @property
    def auth(self) -> int:
        """How a REGISTER proved itself: 0 not at all, 1 verified, 2 wrong, 3 right but stale."""

    @property
    def username(self) -> str: ...
    @property
    def expires(self) -> int | None:
        """Seconds: the first Contact's parameter, else Expires, else None. `Contact: *` gives 0."""

    @property
    def contact(self) -> str | None:
        """The URI inside the first Contact, without brackets and header parameters."""

    @property
    def content_type(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def raw(self) -> bytes: ...
    @property
    def outline(self) -> bytes:
        """Of a request: its line, Vias, From, To, Call-ID and CSeq, of which an answer is made."""

    def header(self, name: str) -> str | None:
        """The first header of that name, folded lines joined. Bytes that are not UTF-8 become U+FFFD."""

    def headers(self, name: str) -> list[str]: ...

@final
class Core:
    """The engine without socket and clock: for tests in virtual time, and replay."""

    def __new__(
        cls,
        local: Address,
        realm: str,
        networks: Sequence[str],
        seed: bytes,
        *,
        limits: Mapping[str, int] = ...,
        qop: bool = True,
        listeners: Sequence[Listener] = ...,
    ) -> Core:
        """`networks` are CIDR strings of allowed sources; `seed` is 32 bytes, the root of all secrets.

        `limits` are those that are not as usual, by name (`gateway.config_limits` says what they mean).

        Raises:
            ValueError: an address, network or limit that is none, or a seed of another length.
        """

    @property
    def local(self) -> Address: ...
    def feed(self, datagram: bytes, source: Address, now: float) -> None: ...
    def offer(self, datagram: bytes, source: Address, now: float, *, listener: int = 0) -> None:
        """As `Engine.poll` does with what its sockets hold: known peers' are fed, strangers' wait.

        `listener` is the place of the socket that it came to among our datagram addresses.
        """

    def serve_strangers(self, limit: int, now: float) -> None:
        """Serve of those that wait what fits into a turn of `limit` events."""

    def know(self, came: Sequence[Address], gone: Sequence[Address], cut: Sequence[Cut] = ...) -> None:
        """Addresses of peers, who go before strangers, and of those that are peers no longer.

        `cut`: no datagram goes there until one came from there; the connections there of these users were an
        earlier process's.
        """

    def set_limits(self, limits: Mapping[str, int]) -> None:
        """From now on these limits, and the usual ones where none is named.

        Raises:
            ValueError: there is none of that name.
        """

    def advance(self, now: float) -> None: ...
    def deadline(self) -> float | None: ...
    def take_events(self, limit: int) -> list[Event]: ...
    def take_outputs(self) -> list[tuple[bytes, Address]]: ...
    def take_datagrams(self) -> list[tuple[bytes, Address, int]]:
        """The same, with the place among our datagram addresses that each leaves from."""

    def reply(self, replies: Sequence[Reply], now: float) -> None:
        """Answer requests. A transaction that is over or answered already is counted and left alone.

        Raises:
            ValueError: a status outside 100 to 699, or a header that holds a line break.
        """

    def send(self, requests: Sequence[Request], now: float) -> list[int]:
        """Send requests; the numbers of their client transactions, 0 for an ACK.

        A request that could not be sent has its number too, and an UNDELIVERED event follows.
        """

    def cancel(self, transaction: int, now: float) -> None: ...
    def adopt(self, outline: bytes, source: Address, now: float) -> int | None:
        """Take up an INVITE that an earlier process sent 100 and no more; its transaction, to be answered.

        None for what is no such request, comes from elsewhere than allowed, is here already, or finds
        no room. No event tells of it.
        """

    def accept(self, peer: Address, transport: str, now: float, *, to: Address | None = None) -> int:
        """A connection came in, `to` that address of ours; its number, 0 if it is to be closed at once.

        Raises:
            ValueError: not an address, or not a transport.
        """

    def opened(self, connection: int, now: float) -> None:
        """A connection that was ordered is made."""

    def certified(self, connection: int, names: str) -> None:
        """The names in the verified certificate of its other end."""

    def closed(self, connection: int, reason: str, now: float) -> None:
        """It is gone, or could not be made: requests that went by it are undelivered."""

    def feed_stream(self, connection: int, data: bytes, now: float) -> None:
        """What came by it, in any pieces."""

    def backlog(self, connection: int, waiting: int, now: float) -> None:
        """So many bytes wait for its other end to read them; too many, and it is closed."""

    def take_orders(self) -> list[Order]: ...
    def set_route(
        self, peer: Address, transport: str | None, *, large_by_tcp: bool = False, pong: bool = False
    ) -> None:
        """How our requests go to that address; None: as what comes from there.

        `large_by_tcp`: over 1,300 bytes by TCP. `pong`: an empty line twice from there is answered.
        """

    def set_terms(
        self, user: str, *, large: int = 0, pong: bool = False, dial: Address | None = None
    ) -> None:
        """What that user may do on a connection by which it registered: bytes of a large body, `pong`.

        `dial`: where we connect to when its own connection is away; None: we wait a moment for it.
        """

    def set_large_kinds(self, kinds: Sequence[bytes]) -> None:
        """A body may be large in whose first KiB one of these stands."""

    def set_networks(self, networks: Sequence[str], now: float) -> None:
        """CIDR: from where anybody may speak to us from now on; connections from elsewhere are closed.

        Raises:
            ValueError: a network that is none; then nothing changed.
        """

    def seen_from(self, peer: Address) -> tuple[str, Address]:
        """By which transport our requests go there, and our address as they name it."""

    def set_credentials(
        self, user: str, given: Sequence[tuple[Algorithm, str | None]], qop: Qop = "both"
    ) -> None:
        """From now on this user is offered these algorithms in this order and proves itself by these HA1;
        with None in place of an HA1 it is offered and nothing is right. () forgets the user. `qop`: none is
        not offered one; auth is right with one alone.

        Raises:
            ValueError: not the hex digits of that algorithm, or one algorithm twice; nothing has changed.
        """

    def attempts(self, user: str) -> list[Attempt]:
        """What was not right about its last digests: of four addresses the last, the newest last."""

    def token(self) -> str: ...
    def counters(self) -> dict[str, int]: ...
    def recall(self, needles: Sequence[bytes], after: int, limit: int) -> tuple[int, list[Kept]]:
        """The number of the newest message, and the newest of those kept behind `after`, in their order.

        At most `limit` messages of INVITE dialogs and as many others; of these only such in which a
        needle occurs, if there are needles.
        """

@final
class Engine:
    """The same core over one UDP socket. Its clock is CLOCK_MONOTONIC, that of asyncio loops."""

    def __new__(
        cls,
        local: Address,
        realm: str,
        networks: Sequence[str],
        seed: bytes,
        receive_buffer: int = 4194304,
        *,
        limits: Mapping[str, int] = ...,
        qop: bool = True,
        listeners: Sequence[Listener] = ...,
    ) -> Engine:
        """Bind. `receive_buffer` is asked of the kernel in bytes, which may give less.

        Raises:
            OSError: the address cannot be bound.
            ValueError: as for `Core`.
        """

    @property
    def local(self) -> Address:
        """The bound address, with the real port where 0 was asked for."""

    @property
    def receive_buffer(self) -> int:
        """Bytes the kernel granted."""

    def fileno(self) -> int:
        """Readable while datagrams, due timers or events wait; -1 once closed."""

    def gather(self, seconds: float) -> None:
        """Be readable for datagrams only every so often, whether any came or not; 0: as soon as one is there.

        Raises:
            ValueError: a negative time, or one that nobody can wait for.
        """

    def poll(self, limit: int) -> list[Event]: ...
    def reply(self, replies: Sequence[Reply]) -> None: ...
    def send(self, requests: Sequence[Request]) -> list[int]: ...
    def cancel(self, transaction: int) -> None: ...
    def adopt(self, outline: bytes, source: Address) -> int | None:
        """See `Core.adopt`."""

    def accept(self, peer: Address, transport: str, *, to: Address | None = None) -> int:
        """See `Core`, as for the others of connections."""

    def opened(self, connection: int) -> None: ...
    def certified(self, connection: int, names: str) -> None: ...
    def closed(self, connection: int, reason: str) -> None: ...
    def feed_stream(self, connection: int, data: bytes) -> None: ...
    def backlog(self, connection: int, waiting: int) -> None: ...
    def know(self, came: Sequence[Address], gone: Sequence[Address], cut: Sequence[Cut] = ...) -> None: ...
    def set_limits(self, limits: Mapping[str, int]) -> None: ...
    def take_orders(self) -> list[Order]: ...
    def set_route(
        self, peer: Address, transport: str | None, *, large_by_tcp: bool = False, pong: bool = False
    ) -> None: ...
    def set_terms(
        self, user: str, *, large: int = 0, pong: bool = False, dial: Address | None = None
    ) -> None: ...
    def set_large_kinds(self, kinds: Sequence[bytes]) -> None: ...
    def set_networks(self, networks: Sequence[str]) -> None: ...
    def seen_from(self, peer: Address) -> tuple[str, Address]: ...
    def set_credentials(
        self, user: str, given: Sequence[tuple[Algorithm, str | None]], qop: Qop = "both"
    ) -> None: ...
    def attempts(self, user: str) -> list[Attempt]: ...
    def token(self) -> str: ...
    def counters(self) -> dict[str, int]: ...
    def recall(self, needles: Sequence[bytes], after: int, limit: int) -> tuple[int, list[Kept]]:
        """See `Core.recall`."""

    def close(self) -> None: ...

def registrations(run: list[Event]) -> list[Registration]:
    """All that a registrar reads of a run of REGISTER, at the price of one attribute each."""

def parse(datagram: bytes) -> Event:
    """Read one datagram without an engine: kind REQUEST or RESPONSE by its first line, no transaction.

    Raises:
        ValueError: it is not a SIP message that the engine accepts; the text says why.
    """

def ha1(user: str, realm: str, password: str, algorithm: Algorithm = "MD5") -> str:
    """H(user:realm:password) in hex, which is all that `set_credentials` and `respond` need to know."""

def authorize(
    challenges: Sequence[str],
    username: str,
    password: str,
    method: str,
    uri: str,
    cnonce: str,
    nc: int = 1,
    *,
    body: bytes = ...,
    qop: Qop = "both",
) -> str:
    """The value of the Authorization header that answers the strongest of these WWW-Authenticate (RFC 7616
    3.4, RFC 8760 2.4); of equally strong ones the first. With qop auth where it is offered, else with
    auth-int, which proves `body` too, else without; `qop` none never uses one, auth always.

    Raises:
        ValueError: none of them is Digest with a nonce, an algorithm that we know and a qop that we know.
    """

def respond(
    challenges: Sequence[str],
    username: str,
    realm: str,
    keys: Sequence[tuple[Algorithm, str]],
    method: str,
    uri: str,
    cnonce: str,
    nc: int = 1,
    *,
    body: bytes = ...,
    qop: Qop = "both",
) -> str:
    """The same by what is kept instead of the password: HA1 for that realm, by the algorithms agreed.

    Raises:
        ValueError: as `authorize`; or the realm is another, or none of the algorithms is among the keys.
    """
