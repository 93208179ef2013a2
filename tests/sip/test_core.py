"""The native engine through its Python face, in virtual time. Its own rules are tested beside its code."""

import selectors
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from sip._native import Core, Engine, Event, Headers, authorize, ha1, parse
from sip.events import Auth, Kind

US: Final = ("192.0.2.1", 5060)
PEER: Final = ("203.0.113.50", 61000)
NETWORKS: Final = ["203.0.113.0/24", "127.0.0.0/8"]
REALM: Final = "4401000000"
DEVICE: Final = "44010600001180000001"
SERVER: Final = f"sip:44010000002000000001@{REALM}"
SEED: Final = bytes(range(32))


@pytest.fixture
def core() -> Core:
    core = Core(US, REALM, NETWORKS, SEED)
    core.set_credentials(DEVICE, [("MD5", ha1(DEVICE, REALM, "right"))])
    return core


def request(
    method: str, number: int, *lines: str, to_tag: str = "", body: bytes = b"", branch: str = ""
) -> bytes:
    head = [
        f"{method} {SERVER} SIP/2.0",
        f"Via: SIP/2.0/UDP 10.0.0.5:5060;rport;branch=z9hG4bK{branch or f'{method}{number}'}",
        f"From: <sip:{DEVICE}@4401060000>;tag=r1",
        f"To: <sip:44010000002000000001@{REALM}>{to_tag}",
        "Call-ID: 1984090469",
        f"CSeq: {number} {method}",
        *lines,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def take(core: Core) -> Event:
    [event] = core.take_events(10)
    return event


def sent(core: Core) -> list[Event]:
    """What left, read back; all of it must have gone to the packet's source (Q07)."""
    outputs = core.take_outputs()
    assert all(destination == PEER for _, destination in outputs)
    return [parse(datagram) for datagram, _ in outputs]


def register(core: Core, number: int, user: str, password: str, now: float) -> bytes:
    """Ask, be challenged, and give the second REGISTER, not yet sent."""
    core.feed(request("REGISTER", number), PEER, now)
    event = take(core)
    assert (event.kind, event.auth, event.username) == (Kind.REGISTER, Auth.NONE, "")
    core.reply([(event.transaction, 401)], now)
    [answer] = sent(core)
    challenge = answer.header("WWW-Authenticate")
    assert challenge is not None
    answer_to_it = authorize([challenge], user, password, "REGISTER", SERVER, "abc")
    return request("REGISTER", number + 1, f"Authorization: {answer_to_it}", "Expires: 86400")


def test_a_device_registers_and_its_retransmission_gets_the_same_200(core: Core) -> None:
    second = register(core, 1, DEVICE, "right", 0.0)
    core.feed(second, PEER, 0.1)
    event = take(core)
    assert (event.auth, event.username, event.expires) == (Auth.VERIFIED, DEVICE, 86400)
    core.reply([(event.transaction, 200, [("Expires", "3600")])], 0.1)
    core.feed(second, PEER, 0.6)
    first, again = sent(core)
    assert first.raw == again.raw
    assert (first.status, first.reason, first.expires, first.to_tag) == (200, "OK", 3600, event.local_tag)
    assert first.header("v") == (
        "SIP/2.0/UDP 10.0.0.5:5060;rport=61000;received=203.0.113.50;branch=z9hG4bKREGISTER2"
    )
    assert core.take_events(10) == []


def test_a_replayed_register_is_stale_and_is_challenged_as_such(core: Core) -> None:
    second = register(core, 1, DEVICE, "right", 0.0)
    core.feed(second, PEER, 0.1)
    core.feed(second.replace(b"z9hG4bKREGISTER2", b"z9hG4bKother"), PEER, 5.0)
    verified, replayed = core.take_events(10)
    assert (verified.auth, replayed.auth) == (Auth.VERIFIED, Auth.STALE)
    core.reply([(replayed.transaction, 401)], 5.0)
    [answer] = sent(core)
    assert "stale=true" in (answer.header("WWW-Authenticate") or "")


def test_an_unknown_user_and_a_wrong_password_get_the_same_bytes(core: Core) -> None:
    answers = []
    for user, password in ((DEVICE, "wrong"), ("44010600001180000009", "right")):
        twin = Core(US, REALM, NETWORKS, SEED)
        twin.set_credentials(DEVICE, [("MD5", ha1(DEVICE, REALM, "right"))])
        twin.feed(register(twin, 1, user, password, 0.0), PEER, 0.1)
        event = take(twin)
        assert event.auth == Auth.WRONG
        twin.reply([(event.transaction, 401)], 0.1)
        [answer] = sent(twin)
        answers.append(answer.raw)
    assert answers[0] == answers[1]


def test_an_invite_lives_from_trying_to_ack(core: Core) -> None:
    core.feed(request("INVITE", 1, body=b"v=0\r\n"), PEER, 0.0)
    invite = take(core)
    assert (invite.kind, invite.awaits_answer, invite.body) == (Kind.INVITE, True, b"v=0\r\n")
    with pytest.raises(ValueError, match="Content-Type"):
        core.reply([(invite.transaction, 200, [], b"v=0\r\n")], 0.0)
    core.reply([(invite.transaction, 100), (invite.transaction, 180)], 0.0)
    core.reply([(invite.transaction, 200, [("Content-Type", "application/sdp")], b"v=1\r\n")], 0.0)
    trying, ringing, ok = sent(core)
    assert (trying.to_tag, ringing.to_tag, ok.to_tag) == ("", invite.local_tag, invite.local_tag)
    assert (ok.body, ok.content_type) == (b"v=1\r\n", "application/sdp")
    assert core.deadline() == 0.5
    core.advance(0.5)
    assert [repeat.raw for repeat in sent(core)] == [ok.raw]
    core.feed(request("ACK", 1, to_tag=f";tag={invite.local_tag}", branch="ack"), PEER, 0.7)
    ack = take(core)
    assert (ack.kind, ack.transaction, ack.awaits_answer) == (Kind.ACK, invite.transaction, False)
    core.advance(40.0)
    assert sent(core) == core.take_events(10) == []


def test_a_2xx_without_ack_is_reported(core: Core) -> None:
    core.feed(request("INVITE", 1), PEER, 0.0)
    transaction = take(core).transaction
    core.reply([(transaction, 200)], 0.0)
    while (deadline := core.deadline()) is not None:
        core.advance(deadline)
    event = take(core)
    assert (event.kind, event.transaction, event.arrived) == (Kind.UNACKNOWLEDGED, transaction, 32.0)
    assert (event.method, event.call_id) == ("INVITE", "1984090469")


def test_a_cancel_names_the_invite_which_then_gets_487(core: Core) -> None:
    core.feed(request("INVITE", 1, branch="i"), PEER, 0.0)
    invite = take(core)
    core.feed(request("CANCEL", 1, branch="i"), PEER, 0.5)
    cancel = take(core)
    assert (cancel.kind, cancel.transaction, cancel.awaits_answer) == (Kind.CANCEL, invite.transaction, True)
    core.reply([(cancel.transaction, 487)], 0.5)
    assert [(answer.status, answer.method) for answer in sent(core)] == [(200, "CANCEL"), (487, "INVITE")]
    core.feed(request("ACK", 1, to_tag=f";tag={invite.local_tag}", branch="i"), PEER, 0.6)
    assert core.take_events(10) == []


OURS: Final[Headers] = (
    ("From", f"<sip:us@{REALM}>;tag=1"),
    ("To", f"<sip:{DEVICE}@4401060000>"),
    ("Call-ID", "ours"),
)


def send(core: Core, method: str, *, ack_for: int = 0, now: float = 0.0) -> int:
    headers = (*OURS, ("CSeq", f"1 {method}"), ("Content-Type", "Application/MANSCDP+xml"))
    [number] = core.send([(method, f"sip:{DEVICE}@203.0.113.50", PEER, headers, b"<x/>", ack_for)], now)
    return number


def answer(asked: Event, status: int, tag: str = "t") -> bytes:
    lines = [f"{name}: {asked.header(name)}" for name in ("Via", "From", "Call-ID", "CSeq")]
    head = [f"SIP/2.0 {status} Anything", *lines, f"To: <sip:{DEVICE}@4401060000>;tag={tag}"]
    return "\r\n".join(head).encode() + b"\r\nContent-Length: 0\r\n\r\n"


def test_our_request_gets_its_answer_once_or_a_time_out(core: Core) -> None:
    answered, forgotten = send(core, "MESSAGE"), send(core, "MESSAGE")
    first, second = sent(core)
    assert (first.method, first.body, first.header("Max-Forwards")) == ("MESSAGE", b"<x/>", "70")
    assert first.branch.startswith("z9hG4bK")
    assert first.branch != second.branch
    core.feed(answer(first, 200), PEER, 0.2)
    core.feed(answer(first, 200), PEER, 0.3)
    event = take(core)
    assert (event.kind, event.transaction, event.status) == (Kind.RESPONSE, answered, 200)
    assert (event.reason, event.method, event.awaits_answer) == ("Anything", "MESSAGE", False)
    while (deadline := core.deadline()) is not None:
        core.advance(deadline)
    event = take(core)
    assert (event.kind, event.transaction, event.method) == (Kind.TIMEOUT, forgotten, "MESSAGE")
    assert len(sent(core)) == 10


def test_a_repeated_2xx_to_our_invite_gets_our_ack_again(core: Core) -> None:
    invite = send(core, "INVITE")
    [asked] = sent(core)
    core.feed(answer(asked, 200), PEER, 0.1)
    assert take(core).transaction == invite
    assert send(core, "ACK", ack_for=invite, now=0.2) == 0
    core.feed(answer(asked, 200), PEER, 0.7)
    ack, again = sent(core)
    assert (ack.method, ack.raw) == ("ACK", again.raw)
    assert core.take_events(10) == []


def test_our_invite_is_cancelled_once_something_came_back(core: Core) -> None:
    invite = send(core, "INVITE")
    [asked] = sent(core)
    core.cancel(invite, 0.1)
    assert sent(core) == []
    core.feed(answer(asked, 100), PEER, 0.2)
    assert take(core).status == 100
    [cancel] = sent(core)
    assert (cancel.method, cancel.branch) == ("CANCEL", asked.branch)
    core.feed(answer(cancel, 200), PEER, 0.3)
    core.feed(answer(asked, 487), PEER, 0.3)
    assert take(core).status == 487
    assert [ack.method for ack in sent(core)] == ["ACK"]


def test_a_name_instead_of_an_address_is_undelivered(core: Core) -> None:
    headers = (*OURS, ("CSeq", "1 MESSAGE"))
    [number] = core.send([("MESSAGE", "sip:x@y", ("upper.example", 5060), headers, b"", 0)], 0.0)
    event = take(core)
    assert (event.kind, event.transaction) == (Kind.UNDELIVERED, number)
    assert "not an IP address" in event.reason


def test_a_fault_in_a_batch_sends_none_of_it(core: Core) -> None:
    sound = ("MESSAGE", "sip:x@y", PEER, (*OURS, ("CSeq", "1 MESSAGE")), b"", 0)
    for headers in (OURS, (*OURS, ("CSeq", "1 MESSAGE"), ("X", "a\r\nb")), (*sound[3], ("Via", "x"))):
        with pytest.raises(ValueError, match=r"CSeq|control|engine"):
            core.send([sound, ("MESSAGE", "sip:x@y", PEER, headers, b"", 0)], 0.0)
    assert sent(core) == core.take_events(10) == []
    core.feed(request("OPTIONS", 1), PEER, 0.0)
    transaction = take(core).transaction
    for reply in ((transaction, 99), (transaction, 200, [("X", "a\nb")]), (transaction, 200, [("a b", "c")])):
        with pytest.raises(ValueError, match=r"status|control|header name"):
            core.reply([(transaction, 200), reply], 0.0)
    assert sent(core) == []


def test_strangers_are_dropped_and_junk_is_answered_without_memory(core: Core) -> None:
    core.feed(request("MESSAGE", 1), ("198.51.100.1", 5060), 0.0)
    assert core.counters()["foreign_source"] == 1
    core.feed(request("MESSAGE", 1).replace(b"Length: 0", b"Length: 9"), PEER, 0.0)
    event = take(core)
    assert (event.kind, event.transaction, event.awaits_answer) == (Kind.MALFORMED, 0, False)
    assert "Content-Length" in event.reason
    assert [refusal.status for refusal in sent(core)] == [400]
    core.feed(b"junk" * 100, PEER, 0.0)
    assert take(core).raw == b"junk" * 100
    assert sent(core) == []
    counters = core.counters()
    assert (counters["malformed"], counters["malformed_answered"], counters["now_open"]) == (2, 1, 0)


def test_everything_is_bounded() -> None:
    core = Core(
        US, REALM, NETWORKS, SEED, limits={"requests": 3, "answers": 2, "events": 3, "retry_spread": 0}
    )
    for number in range(5):
        core.feed(request("MESSAGE", number), PEER, 0.0)
    assert [(refusal.status, refusal.header("Retry-After")) for refusal in sent(core)] == [(503, "10")] * 2
    core.reply([(event.transaction, 200) for event in core.take_events(10)], 0.0)
    counters = core.counters()
    assert (counters["overload"], counters["now_cached"], counters["cached_evicted"]) == (2, 2, 1)
    core.reply([(1, 200)], 0.0)
    assert core.counters()["late_replies"] == 1


@pytest.mark.parametrize(
    ("lines", "expires", "contact"),
    [
        (["Expires: 60"], 60, None),
        (["m: <sip:a@b>;expires=0", "Expires: 60"], 0, "sip:a@b"),
        (['Contact: "a, b" <sip:a@b>;q=1;expires="90", <sip:c@d>;expires=5'], 90, "sip:a@b"),
        (["Contact: *", "Expires: 60"], 0, "*"),
        (["Contact: sip:a@b;expires=soon", "Expires: 60"], 60, "sip:a@b"),
        (["Expires: +60"], None, None),
        (["Expires: 99999999999"], 2**32 - 1, None),
        ([], None, None),
    ],
)
def test_expires_and_contact(lines: list[str], expires: int | None, contact: str | None) -> None:
    event = parse(request("REGISTER", 1, *lines))
    assert (event.expires, event.contact) == (expires, contact)


def test_headers_are_found_in_any_form_and_folds_are_joined() -> None:
    event = parse(request("MESSAGE", 1, "s: one\r\n  two", "SUBJECT: three", "c: Text/XML ; charset=gb2312"))
    assert event.header("Subject") == "one two"
    assert event.headers("subject") == ["one two", "three"]
    assert (event.header("Date"), event.headers("Date")) == (None, [])
    assert event.content_type == "text/xml"
    assert (event.from_user, event.to_user, event.uri_user) == (DEVICE, *["44010000002000000001"] * 2)


def test_what_cannot_be_an_engine_is_refused() -> None:
    for local, realm, networks, seed in (
        (("gateway.example", 5060), REALM, NETWORKS, SEED),
        (US, 'a"b', NETWORKS, SEED),
        (US, REALM, ["203.0.113.0/33"], SEED),
        (US, REALM, NETWORKS, b"short"),
    ):
        with pytest.raises(ValueError, match=r"address|realm|network|seed"):
            Core(local, realm, networks, seed)
    with pytest.raises(ValueError, match="HA1"):
        Core(US, REALM, NETWORKS, SEED).set_credentials(DEVICE, [("MD5", "secret")])


def test_tokens_are_fresh_and_the_same_seed_gives_the_same(core: Core) -> None:
    twin = Core(US, REALM, NETWORKS, SEED)
    tokens = [core.token() for _ in range(100)]
    assert len(set(tokens)) == 100
    assert tokens == [twin.token() for _ in range(100)]
    assert all(len(token) == 16 and int(token, 16) >= 0 for token in tokens)


class Wire:
    """An engine and one peer on the loopback, each waiting for the other by readiness, never by time."""

    def __init__(self) -> None:
        self.engine = Engine(("127.0.0.1", 0), REALM, NETWORKS, SEED)
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.settimeout(10)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.engine.fileno(), selectors.EVENT_READ)

    def ready(self, seconds: float) -> bool:
        return bool(self.selector.select(seconds))

    def close(self) -> None:
        self.selector.close()
        self.peer.close()
        self.engine.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


