"""Who guesses is put off; whatever anybody sends, the peer itself gets in by its next two tries."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.as_upper.attempts import Attempts
from cascade.as_upper.backoff import FREE, LONGEST, WINDOW, Backoff
from cascade.as_upper.registering import answers
from cascade.as_upper.registrar import Registrar
from cascade.limits import USUAL
from cascade.model.ids import PlatformId
from sip._native import Core, authorize, ha1
from sip.events import Address, Event, registrations
from tests.cascade.lowers import lower
from tests.sip.ground import header

REALM: Final = "4401000000"
SERVER: Final = "44010000002000000001"
NVR: Final = PlatformId("44010600001180000001")
SECRET: Final = "Gz-nvr-2026"
HOME: Final = ("203.0.113.50", 5060)
BESIDE: Final = (HOME[0], 41_022)
AWAY: Final = ("203.0.113.99", 5060)
URI: Final = f"sip:{SERVER}@{REALM}"


def test_the_first_failures_cost_nothing_and_then_each_pause_is_twice_as_long() -> None:
    one = Backoff()
    now = 0.0
    for _ in range(FREE - 1):
        assert one.wrong(AWAY[0], NVR, now) == (False, 0)
        assert one.pause(AWAY[0], NVR, now) == 0.0
    pauses = []
    for _ in range(9):
        assert not one.wrong(AWAY[0], NVR, now)[0]
        pauses.append(one.pause(AWAY[0], NVR, now))
        assert one.wrong(AWAY[0], NVR, now)[0]  # what comes within prolongs nothing
        assert one.pause(AWAY[0], NVR, now) == pauses[-1]
        now += pauses[-1]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST, LONGEST, LONGEST]


def test_another_source_and_another_id_are_not_put_off() -> None:
    one = Backoff()
    for _ in range(FREE):
        one.wrong(AWAY[0], NVR, 0.0)
    assert one.pause(AWAY[0], NVR, 0.5) > 0
    assert one.pause(HOME[0], NVR, 0.5) == one.pause(AWAY[0], "another", 0.5) == 0.0


def test_a_pair_is_forgotten_once_it_rests_and_by_a_right_digest() -> None:
    one = Backoff()
    for _ in range(FREE):
        one.wrong(AWAY[0], NVR, 0.0)
        one.wrong(HOME[0], NVR, 0.0)
    one.right(HOME[0], NVR)
    assert one.pause(HOME[0], NVR, 0.0) == 0.0
    assert not one.wrong(AWAY[0], NVR, WINDOW + 1.0)[0]
    assert one.pause(AWAY[0], NVR, WINDOW + 1.0) == 0.0


def test_memory_is_bounded_and_the_oldest_failure_is_forgotten_first() -> None:
    one = Backoff()
    for number in range(USUAL.guessers + 10):
        one.wrong(f"source {number}", NVR, float(number) / 1e6)
        one.wrong("source 0", NVR, float(number) / 1e6)  # who goes on is remembered
    assert len(one) == USUAL.guessers
    assert one.counts["pairs_forgotten"] == 10
    assert one.pause("source 0", NVR, 0.1) > 0.0


def test_an_auditor_is_told_at_each_power_of_ten() -> None:
    one = Backoff()
    told = [times for number in range(1500) if (times := one.wrong(AWAY[0], NVR, number * 1.0)[1])]
    assert told == [10, 100, 1000]


# The registrar whole: engine, decisions, back-off


class Noted:
    """Keeps what an auditor would read."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, dict[str, str]]] = []

    def note(self, event: str, peer: PlatformId, **details: str) -> None:
        self.notes.append((event, peer, details))


