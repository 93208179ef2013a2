"""One transaction of the native engine, seen from outside, by datagrams or by a connection."""

from dataclasses import dataclass, field
from typing import Final, Literal

from sip._native import Core, Event, parse
from sip.aio.streams import CLOSE, DIAL
from sip.events import Kind

US: Final = ("192.0.2.1", 5060)
PEER: Final = ("203.0.113.50", 5060)
CAMERA: Final = "sip:44010600001320000001@203.0.113.50:5060"

Transport = Literal["udp", "tcp", "tls"]


@dataclass
class Bench:
    """One transaction of a core, and what it did since it was last asked.

    By a stream the peer is one that we dial: its `connection` is made by us, or comes in from its host.
    """

    machine: str
    transport: Transport = "udp"
    now: float = 0.0
    core: Core = field(init=False)
    connection: int = 0
    number: int = 0
    tag: str = ""
    request: Event | None = None

    def __post_init__(self) -> None:
        listeners = [] if self.transport == "udp" else [(self.transport, *US)]
        self.core = Core(US, "4401000000", ["203.0.113.0/24"], bytes(32), listeners=listeners)
        if self.transport != "udp":
            self.core.set_route(PEER, self.transport)

    def begin(self) -> None:
        side, what = self.machine.split()
        method = "INVITE" if what == "invite" else "MESSAGE"
        if side == "server":
            self.receive(method)
            [event] = self.core.take_events(10)
            self.number, self.tag = event.transaction, event.local_tag
            self.sent()
            return
        [self.number] = self.core.send([(method, CAMERA, PEER, self.headers(method), b"", 0)], self.now)
        self.sent()

    def headers(self, method: str) -> list[tuple[str, str]]:
        to = "<sip:44010600001320000001@4401060000>" + (";tag=t1" if method == "ACK" else "")
        return [
            ("From", "<sip:44010000002000000001@4401000000>;tag=f1"),
            ("To", to),
            ("Call-ID", "c1"),
            ("CSeq", f"1 {method}"),
            ("Max-Forwards", "70"),
        ]

    def does(self, event: str) -> list[str]:
        """Let it happen; what left and what was told."""
        match event.split():
            case [seconds, "s"]:
                self.now += float(seconds)
                self.core.advance(self.now)
            case ["cancel"]:
                self.core.cancel(self.number, self.now)
            case ["acknowledge"]:
                ack = ("ACK", CAMERA, PEER, self.headers("ACK"), b"", self.number)
                self.core.send([ack], self.now)
            case ["opened"]:
                self.core.opened(self.connection, self.now)
            case ["lost"]:
                self.lose()
            case ["answer", status]:
                self.core.reply([(self.number, int(status))], self.now)
            case [status, *of] if status.isdigit():
                self.answered(int(status), " ".join(of))
            case _:
                self.receive(event)
        if (due := self.core.deadline()) is not None and due <= self.now:
            self.core.advance(self.now)  # as whoever drives it does
        return [*self.sent(), *self.told()]

    def sent(self) -> list[str]:
        """What left, or was ordered, by name; a request of ours is remembered for its answers."""
        said = []
        for datagram, to in self.core.take_outputs():
            assert (to, self.transport) == (PEER, "udp")
            said.append(self.noted(datagram))
        for order, connection, data, peer, transport in self.core.take_orders():
            if order == DIAL:
                assert (peer, transport) == (PEER, self.transport)
                self.connection = connection
                said.append("dials")
            else:
                assert connection == self.connection
                said.append("closes" if order == CLOSE else self.noted(data))
        return said

    def noted(self, data: bytes) -> str:
        message = parse(data)
        if message.kind != Kind.RESPONSE and message.method not in ("ACK", "CANCEL"):
            self.request = message
        return f"sends {message.status or message.method}"

    def lose(self) -> None:
        self.core.closed(self.connection, "reset by peer", self.now)
        self.connection = 0

    def fed(self, text: str) -> None:
        """What the peer says, by a new connection where there is none."""
        data = text.encode()
        if self.transport == "udp":
            self.core.feed(data, PEER, self.now)
            return
        if not self.connection:
            self.connection = self.core.accept((PEER[0], 40_000), self.transport, self.now)
        self.core.feed_stream(self.connection, data, self.now)

    def timer(self) -> float | None:
        """Seconds until it must be looked at next, None for never.

        How long a silent connection stands (16 min) is none of a transaction's times.
        """
        due = self.core.deadline()
        left = None if due is None else round(due - self.now, 3)
        return None if left is None or (self.transport != "udp" and left > 600.0) else left

    def told(self) -> list[str]:
        said = []
        for event in self.core.take_events(10):
            if event.kind == Kind.RESPONSE:
                nobody = "" if event.transaction == self.number else " of nobody"
                said.append(f"tells {event.status}{nobody}")
            else:
                said.append(f"tells {Kind(event.kind).name}")
            if event.kind in (Kind.INVITE, Kind.MESSAGE):
                self.number = event.transaction
        return said

    def answered(self, status: int, of: str) -> None:
        """An answer of the peer to our request, or to its CANCEL."""
        assert self.request is not None
        method = "CANCEL" if of == "of CANCEL" else self.request.method
        tag = "t2" if of == "of another" else "t1"
        via = self.request.header("Via")
        lines = [
            f"SIP/2.0 {status} Whatever",
            f"Via: {via}",
            "From: <sip:44010000002000000001@4401000000>;tag=f1",
            f"To: <sip:44010600001320000001@4401060000>;tag={tag}",
            "Call-ID: c1",
            f"CSeq: 1 {method}",
            "Content-Length: 0",
        ]
        self.fed("\r\n".join([*lines, "", ""]))

    def receive(self, what: str) -> None:
        """A request of the peer. The ACK of a 2xx is a transaction of its own (17.1.1.3)."""
        method = what.split()[0]
        to_tag = f";tag={self.tag}" if method == "ACK" else ""
        branch = "another" if what == "ACK of 2xx" else "one"
        lines = [
            f"{method} sip:44010000002000000001@4401000000 SIP/2.0",
            f"Via: SIP/2.0/{self.transport.upper()} 203.0.113.50:5060;branch=z9hG4bK{branch}",
            "From: <sip:44010600001320000001@4401060000>;tag=r1",
            f"To: <sip:44010000002000000001@4401000000>{to_tag}",
            "Call-ID: c2",
            f"CSeq: 7 {method}",
            "Max-Forwards: 70",
            "Content-Length: 0",
        ]
        self.fed("\r\n".join([*lines, "", ""]))
