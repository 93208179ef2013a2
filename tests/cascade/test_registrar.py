"""Who is registered, and when that ends: values in, values out, time as an argument."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.as_upper.leases import MAX_HELD_UP, Change
from cascade.as_upper.registering import Accepted, Challenged, Decision, Refused, answers, beijing_time
from cascade.as_upper.registrar import Registrar
from cascade.manscdp import Alive
from cascade.model.ids import PlatformId
from cascade.peers import LowerPeer
from cascade.ports import Binding
from sip.events import Address, Auth, Registration, Reply
from tests.cascade.lowers import like, lower

NVR = PlatformId("44010600001180000001")
OTHER = PlatformId("44010600001180000002")
PEER = lower(NVR, networks=("203.0.113.0/24",))
HOME = ("203.0.113.50", 5060)
WALL = 1_772_323_200.0  # 2026-03-01 08:00 in Beijing


@dataclass(frozen=True)
class Request:
    """A REGISTER or MESSAGE as the engine reports it."""

    transaction: int = 1
    source: Address = HOME
    arrived: float = 0.0
    from_user: str = NVR
    auth: int = Auth.VERIFIED
    username: str = NVR
    expires: int | None = 3600
    contact: str | None = f"sip:{NVR}@192.168.1.50:5060"
    version: str | None = None
    transport: str = "udp"
    certificate: str = ""

    @property
    def registration(self) -> Registration:
        """As the engine tells of it when it is a REGISTER."""
        proof = (self.username, self.source, self.arrived, self.transport, self.certificate)
        proven = (*proof, self.expires, self.contact) if self.auth == Auth.VERIFIED else None
        return (self.transaction, self.auth, self.version, self.from_user, proven)

    @property
    def alive(self) -> Alive:
        """As the engine tells of it when it is a keepalive."""
        event: Any = self
        return (event, self.transaction, self.from_user, self.source, self.arrived)


def judged(one: Registrar, requests: Sequence[Request], now: float, wall: float) -> list[Decision]:
    return one.decide([request.registration for request in requests], now, wall)


def keepalives(one: Registrar, requests: Sequence[Request]) -> list[Reply]:
    """The answers to those that are ours; nobody else's among them."""
    replies, others = one.keepalives([request.alive for request in requests])
    return [*replies, *((event.transaction, 403) for event in others)]


REGISTER = Request()
Following = Literal["strict", "same-host", "reauth"]


def registrar(*peers: LowerPeer) -> Registrar:
    return Registrar({peer.id: peer for peer in peers or (PEER,)})


def registered(peer: LowerPeer = PEER, *, expires: int = 3600) -> Registrar:
    """One whose peer registered at 0."""
    one = registrar(peer)
    judged(one, [replace(REGISTER, expires=expires)], 0.0, WALL)
    one.changes()
    return one


def keepalive(one: Registrar, at: float, source: Address = HOME, user: str = NVR) -> int:
    request = Request(transaction=7, arrived=at, source=source, from_user=user)
    return keepalives(one, [request])[0][1]


def test_a_proven_registration_is_accepted_and_announced_once() -> None:
    one = registrar()
    assert judged(one, [REGISTER], 0.0, WALL) == [Accepted(1, 3600, f"sip:{NVR}@192.168.1.50:5060", False)]
    assert one.changes() == [Change(NVR, True, "registered")]
    judged(one, [replace(REGISTER, arrived=1000.0)], 1000.0, WALL + 1000)
    assert one.changes() == []


@pytest.mark.parametrize(
    "request_",
    [
        replace(REGISTER, auth=Auth.NONE),
        replace(REGISTER, auth=Auth.WRONG),
        replace(REGISTER, auth=Auth.STALE),
        replace(REGISTER, auth=Auth.WRONG, from_user="34020000001320000001"),
        replace(REGISTER, from_user=OTHER),
        replace(REGISTER, username=OTHER),
        replace(REGISTER, source=("198.51.100.7", 5060)),
    ],
)
def test_whatever_is_not_proven_is_challenged_alike(request_: Request) -> None:
    one = registrar(PEER, like(PEER, OTHER))
    assert judged(one, [request_], 0.0, WALL) == [Challenged(1, False)]
    assert (len(one), one.changes()) == (0, [])


@pytest.mark.parametrize(
    ("asked", "granted"), [(None, 3600), (60, 60), (86_400, 86_400), (604_800, 86_400), (2**31, 86_400)]
)
def test_a_lease_is_granted_within_its_limits(asked: int | None, granted: int) -> None:
    decision = judged(registrar(), [replace(REGISTER, expires=asked)], 0.0, WALL)[0]
    assert isinstance(decision, Accepted)
    assert decision.expires == granted


