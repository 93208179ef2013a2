"""Every state of every transaction meets every event of its table (RFC 3261 section 17, RFC 6026).

The table is `vectors/transactions.toml`; the machines are those of the native engine, seen from outside:
what leaves, what is told, and when it must be looked at again.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from sip._native import Core, Event, parse
from sip.events import Kind

TABLE: Final = Path(__file__).parent / "vectors" / "transactions.toml"
ROWS: Final[list[dict[str, Any]]] = tomllib.loads(TABLE.read_text())["row"]

US: Final = ("192.0.2.1", 5060)
PEER: Final = ("203.0.113.50", 5060)
CAMERA: Final = "sip:44010600001320000001@203.0.113.50:5060"

PATHS: Final[dict[tuple[str, str], list[str]]] = {
    ("client invite", "calling"): [],
    ("client invite", "calling, to be cancelled"): ["cancel"],
    ("client invite", "proceeding"): ["180"],
    ("client invite", "cancelling"): ["180", "cancel"],
    ("client invite", "cancelled"): ["180", "cancel", "200 of CANCEL"],
    ("client invite", "completed"): ["486"],
    ("client invite", "accepted"): ["200"],
    ("client invite", "acknowledged"): ["200", "acknowledge"],
    ("client invite", "terminated"): ["32 s"],
    ("client other", "trying"): [],
    ("client other", "proceeding"): ["100"],
    ("client other", "completed"): ["200"],
    ("client other", "terminated"): ["200", "5 s"],
    ("server invite", "new"): [],
    ("server invite", "refused at once"): ["answer 486"],
    ("server invite", "proceeding"): ["answer 100"],
    ("server invite", "ringing"): ["answer 100", "answer 180"],
    ("server invite", "completed"): ["answer 100", "answer 486"],
    ("server invite", "confirmed"): ["answer 100", "answer 486", "ACK"],
    ("server invite", "accepted"): ["answer 100", "answer 200"],
    ("server invite", "acknowledged"): ["answer 100", "answer 200", "ACK of 2xx"],
    ("server invite", "terminated"): ["answer 100", "answer 486", "ACK", "5 s"],
    ("server other", "trying"): [],
    ("server other", "completed"): ["answer 200"],
    ("server other", "refused"): ["answer 404"],
    ("server other", "terminated"): ["answer 200", "32 s"],
}
"""From the first sending, or coming, of the request to each state."""


@dataclass
class Bench:
    """One transaction of a core, and what it did since it was last asked."""

    machine: str
    now: float = 0.0
    core: Core = field(default_factory=lambda: Core(US, "4401000000", ["203.0.113.0/24"], bytes(32)))
    number: int = 0
    tag: str = ""
    request: Event | None = None

    def begin(self) -> None:
        side, what = self.machine.split()
        method = "INVITE" if what == "invite" else "MESSAGE"
        if side == "server":
            self.receive(method)
            [event] = self.core.take_events(10)
            self.number, self.tag = event.transaction, event.local_tag
            self.core.take_outputs()
            return
        [self.number] = self.core.send([(method, CAMERA, PEER, self.headers(method), b"", 0)], self.now)
        [(sent, _)] = self.core.take_outputs()
        self.request = parse(sent)

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
            case ["answer", status]:
                self.core.reply([(self.number, int(status))], self.now)
            case [status, *of] if status.isdigit():
                self.answered(int(status), " ".join(of))
            case _:
                self.receive(event)
        return [*self.sent(), *self.told()]

    def sent(self) -> list[str]:
        said = []
        for datagram, to in self.core.take_outputs():
            assert to == PEER
            message = parse(datagram)
            said.append(f"sends {message.status or message.method}")
        return said

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
        self.core.feed("\r\n".join([*lines, "", ""]).encode(), PEER, self.now)

    def receive(self, what: str) -> None:
        """A request of the peer. The ACK of a 2xx is a transaction of its own (17.1.1.3)."""
        method = what.split()[0]
        to_tag = f";tag={self.tag}" if method == "ACK" else ""
        branch = "another" if what == "ACK of 2xx" else "one"
        lines = [
            f"{method} sip:44010000002000000001@4401000000 SIP/2.0",
            f"Via: SIP/2.0/UDP 203.0.113.50:5060;branch=z9hG4bK{branch}",
            "From: <sip:44010600001320000001@4401060000>;tag=r1",
            f"To: <sip:44010000002000000001@4401000000>{to_tag}",
            "Call-ID: c2",
            f"CSeq: 7 {method}",
            "Max-Forwards: 70",
            "Content-Length: 0",
        ]
        self.core.feed("\r\n".join([*lines, "", ""]).encode(), PEER, self.now)


def at(machine: str, state: str) -> Bench:
    bench = Bench(machine)
    bench.begin()
    for event in PATHS[machine, state]:
        bench.does(event)
    return bench


def name_of(row: dict[str, Any]) -> str:
    return f"{row['machine']}: {row['state']}, {row['event']}"


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_an_event_does_what_the_table_says(row: dict[str, Any]) -> None:
    bench = at(row["machine"], row["state"])
    assert bench.does(row["event"]) == row["does"]
    due = bench.core.deadline()
    left = None if due is None else round(due - bench.now, 3)
    assert left == row.get("timer")


FOLLOWING: Final = [
    (first, second)
    for first in ROWS
    for second in ROWS
    if second["machine"] == first["machine"] and second["state"] == first["then"]
]


@pytest.mark.parametrize("pair", FOLLOWING, ids=lambda pair: f"{name_of(pair[0])}, {pair[1]['event']}")
def test_and_leads_where_the_table_says(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """It is in the state that it should be: there every event does what it does there, but the first repeat,
    which comes when the one before it says."""
    first, second = pair
    bench = at(first["machine"], first["state"])
    bench.does(first["event"])
    if second["event"] == "0.5 s" and first.get("timer") not in (None, 0.5):
        bench.now += first["timer"] - 0.5
    done = [line.replace(_refusal(first["event"]), "486") for line in bench.does(second["event"])]
    expected = second["does"]
    if first["event"] == second["event"] == "CANCEL":  # a repeat of the first: nobody hears of it
        expected = [line for line in expected if not line.startswith("tells")]
    assert done == expected


def _refusal(event: str) -> str:
    """The status of an answer that says no to an INVITE; the states after it were reached by 486."""
    status = event.split()[-1]
    return status if status in {"302", "487"} else "486"


def test_every_state_is_met_and_reached() -> None:
    met = {(row["machine"], row["state"]) for row in ROWS}
    assert met == set(PATHS)
    assert {(row["machine"], row["then"]) for row in ROWS} <= met