@contextmanager
def counting() -> Iterator[list[int]]:
    """How many functions are called meanwhile, in Python and native."""
    calls = [0]

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        calls[0] += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@dataclass
class Door:
    """One side's registrar with its engine, in a time of its own."""

    now: float = 100.0
    number: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    later: list[Callable[[], None]] = field(default_factory=list)
    cost: int = 0  # calls that the last decision took

    def __post_init__(self) -> None:
        self.peer = lower(NVR, networks=("203.0.113.0/24",))
        limits = {"failures_of_source": 10_000_000}  # all that is wrong gets as far as here
        self.core = Core(("203.0.113.20", 5060), REALM, ["203.0.113.0/24"], b"s" * 32, limits=limits)
        self.core.set_credentials(NVR, [("MD5", ha1(NVR, REALM, SECRET))])
        self.registrar = Registrar({NVR: self.peer})
        self.gate = Noted()
        self.attempts = Attempts({NVR: self.peer}, lambda: self.now, self.gate, later=self.later.append)

    def send(self, source: Address, credentials: str = "", *, user: str = NVR, expires: int = 3600) -> str:
        """A REGISTER from there, and its answer."""
        self.number += 1
        lines = [
            f"REGISTER {URI} SIP/2.0",
            f"Via: SIP/2.0/UDP {source[0]}:{source[1]};rport;branch=z9hG4bK{self.number}",
            f"From: <sip:{user}@{REALM}>;tag=a{self.number}",
            f"To: <sip:{user}@{REALM}>",
            f"Call-ID: {self.number}",
            f"CSeq: {self.number} REGISTER",
            f"Contact: <sip:{user}@{source[0]}:{source[1]}>",
            *([f"Authorization: {credentials}"] if credentials else []),
            "User-Agent: IP Camera",
            "Max-Forwards: 70",
            f"Expires: {expires}",
            "Content-Length: 0",
        ]
        self.core.feed(("\r\n".join(lines) + "\r\n\r\n").encode(), source, self.now)
        events: list[Event] = self.core.take_events(10)
        run = registrations(events)
        with counting() as calls:
            decisions = self.registrar.decide(run, self.now, self.now)
            decisions = self.attempts.review(events, run, decisions, self.now)
        self.cost = calls[0]
        for call in self.later:
            call()
        self.later.clear()
        self.core.reply(answers(decisions, "now"), self.now)
        ((text, to),) = self.core.take_outputs()
        assert to == source
        status = int(text.split()[1])
        self.statuses[status] += 1
        return text.decode()

    def challenge(self, source: Address, user: str = NVR) -> str:
        return header(self.send(source, user=user), "WWW-Authenticate")

    def proof(self, challenge: str, password: str = SECRET, user: str = NVR) -> str:
        return authorize([challenge], user, password, "REGISTER", URI, "c0ffee")

    def registers(self, source: Address = HOME) -> str:
        """As a device does it: the answer to its digest."""
        return self.send(source, self.proof(self.challenge(source)))


FORGED: Final = (
    f'Digest username="{NVR}", realm="{REALM}", nonce="AAAA", uri="{URI}", '
    f'response="{"0" * 32}", algorithm=MD5'
)