def test_the_engine_answers_over_its_socket(wire: Wire) -> None:
    assert not wire.ready(0)
    for number in range(100):
        wire.peer.sendto(request("MESSAGE", number), wire.engine.local)
    events: list[Event] = []
    while len(events) < 100:
        assert wire.ready(10)
        batch = wire.engine.poll(7)
        assert len(batch) <= 7
        events += batch
    assert not wire.ready(0)
    wire.engine.reply([(event.transaction, 200) for event in events])
    answers = [parse(wire.peer.recv(2048)) for _ in events]
    assert [answer.cseq for answer in answers] == list(range(100))
    assert wire.engine.counters()["now_cached"] == 100


def test_events_that_no_datagram_made_wake_the_loop_too(wire: Wire) -> None:
    headers = (*OURS, ("CSeq", "1 MESSAGE"))
    [number] = wire.engine.send([("MESSAGE", "sip:a@b", ("127.0.0.1", 0), headers, b"", 0)])
    assert wire.ready(10)
    [event] = wire.engine.poll(10)
    assert (event.kind, event.transaction) == (Kind.UNDELIVERED, number)
    assert "argument" in event.reason  # the operating system's own word for port 0
    assert not wire.ready(0)


def test_a_due_timer_wakes_the_loop(wire: Wire) -> None:
    headers = (*OURS, ("CSeq", "1 MESSAGE"))
    wire.engine.send([("MESSAGE", "sip:a@b", wire.peer.getsockname(), headers, b"", 0)])
    first = wire.peer.recv(2048)
    assert wire.ready(10)
    assert wire.engine.poll(10) == []
    assert wire.peer.recv(2048) == first


