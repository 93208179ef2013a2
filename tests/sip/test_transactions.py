"""Every state of every transaction meets every event of its table (RFC 3261 section 17, RFC 6026).

The tables are `vectors/transactions.toml` for UDP and `transactions_stream.toml` for TCP and TLS; the
machines are the native engine's, seen from outside: what leaves, what is told, and when it is due again.
"""

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests.sip.bench import Bench, Transport

Row = dict[str, Any]

VECTORS: Final = Path(__file__).parent / "vectors"


def rows_of(name: str) -> list[Row]:
    rows: list[Row] = tomllib.loads((VECTORS / name).read_text())["row"]
    return rows


DATAGRAMS: Final = rows_of("transactions.toml")
STREAMS: Final = rows_of("transactions_stream.toml")

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
"""From the first sending, or coming, of the request to each state by UDP."""

STREAM_PATHS: Final[dict[tuple[str, str], list[str]]] = {
    ("client invite", "dialling"): [],
    ("client invite", "dialling, to be cancelled"): ["cancel"],
    ("client invite", "calling"): ["opened"],
    ("client invite", "calling, to be cancelled"): ["opened", "cancel"],
    ("client invite", "proceeding"): ["opened", "180"],
    ("client invite", "cancelling"): ["opened", "180", "cancel"],
    ("client invite", "cancelled"): ["opened", "180", "cancel", "200 of CANCEL"],
    ("client invite", "accepted"): ["opened", "200"],
    ("client invite", "accepted, its connection lost"): ["opened", "200", "lost"],
    ("client invite", "acknowledged by a new one"): ["opened", "200", "lost", "acknowledge"],
    ("client invite", "acknowledged"): ["opened", "200", "acknowledge"],
    ("client invite", "acknowledged, its connection lost"): ["opened", "200", "acknowledge", "lost"],
    ("client invite", "never left"): ["lost"],
    ("client invite", "terminated"): ["opened", "486"],
    ("client other", "dialling"): [],
    ("client other", "trying"): ["opened"],
    ("client other", "proceeding"): ["opened", "100"],
    ("client other", "never left"): ["lost"],
    ("client other", "terminated"): ["opened", "200"],
    ("server invite", "new"): [],
    ("server invite", "proceeding"): ["answer 100"],
    ("server invite", "proceeding, its connection lost"): ["answer 100", "lost"],
    ("server invite", "ringing"): ["answer 100", "answer 180"],
    ("server invite", "completed"): ["answer 100", "answer 486"],
    ("server invite", "completed, its connection lost"): ["answer 100", "answer 486", "lost"],
    ("server invite", "accepted"): ["answer 100", "answer 200"],
    ("server invite", "accepted, its connection lost"): ["answer 100", "answer 200", "lost"],
    ("server invite", "acknowledged"): ["answer 100", "answer 200", "ACK of 2xx"],
    ("server invite", "terminated"): ["answer 486"],
    ("server other", "trying"): [],
    ("server other", "trying, its connection lost"): ["lost"],
    ("server other", "terminated"): ["answer 200"],
}
"""The same by a connection."""

TABLES: Final[list[tuple[Transport, list[Row]]]] = [
    ("udp", DATAGRAMS),
    ("tcp", STREAMS),
    ("tls", STREAMS),
]


def at(transport: Transport, machine: str, state: str) -> Bench:
    bench = Bench(machine, transport)
    bench.begin()
    for event in (PATHS if transport == "udp" else STREAM_PATHS)[machine, state]:
        bench.does(event)
    return bench


def name_of(row: Row) -> str:
    return f"{row['machine']}: {row['state']}, {row['event']}"


@pytest.mark.parametrize(
    ("transport", "row"),
    [
        pytest.param(transport, row, id=f"{transport} {name_of(row)}")
        for transport, rows in TABLES
        for row in rows
    ],
)
def test_an_event_does_what_the_table_says(transport: Transport, row: Row) -> None:
    bench = at(transport, row["machine"], row["state"])
    assert bench.does(row["event"]) == row["does"]
    assert bench.timer() == row.get("timer")


FOLLOWING: Final = [
    pytest.param(transport, first, second, id=f"{transport} {name_of(first)}, {second['event']}")
    for transport, rows in TABLES
    for first in rows
    for second in rows
    if second["machine"] == first["machine"] and second["state"] == first["then"]
]


@pytest.mark.parametrize(("transport", "first", "second"), FOLLOWING)
def test_and_leads_where_the_table_says(transport: Transport, first: Row, second: Row) -> None:
    """It is in the state that it should be: there every event does what it does there, but the first repeat,
    which comes when the one before it says."""
    bench = at(transport, first["machine"], first["state"])
    bench.does(first["event"])
    if second["event"] == "0.5 s" and second["does"] and first.get("timer") not in (None, 0.5):
        bench.now += first["timer"] - 0.5
    done = [line.replace(_refusal(first["event"]), "486") for line in bench.does(second["event"])]
    expected = second["does"]
    if transport == "udp" and first["event"] == second["event"] == "CANCEL":  # a repeat: nobody hears of it
        expected = [line for line in expected if not line.startswith("tells")]
    assert done == expected


def _refusal(event: str) -> str:
    """The status of an answer that says no to an INVITE; the states after it were reached by 486."""
    status = event.split()[-1]
    return status if status in {"302", "487"} else "486"


@pytest.mark.parametrize(
    ("rows", "paths"), [(DATAGRAMS, PATHS), (STREAMS, STREAM_PATHS)], ids=["udp", "stream"]
)
def test_every_state_is_met_and_reached(rows: list[Row], paths: dict[tuple[str, str], list[str]]) -> None:
    met = {(row["machine"], row["state"]) for row in rows}
    assert met == set(paths)
    assert {(row["machine"], row["then"]) for row in rows} <= met