Act = Literal[
    "forged", "forged-here", "guess-beside", "ask-here", "ask-away", "replay", "replay-away", "wait"
]
ACTS: Final = st.lists(
    st.tuples(
        st.sampled_from(
            ["forged", "forged-here", "guess-beside", "ask-here", "ask-away", "replay", "replay-away", "wait"]
        ),
        st.integers(1, 12),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(ACTS, st.booleans())
def test_whatever_is_sent_in_its_name_the_peer_itself_registers_at_once(
    acts: list[tuple[Act, int]], was_there: bool
) -> None:
    """Forged from its own address and port, guessed behind its translator, replayed, asked for in floods:
    a REGISTER, its 401 and the right digest, and it is in."""
    door = Door()
    seen = door.proof(door.challenge(HOME))
    if was_there:
        assert " 200 " in door.send(HOME, seen)
    for act, times in acts:
        for _ in range(times):
            door.now += 0.05
            match act:
                case "forged":
                    door.send(AWAY, FORGED)
                case "forged-here":  # its source can be forged; what we answer goes to the peer
                    door.send(HOME, FORGED)
                case "guess-beside":
                    door.send(BESIDE, door.proof(door.challenge(BESIDE), f"guess {door.number}"))
                case "ask-here":
                    door.send(HOME)
                case "ask-away":
                    door.send(AWAY)
                case "replay":
                    door.send(HOME, seen)
                case "replay-away":
                    door.send(AWAY, seen)
                case "wait":
                    door.now += 7.0 * times
    assert " 200 " in door.registers()
    assert door.registrar.lease_of(NVR, HOME) is not None


def test_a_guesser_is_answered_403_without_a_challenge_and_audited_and_the_peer_passes() -> None:
    door = Door()
    for _ in range(30):
        door.send(HOME, FORGED)
    assert door.statuses == {401: FREE, 403: 30 - FREE}
    assert "WWW-Authenticate" not in door.send(HOME, FORGED)
    assert door.gate.notes == [("password-guessed", NVR, {"source": HOME[0], "times": "10"})]
    assert door.attempts.pause(NVR) > 0.0
    assert " 200 " in door.registers()
    assert door.attempts.pause(NVR) == 0.0


def test_an_unknown_id_cannot_be_told_from_a_wrong_password_however_often_it_is_tried() -> None:
    """Item by item of each answer: the same headers with values of the same make, the same pauses."""
    door = Door()
    answers = []
    for user in (NVR, "44010600001180000009"):
        texts = []
        for _ in range(FREE + 3):
            texts.append(door.send(AWAY, user=user))
            proof = door.proof(header(texts[-1], "WWW-Authenticate"), "wrong", user)
            texts.append(door.send(AWAY, proof, user=user))
            door.now += 0.1
        answers.append([made(text, user) for text in texts])
    assert answers[0] == answers[1]
    assert {line[0] for line in answers[0]} == {"SIP/2.0 401 Unauthorized", "SIP/2.0 403 Forbidden"}


def test_an_unknown_id_costs_as_much_as_a_wrong_password_and_a_note_of_it_comes_after_the_answer() -> None:
    """By calls and not by a clock; the hashes are counted in the engine (its own test), and compared there in
    constant time. What an auditor is told at some numbers is written once the answers have left."""
    costs = []
    for user in (NVR, "44010600001180000009"):
        door, mine = Door(), []
        for number in range(1, 31):
            proof = door.proof(door.challenge(AWAY, user), "wrong", user)
            mine.append(door.cost)
            notes = len(door.gate.notes)
            door.send(AWAY, proof, user=user)
            mine.append(door.cost if number != 10 else 0)
            assert len(door.gate.notes) - notes == (user == NVR and number == 10)
            door.now += 0.1
        costs.append(mine)
    assert costs[0] == costs[1]
    assert min(cost for cost in costs[0] if cost) > 5


def made(text: str, user: str) -> list[str]:
    """An answer without what is random or its own in any answer."""
    own = ("Call-ID", "CSeq", "Via", "From", "To")
    lines = []
    for line in text.replace(user, "ID").split("\r\n"):
        name, colon, value = line.partition(": ")
        if name == "WWW-Authenticate":
            nonce = value.partition('nonce="')[2].partition('"')[0]
            line = line.replace(nonce, "n" * len(nonce))
        lines.append(f"{name}: {len(value) > 0}" if colon and name in own else line)
    return lines


# What is remembered


def test_a_registration_that_goes_well_leaves_nothing() -> None:
    door = Door()
    for _ in range(3):
        assert " 200 " in door.registers()
        assert door.attempts.of(NVR) == []


def test_of_what_fails_the_digest_inputs_are_kept_and_no_whole_response() -> None:
    door = Door()
    challenge = door.challenge(AWAY)
    [asked] = door.attempts.of(NVR)
    assert (asked.outcome, asked.source, asked.times) == ("challenged", AWAY, 1)
    door.now += 0.5
    proof = door.proof(challenge, "wrong")
    door.send(AWAY, proof)
    [tried] = door.attempts.of(NVR)
    found = tried.given
    assert found is not None
    assert (tried.outcome, tried.agent, tried.target) == ("wrong", "IP Camera", URI)
    assert (found.username, found.realm, found.uri) == (NVR, REALM, URI)
    assert (found.algorithm, found.qop, found.nc, found.nonce_age) == ("MD5", "auth", "00000001", 0.5)
    response = proof.partition('response="')[2].partition('"')[0]
    assert found.response_length == 32
    assert response[:8] not in repr(tried)  # or passwords could be tried by it, elsewhere
    assert " 200 " in door.registers(AWAY)
    assert [one.outcome for one in door.attempts.of(NVR)] == ["wrong", "registered"]


def test_who_only_asks_for_challenges_is_counted() -> None:
    door = Door()
    for _ in range(5):
        door.challenge(HOME)
    [asked] = door.attempts.of(NVR)
    assert (asked.outcome, asked.times) == ("challenged", 5)


def test_made_up_ids_push_out_nothing_but_each_other() -> None:
    door = Door()
    door.send(AWAY, FORGED)
    for number in range(USUAL.tries_of_strangers + 50):
        door.now += 1.0 / USUAL.tries_a_second
        door.send(AWAY, FORGED.replace(NVR, f"made up {number}"), user=f"made-up-{number}")
        door.send(AWAY, user=f"asked-{number}")
    assert [one.outcome for one in door.attempts.of(NVR)] == ["wrong"]
    assert len(door.attempts.strangers()) == USUAL.tries_of_strangers + USUAL.tries_under_way
    newest = USUAL.tries_of_strangers + 49
    assert door.attempts.strangers()[0] in {f"made-up-{newest}", f"asked-{newest}"}
    assert door.attempts.of("made-up-1") == []
    assert USUAL.tries_of_strangers < USUAL.tries_of_peers


def test_a_flood_is_not_read() -> None:
    door = Door()
    for number in range(USUAL.tries_a_second + 50):
        door.send(AWAY, FORGED, user=f"made-up-{number}")
    assert len(door.attempts.strangers()) == USUAL.tries_a_second