def test_too_short_a_lease_is_refused_with_the_shortest_there_is() -> None:
    decision = judged(registrar(), [replace(REGISTER, expires=59)], 0.0, WALL)[0]
    assert decision == Refused(1, 423, 60)
    assert answers([decision], "")[0] == (1, 423, [("Min-Expires", "60")])


def test_the_200_is_complete() -> None:
    decision = judged(registrar(), [replace(REGISTER, version="3.0")], 0.0, WALL)[0]
    assert answers([decision], beijing_time(WALL))[0] == (
        1,
        200,
        [
            ("Contact", f"<sip:{NVR}@192.168.1.50:5060>;expires=3600"),
            ("Expires", "3600"),
            ("Date", "2026-03-01T08:00:00.000"),
            ("X-GB-Ver", "2.0"),
        ],
    )


def test_a_challenge_names_our_version_only_to_those_who_name_theirs() -> None:
    assert answers([Challenged(1, False)], "") == [(1, 401)]
    assert answers([Challenged(1, True)], "") == [(1, 401, [("X-GB-Ver", "2.0")])]


def test_a_removal_ends_it_at_once_and_has_no_contact() -> None:
    one = registered()
    decision = judged(one, [replace(REGISTER, expires=0, contact="*")], 5.0, WALL)[0]
    assert answers([decision], "now")[0] == (1, 200, [("Expires", "0"), ("Date", "now")])
    assert one.changes() == [Change(NVR, False, "removed")]
    assert keepalive(one, 6.0) == 403
    assert one.bindings(6.0, WALL) == ([], [NVR])


def test_a_peer_is_silent_after_the_misses_and_the_grace() -> None:
    one = registered()
    assert keepalive(one, 60.0) == 200
    one.advance(60.0 + 189.9)
    assert one.changes() == []
    one.advance(60.0 + 190.0)
    assert one.changes() == [Change(NVR, False, "silent")]
    assert one.lease(NVR) is None


def test_a_registration_that_may_not_be_revived_expires_in_spite_of_keepalives() -> None:
    one = registered(like(PEER, revival="refuse"), expires=100)
    assert keepalive(one, 60.0) == 200
    one.advance(100.0)
    assert one.changes() == [Change(NVR, False, "expired")]
    assert keepalive(one, 120.0) == 403


def test_keepalives_alone_hold_a_registration_that_may_be_revived() -> None:
    one = registered(expires=100)
    for at in range(60, 1000, 60):
        assert keepalive(one, float(at)) == 200
        one.advance(float(at))
    assert one.changes() == []


def test_a_silent_peer_comes_back_by_a_keepalive() -> None:
    one = registered()
    one.advance(200.0)
    one.changes()
    assert keepalive(one, 210.0, ("203.0.113.51", 5060)) == 403
    assert keepalive(one, 211.0) == 200
    assert one.changes() == [Change(NVR, True, "revived")]
    one.advance(211.0 + 190.0)
    assert one.changes() == [Change(NVR, False, "silent")]


@pytest.mark.parametrize(
    ("held_up", "gone"),
    [
        ([(90.0, 150.0)], 340.0),  # all of it lies within the silence
        ([(90.0, 100.0)], 290.0),  # it began before the keepalive: only what came after counts
        ([(90.0, 60.0)], 250.0),  # it was over by then
        ([(20.0, 100.0), (30.0, 200.0)], 300.0),
        ([(5000.0, 5100.0)], 440.0),  # never more than its own silence once again
    ],
)
def test_the_time_that_we_stood_still_counts_for_nobodys_silence(
    held_up: list[tuple[float, float]], gone: float
) -> None:
    """Q15: late because of us, not of them. The last keepalive is of second 60, its lease of 250."""
    one = registered(expires=86_400)
    assert keepalive(one, 60.0) == 200
    for seconds, until in held_up:
        one.held_up(seconds, until)
    last = held_up[-1][1]
    one.advance(last)
    if last < gone:
        assert one.changes() == []
        one.advance(gone - 0.1)
        assert one.changes() == []
        one.advance(gone)
    assert one.changes() == [Change(NVR, False, "silent")]