def test_a_closed_engine_gives_its_port_back(wire: Wire) -> None:
    local = wire.engine.local
    wire.selector.unregister(wire.engine.fileno())
    wire.engine.close()
    wire.engine.close()
    assert wire.engine.fileno() == -1
    with pytest.raises(ValueError, match="closed"):
        wire.engine.poll(1)
    again = Engine(local, REALM, NETWORKS, SEED)
    with pytest.raises(OSError, match="use"):
        Engine(local, REALM, NETWORKS, SEED)
    again.close()


def proof(challenge: str, nc: int = 1, *, qop: bool = True) -> str:
    asked = challenge if qop else challenge.replace(', qop="auth"', "")
    return authorize([asked], DEVICE, "right", "REGISTER", SERVER, "abc", nc)


def challenged(core: Core, number: int, now: float) -> str:
    core.feed(request("REGISTER", number), PEER, now)
    core.reply([(take(core).transaction, 401)], now)
    [answer] = sent(core)
    challenge = answer.header("WWW-Authenticate")
    assert challenge is not None
    return challenge


def judged(core: Core, number: int, credentials: str, now: float, *lines: str) -> int:
    core.feed(request("REGISTER", number, f"Authorization: {credentials}", *lines), PEER, now)
    event = take(core)
    core.reply([(event.transaction, 401)], now)
    core.take_outputs()
    return event.auth


