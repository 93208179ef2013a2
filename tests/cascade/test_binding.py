"""From where a registered peer is heard: its binding, against whoever sits beside it (Q06)."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.as_upper.registering import Accepted, Refused
from cascade.as_upper.registrar import Registrar
from cascade.ports import Binding
from tests.cascade.lowers import like
from tests.cascade.test_registrar import (
    HOME,
    NVR,
    PEER,
    REGISTER,
    WALL,
    Following,
    judged,
    keepalive,
    registered,
    registrar,
)

ANEW: Final = (HOME[0], 41_022)
"""Its own address, where a translator chose another port: of the peer, or of a neighbour behind it."""

BESIDE: Final = (HOME[0], 52_811)
AWAY: Final = ("203.0.113.99", 5060)


def port(one: Registrar) -> int:
    lease = one.lease(NVR)
    assert lease is not None
    return lease.port


@pytest.mark.parametrize("binding", ["strict", "same-host", "reauth"])
def test_a_keepalive_from_another_address_moves_nothing(binding: Following) -> None:
    one = registered(like(PEER, binding=binding))
    for at in (1.0, 60.0, 120.0, 180.0):
        assert keepalive(one, at, AWAY) == 403
    assert one.lease_of(NVR, HOME) is not None
    assert one.lease_of(NVR, AWAY) is None
    one.advance(190.0)
    assert [change.why for change in one.changes()] == ["silent"]  # nor does it keep it alive


@pytest.mark.parametrize(("binding", "status"), [("same-host", 200), ("reauth", 403), ("strict", 403)])
def test_another_port_is_followed_by_same_host_alone(binding: Following, status: int) -> None:
    one = registered(like(PEER, binding=binding))
    assert keepalive(one, 60.0, ANEW) == status
    assert port(one) == (ANEW[1] if status == 200 else HOME[1])
    assert one.counts["followed"] == (status == 200)
    assert one.counts["refused_binding"] == (status == 403)


@pytest.mark.parametrize("binding", ["same-host", "reauth"])
def test_a_register_from_the_new_address_moves_it_and_until_then_the_old_one_stays(
    binding: Following,
) -> None:
    one = registered(like(PEER, binding=binding))
    assert keepalive(one, 60.0, AWAY) == 403
    assert keepalive(one, 61.0) == 200
    [decision] = judged(one, [replace(REGISTER, source=AWAY, arrived=62.0)], 62.0, WALL)
    assert isinstance(decision, Accepted)
    assert (keepalive(one, 63.0, AWAY), keepalive(one, 64.0)) == (200, 403)


def test_a_strict_binding_moves_by_no_register_before_its_lease_is_over() -> None:
    one = registered(like(PEER, binding="strict"), expires=100)
    there = replace(REGISTER, source=AWAY)
    assert judged(one, [replace(there, arrived=99.0)], 99.0, WALL) == [Refused(1, 403)]
    [decision] = judged(one, [replace(there, arrived=100.0)], 100.0, WALL)
    assert isinstance(decision, Accepted)


def test_while_the_registered_port_speaks_another_one_is_somebody_else() -> None:
    """A neighbour behind the same translator says what the peer says, from a port of its own."""
    one = registered()
    for minute in range(1, 10):
        assert keepalive(one, minute * 60.0) == 200
        for second in (1.0, 20.0, 50.0):
            assert keepalive(one, minute * 60.0 + second, BESIDE) == 403
    assert port(one) == HOME[1]
    assert one.changes() == []
    assert one.counts["refused_heard"] == 27


def test_who_speaks_again_from_where_it_registered_gets_its_port_back_for_good() -> None:
    """The neighbour was quicker than the peer's next keepalive: once, and the auditor sees it."""
    one = registered()
    assert keepalive(one, 55.0, BESIDE) == 200
    assert keepalive(one, 60.0) == 200
    assert port(one) == HOME[1]
    assert [change.why for change in one.changes()] == ["followed", "returned"]
    for at in (119.0, 180.0, 240.0):
        assert keepalive(one, at, BESIDE) == 403
    assert one.counts["refused_contested"] == 3
    judged(one, [replace(REGISTER, arrived=245.0)], 245.0, WALL)  # a new proof is a new beginning
    assert keepalive(one, 305.0, ANEW) == 200


def test_a_followed_port_prolongs_no_registration() -> None:
    """Nobody holds a dead peer's place for longer than it had proven that it is its own."""
    one = registered(expires=600)
    for at in range(60, 600, 60):
        assert keepalive(one, float(at), BESIDE) == 200
        one.advance(float(at))
    one.advance(600.0)
    assert [change.why for change in one.changes()] == ["followed", "expired"]
    assert keepalive(one, 601.0, BESIDE) == 403
    assert keepalive(one, 602.0, ANEW) == 403
    assert one.lease(NVR) is None
    assert keepalive(one, 603.0) == 200  # from where it registered it may be revived (Q05)
    assert [change.why for change in one.changes()] == ["returned", "revived"]


def test_what_is_no_keepalive_counts_from_its_own_port_alone() -> None:
    one = registered()
    assert one.lease_of(NVR, BESIDE) is None
    assert one.claims(NVR, BESIDE)  # it may be a keepalive, and those are judged
    assert not one.claims(NVR, AWAY)
    assert not registered(like(PEER, binding="reauth")).claims(NVR, BESIDE)


def test_a_restart_does_not_prove_a_port_that_was_followed() -> None:
    one = registered(expires=600)
    keepalive(one, 60.0, ANEW)
    [kept], _ = one.bindings(60.0, WALL + 60.0)
    assert (kept.port, kept.proven) == (ANEW[1], HOME[1])
    after = registrar()
    after.restore([kept], 0.0, WALL + 70.0)
    assert keepalive(after, 30.0, ANEW) == 200
    after.advance(530.0)  # of the 600 s
    assert [change.why for change in after.changes()] == ["restored", "expired"]
    assert keepalive(after, 531.0, ANEW) == 403
    assert keepalive(after, 532.0) == 200


def test_a_binding_of_before_that_field_is_one_that_was_proven() -> None:
    one = registrar()
    one.restore([Binding(NVR, *HOME, "sip:x", WALL + 600.0, WALL)], 0.0, WALL)
    assert keepalive(one, 30.0) == 200
    assert keepalive(one, 60.0, ANEW) == 403
    assert keepalive(one, 90.0, ANEW) == 200


FORGED: Final = st.lists(
    st.tuples(st.floats(0.0, 100.0), st.integers(1024, 65_535), st.booleans()), min_size=1, max_size=60
)


@given(FORGED)
def test_whatever_is_forged_from_its_address_the_peer_is_heard_and_has_its_port_back_by_its_next_keepalive(
    forged: list[tuple[float, int, bool]],
) -> None:
    """`forged`: how long after the one before, from which port, and did the peer keep alive before it?"""
    one = registered(expires=86_400)
    now = 0.0
    for wait, from_port, peer_first in forged:
        now += wait
        one.advance(now)
        if peer_first and one.lease(NVR) is not None:
            assert keepalive(one, now) == 200
            assert port(one) == HOME[1]
        keepalive(one, now, (HOME[0], from_port))
    assert keepalive(one, now) == 200
    assert port(one) == HOME[1]
    moves = [change for change in one.changes() if change.why == "followed"]
    assert len(moves) <= now / 54.0