def test_a_keepalive_after_a_hold_up_is_no_revival() -> None:
    one = registered(like(PEER, revival="refuse"), expires=100)
    one.held_up(90.0, 140.0)  # the registration ended meanwhile, and its renewal may be lost
    one.advance(140.0)
    assert keepalive(one, 150.0) == 200
    assert one.changes() == []
    one.advance(189.0)
    assert one.changes() == []
    one.advance(190.0)
    assert one.changes() == [Change(NVR, False, "expired")]
    assert keepalive(one, 200.0) == 403


def test_hold_ups_are_remembered_in_bounded_memory() -> None:
    one = registered()
    for number in range(10_000):
        one.held_up(0.6, float(number))
    assert len(one._leases._held_up) == MAX_HELD_UP
    assert one.counts["held_up"] == 10_000


@pytest.mark.parametrize(("binding", "moved"), [("same-host", True), ("reauth", True), ("strict", False)])
def test_a_new_registration_from_elsewhere_takes_over(binding: Following, moved: bool) -> None:
    one = registered(like(PEER, binding=binding))
    there = ("203.0.113.77", 5060)
    decision = judged(one, [replace(REGISTER, source=there, arrived=5.0)], 5.0, WALL)[0]
    assert isinstance(decision, Accepted if moved else Refused)
    told = Change(NVR, True, "moved", moved_from=f"{HOME[0]}:{HOME[1]}", moved_to="203.0.113.77:5060")
    assert one.changes() == ([told] if moved else [])
    assert (one.lease_of(NVR, HOME) is None) is moved
    assert (one.lease_of(NVR, there) is not None) is moved


def test_a_name_alone_links_no_request_and_an_address_alone_only_an_unknown_name() -> None:
    one = registrar(PEER, like(PEER, OTHER, aliases=("alias-of-other",)))
    judged(one, [REGISTER], 0.0, WALL)
    judged(
        one, [replace(REGISTER, from_user=OTHER, username=OTHER, source=("203.0.113.60", 5060))], 0.0, WALL
    )
    assert one.lease_of(NVR, ("203.0.113.60", 5060)) is None
    assert one.lease_of(OTHER, HOME) is None
    found = one.lease_of("alias-of-other", ("203.0.113.60", 5060))
    assert found is not None
    assert found.peer.id == OTHER
    stranger = one.lease_of("44010600001320000001", HOME)
    assert stranger is not None
    assert stranger.peer.id == NVR
    assert one.lease_of("44010600001320000001", (HOME[0], 9999)) is None


def test_what_was_stored_is_taken_up_again() -> None:
    live = Binding(NVR, *HOME, "sip:x", WALL + 1000.0, WALL - 2600.0)
    lapsed = Binding(OTHER, "203.0.113.51", 5060, "sip:y", WALL - 10.0, WALL - 3610.0)
    unknown = Binding(PlatformId("1"), "203.0.113.52", 5060, "", WALL + 1000.0, WALL)
    moved_out = like(PEER, PlatformId("2"), networks=("192.0.2.0/24",))
    outside = Binding(PlatformId("2"), *HOME, "", WALL + 1000.0, WALL)
    one = registrar(PEER, like(PEER, OTHER), moved_out)
    one.restore([live, lapsed, unknown, outside], 50.0, WALL)
    assert one.changes() == [Change(NVR, True, "restored")]
    assert len(one) == 1
    assert keepalive(one, 60.0, ("203.0.113.51", 5060), OTHER) == 200
    assert one.changes() == [Change(OTHER, True, "revived")]
    one.advance(50.0 + 190.0)
    assert one.changes() == [Change(NVR, False, "silent")]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["register", "short", "keepalive", "moved", "remove", "wait"]),
        st.sampled_from([NVR, OTHER]),
        st.floats(0.0, 400.0),
    ),
    max_size=40,
)


@given(STEPS)
def test_changes_alternate_and_agree_with_the_leases(steps: list[tuple[str, PlatformId, float]]) -> None:
    """Whatever happens, a peer goes online only when offline, and back; the heap forgets nobody."""
    one = registrar(PEER, like(PEER, OTHER, revival="refuse"))
    homes = {NVR: HOME, OTHER: ("203.0.113.60", 5060)}
    online = {NVR: False, OTHER: False}
    now = 0.0
    for what, peer, wait in steps:
        now += wait
        one.advance(now)
        request = replace(REGISTER, source=homes[peer], from_user=peer, username=peer, arrived=now)
        match what:
            case "register":
                judged(one, [request], now, WALL)
            case "short":
                judged(one, [replace(request, expires=60)], now, WALL)
            case "remove":
                judged(one, [replace(request, expires=0)], now, WALL)
            case "keepalive":
                keepalive(one, now, homes[peer], peer)
            case "moved":
                keepalive(one, now, (homes[peer][0], 40_000), peer)
        for change in one.changes():
            if change.moved_to:
                assert online[change.peer]
                continue
            assert online[change.peer] is not change.online
            online[change.peer] = change.online
        for each, state in online.items():
            lease = one.lease(each)
            assert (lease is not None) is state
            assert lease is None or lease.due > now or what != "wait"
    one.advance(now + 100_000.0)
    assert len(one) == 0


