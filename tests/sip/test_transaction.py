"""The engine's client transactions do what the table says, at any moments and after any hold-up."""

from itertools import product
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sip._native import Core, Event, parse
from sip.events import Kind
from tests.sip.reference.transaction import INVITE, NON_INVITE, ClientTransaction, Input, Output, State

PEER: Final = ("203.0.113.50", 5060)
STATUS: Final = {Input.PROVISIONAL: 180, Input.SUCCESS: 200, Input.REFUSAL: 486}
KINDS: Final = {Kind.RESPONSE: Output.TELL, Kind.TIMEOUT: Output.TIMEOUT}
STEPS: Final = st.lists(
    st.tuples(
        st.integers(0, 60_000).map(lambda thousandths: thousandths / 1000)
        | st.sampled_from((0.5, 1.0, 2.0, 4.0)),
        st.sampled_from((Input.PROVISIONAL, Input.SUCCESS, Input.REFUSAL, None, None, None)),
    ),
    max_size=12,
)


class Native:
    """The engine with one request of ours in it, seen through the words of the table."""

    def __init__(self, method: str) -> None:
        self.core = Core(("192.0.2.1", 5060), "realm", ["203.0.113.0/24"], bytes(32))
        headers = [
            ("From", "<sip:a@b>;tag=1"),
            ("To", "<sip:c@d>"),
            ("Call-ID", "x"),
            ("CSeq", f"1 {method}"),
        ]
        self.core.send([(method, "sip:c@d", PEER, headers, b"", 0)], 0.0)
        [(datagram, _)] = self.core.take_outputs()
        self.request: Event = parse(datagram)

    def answer(self, status: int, now: float) -> None:
        lines = [f"{name}: {self.request.header(name)}" for name in ("Via", "From", "Call-ID", "CSeq")]
        head = [f"SIP/2.0 {status} x", *lines, "To: <sip:c@d>;tag=2", "Content-Length: 0"]
        self.core.feed("\r\n".join([*head, "", ""]).encode(), PEER, now)

    def outputs(self) -> list[Output]:
        """What left since the last call, then what was told of this transaction."""
        sent = [parse(datagram) for datagram, _ in self.core.take_outputs()]
        left = [Output.ACKNOWLEDGE if message.method == "ACK" else Output.SEND for message in sent]
        told = [event for event in self.core.take_events(100) if event.transaction]  # a stray one has none
        return left + [KINDS[Kind(event.kind)] for event in told]


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_the_engine_and_the_table_agree(method: str, steps: list[tuple[float, Input | None]]) -> None:
    native, table = Native(method), ClientTransaction(method == "INVITE", 0.0)
    table.outputs.clear()
    now = 0.0
    for seconds, given_input in steps:
        now = round(now + seconds, 3)
        native.core.advance(now)
        table.advance(now)
        if given_input is not None:
            native.answer(STATUS[given_input], now)
            table.receive(given_input, now)
        assert native.outputs() == table.outputs, (now, table.state)
        table.outputs.clear()
        due = min(table.repeat_at, table.end_at)
        assert (native.core.deadline() or float("inf")) == pytest.approx(due)


@pytest.mark.parametrize(("method", "repeats"), [("MESSAGE", 10), ("INVITE", 6)])
def test_woken_at_each_deadline_it_repeats_in_doubling_steps(method: str, repeats: int) -> None:
    native = Native(method)
    seen: list[Output] = []
    while (deadline := native.core.deadline()) is not None:
        native.core.advance(deadline)
        seen += native.outputs()
    assert seen == [Output.SEND] * repeats + [Output.TIMEOUT]


@pytest.mark.parametrize(("invite", "state", "given_input"), list(product((True, False), State, Input)))
def test_the_table_is_total_and_terminated_is_a_sink(invite: bool, state: State, given_input: Input) -> None:
    """Every state meets every input: nothing raises, and nothing leaves TERMINATED."""
    transaction = ClientTransaction(invite, 0.0, state)
    transaction.receive(given_input, 1.0)
    table = INVITE if invite else NON_INVITE
    assert transaction.state is table.get((state, given_input), ((), state))[1]
    assert state is not State.TERMINATED or transaction.state is State.TERMINATED