def test_a_refresh_and_a_removal_prove_themselves_like_the_first(core: Core) -> None:
    """Without qop each needs a challenge of its own; with it the next count is enough while it lives."""
    once = proof(challenged(core, 1, 0.0), qop=False)
    assert judged(core, 2, once, 0.0) == Auth.VERIFIED
    assert judged(core, 3, once, 1.0) == Auth.STALE
    assert judged(core, 4, once, 2.0, "Expires: 0") == Auth.STALE
    core.feed(request("REGISTER", 5, "Expires: 0"), PEER, 3.0)
    assert take(core).auth == Auth.NONE
    counted = challenged(core, 6, 10.0)
    assert judged(core, 7, proof(counted, 1), 10.0) == Auth.VERIFIED
    assert judged(core, 8, proof(counted, 2), 20.0) == Auth.VERIFIED
    assert judged(core, 9, proof(counted, 2), 30.0) == Auth.STALE
    assert judged(core, 10, proof(counted, 3), 40.0, "Expires: 0") == Auth.VERIFIED
    assert judged(core, 11, proof(counted, 4), 70.1) == Auth.STALE


def test_a_nonce_of_one_side_is_none_of_the_other(core: Core) -> None:
    """With the same realm, device, address and password: each side signs with a key of its own."""
    other = Core(US, REALM, NETWORKS, bytes(reversed(SEED)))
    other.set_credentials(DEVICE, [("MD5", ha1(DEVICE, REALM, "right"))])
    credentials = proof(challenged(core, 1, 0.0))
    assert judged(other, 2, credentials, 0.1) == Auth.STALE
    assert [attempt[0] for attempt in other.attempts(DEVICE)] == ["nonce-foreign"]
    assert judged(core, 2, credentials, 0.2) == Auth.VERIFIED


def test_what_spends_a_nonce_by_qop_and_then_without_is_a_replay(core: Core) -> None:
    challenge = challenged(core, 1, 0.0)
    assert judged(core, 2, proof(challenge, 1), 0.1) == Auth.VERIFIED
    assert judged(core, 3, proof(challenge, qop=False), 0.2) == Auth.STALE
    again = challenged(core, 4, 1.0)
    assert judged(core, 5, proof(again, qop=False), 1.1) == Auth.VERIFIED
    assert judged(core, 6, proof(again, 1), 1.2) == Auth.STALE