def test_a_strict_binding_cannot_be_ended_elsewhere_to_begin_anew_there() -> None:
    one = registered(like(PEER, binding="strict"))
    thief = replace(REGISTER, source=("203.0.113.66", 5060), arrived=10.0, expires=0)
    assert judged(one, [thief], 10.0, WALL) == [Refused(1, 403)]
    assert one.changes() == []
    assert one.lease(NVR) is not None
    assert judged(one, [replace(REGISTER, arrived=11.0, expires=0)], 11.0, WALL) == [
        Accepted(1, 0, "", False)
    ]


@pytest.mark.parametrize(
    ("agreed", "came", "shown", "status"),
    [
        (PEER, "tls", "", Accepted),
        (like(PEER, transport="tcp"), "tcp", "", Accepted),
        (like(PEER, transport="tls"), "tcp", "", Challenged),
        (like(PEER, transport="udp"), "tls", NVR, Challenged),
        (like(PEER, transport="tls", certificate=True), "tls", f"gate.example {NVR}", Accepted),
        (like(PEER, transport="tls", certificate=True), "tls", "gate.example", Challenged),
        (like(PEER, certificate=True), "udp", "", Challenged),
    ],
)
def test_a_peer_registers_by_the_transport_and_with_the_certificate_that_were_agreed(
    agreed: LowerPeer, came: str, shown: str, status: type
) -> None:
    here = registrar(agreed)
    [decision] = judged(here, [replace(REGISTER, transport=came, certificate=shown)], 0.0, 0.0)
    assert type(decision) is status
    assert here.counts["another_transport"] == (status is Challenged)


def test_a_port_of_a_connection_is_no_address_that_moves() -> None:
    peer = like(PEER, binding="strict")
    for transport, expected in (("tcp", Accepted), ("udp", Refused)):
        here = registered(peer)
        host, port = HOME
        [decision] = judged(here, [replace(REGISTER, source=(host, port + 1), transport=transport)], 1.0, 1.0)
        assert type(decision) is expected


def test_keepalives_of_nobody_are_given_back_and_the_others_answered() -> None:
    one = registered(like(PEER, binding="reauth"))
    nobody = Request(
        transaction=8, arrived=5.0, source=("198.51.100.7", 5060), from_user="44010600001320000009"
    )
    near = Request(transaction=9, arrived=5.0, source=(HOME[0], 9999))  # which may not move by a keepalive
    run = [Request(transaction=7, arrived=5.0), nobody, near]
    replies, others = one.keepalives([each.alive for each in run])
    assert replies == [(7, 200)]
    assert [event.transaction for event in others] == [8, 9]
    assert one.counts["refused_binding"] == 1


def test_a_run_may_hold_the_same_peer_more_than_once() -> None:
    one = registered()
    again, gone = replace(REGISTER, arrived=9.0, expires=600), replace(REGISTER, arrived=9.5, expires=0)
    decisions = judged(one, [again, gone, replace(again, arrived=10.0)], 10.0, WALL)
    assert [d.expires for d in decisions if isinstance(d, Accepted)] == [600, 0, 600]
    assert [change.why for change in one.changes()] == ["removed", "registered"]
    lease = one.lease(NVR)
    assert lease is not None
    assert (lease.ends, lease.heard, lease.granted) == (610.0, 10.0, 600)


def test_an_address_that_two_share_stays_known_while_one_of_them_refreshes() -> None:
    one = registrar(PEER, like(PEER, OTHER))  # behind a proxy
    other = replace(REGISTER, from_user=OTHER, username=OTHER)
    judged(one, [REGISTER, other], 0.0, WALL)
    assert one.addresses() == ([HOME], [], [])
    judged(one, [replace(REGISTER, arrived=5.0)], 5.0, WALL)
    judged(one, [replace(other, arrived=6.0, expires=0)], 6.0, WALL)
    assert one.addresses() == ([], [], [])
