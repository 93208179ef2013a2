"""Our registration above: what is asked, how often, and when it is tried again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.as_lower.registrant import LEAVING_SECONDS, Registrant, refresh_after, retry_after
from cascade.peers import UpperPeer
from sip.endpoint import Endpoint, Party
from sip.events import Event, Kind, Reply
from tests.cascade.ground import AT_INNER, AT_UPPER, OURS, UPPER_PEER, Peer, keepalive, ours, upper
from tests.clock import run
from tests.sip.network import Network


@given(st.floats(60, 604_800), st.floats(0, 1))
def test_a_lease_is_renewed_before_its_end_and_not_too_early(lease: float, chance: float) -> None:
    after = refresh_after(lease, chance)
    assert 0.4 * lease <= after < lease
    assert lease < 300 or after <= lease - 60


@given(st.integers(1, 1000), st.floats(0, 1))
def test_retries_are_never_faster_than_a_minute_and_never_slower_than_ten(
    failures: int, chance: float
) -> None:
    assert 60 <= retry_after(UPPER_PEER, failures, chance) <= 630


@dataclass
class Stage:
    network: Network
    upper: Peer
    registrant: Registrant
    times: list[float]

    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in pairwise(self.times)]


def play(
    scenario: Callable[[Stage], Awaitable[None]], *, peer: UpperPeer = UPPER_PEER, password: str | None = "up"
) -> Stage:
    async def whole() -> Stage:
        network = Network(asyncio.get_running_loop(), 5)
        stack = network.stack(AT_INNER, "4401000000")
        endpoint = Endpoint(stack, Party(OURS, "4401000000"))
        stack.attach(endpoint)
        registrant = Registrant(
            peer,
            endpoint,
            credential=lambda: ours(password),
            keepalive=lambda: keepalive(OURS).encode(),
            random=random.Random(1),
            time=network.loop.time,
        )
        stage = Stage(network, upper(network), registrant, [])

        def note(at: float, payload: bytes, *_: object) -> None:
            if payload.startswith(b"REGISTER") and b"Authorization" not in payload:
                stage.times.append(at)

        network.taps.append(note)
        task = asyncio.create_task(registrant.run())
        await asyncio.sleep(1.0)
        await scenario(stage)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return stage

    return run(whole(), seconds=400_000.0)


def test_it_is_renewed_under_the_same_call_with_a_growing_number() -> None:
    async def scenario(on: Stage) -> None:
        on.upper.expires_granted = 3600
        await asyncio.sleep(0.8 * 86_400)

    on = play(scenario)
    cseqs = [event.cseq for event in on.upper.registers]
    assert cseqs == list(range(1, len(cseqs) + 1))
    assert len({(event.call_id, event.from_tag) for event in on.upper.registers}) == 1
    assert {(event.from_user, event.to_user) for event in on.upper.registers} == {(OURS, OURS)}
    assert on.upper.registers[0].uri == "sip:44000000002000000001@4400000000"
    assert on.gaps()[0] > 0.7 * 86_400


def test_q103_an_upper_may_want_each_renewal_as_if_it_were_new() -> None:
    async def scenario(on: Stage) -> None:
        on.upper.expires_granted = 3600
        await asyncio.sleep(0.8 * 86_400)

    on = play(scenario, peer=replace(UPPER_PEER, register_renewal="fresh"))
    calls = [event.call_id for event in on.upper.registers]
    assert len(set(calls)) == len(on.times) > 1
    assert calls == [call for call in dict.fromkeys(calls) for _ in range(calls.count(call))]
    assert {event.from_tag for event in on.upper.registers if event.cseq == 1} == {
        event.from_tag for event in on.upper.registers
    }


def test_what_the_upper_grants_counts_not_what_we_asked() -> None:
    async def scenario(on: Stage) -> None:
        on.upper.expires_granted = 600
        on.upper.answer = lambda event, head: 403 if on.times[-1] < 50 else 200
        await asyncio.sleep(3600)

    on = play(scenario)
    assert all(430 <= gap <= 600 for gap in on.gaps()[1:-1])


@pytest.mark.parametrize("status", [403, 404, 500, 503, 603])
def test_a_refusal_is_tried_again_with_growing_pauses(status: int) -> None:
    async def scenario(on: Stage) -> None:
        on.upper.register_status = status
        on.upper.answer = lambda event, head: 404
        await asyncio.sleep(4000)
        assert not on.registrant.registered
        assert on.registrant.problem.startswith(f"REGISTER answered {status}")

    gaps = play(scenario).gaps()[1:]
    assert 60 <= gaps[0] <= 91
    assert 120 <= gaps[1] <= 151
    assert 240 <= gaps[2] <= 271
    assert all(600 <= gap <= 631 for gap in gaps[4:])


def test_a_wrong_password_is_not_hammered() -> None:
    async def scenario(on: Stage) -> None:
        await asyncio.sleep(50)
        assert on.registrant.problem == "REGISTER answered 401 Unauthorized"
        assert len(on.upper.registers) == 2

    play(scenario, password="wrong")


def test_no_password_is_said_so() -> None:
    async def scenario(on: Stage) -> None:
        assert "no secret for" in on.registrant.problem
        assert len(on.upper.registers) == 1

    play(scenario, password=None)


def scripted(on: Stage, *replies: Callable[[Event], Reply]) -> None:
    """Answer the next REGISTERs so, and any later one with 200."""
    left = list(replies)

    def answer(events: list[Event]) -> list[Reply]:
        on.upper.registers += events
        return [left.pop(0)(event) if left else (event.transaction, 200) for event in events]

    on.upper.endpoint.handle(Kind.REGISTER, answer)


def challenge(*lines: str) -> Callable[[Event], Reply]:
    return lambda event: (event.transaction, 401, [("WWW-Authenticate", line) for line in lines])


def test_a_stale_nonce_is_met_once_more_but_only_once() -> None:
    stale = challenge('Digest realm="4400000000",nonce="2",algorithm=MD5,stale=TRUE')

    async def scenario(on: Stage) -> None:
        on.upper.registers.clear()
        on.upper.answer = lambda event, head: 401
        scripted(on, challenge('Digest realm="4400000000",nonce="1",algorithm=MD5'), stale)
        await asyncio.sleep(61)
        assert on.registrant.registered
        assert len(on.upper.registers) == 3
        scripted(on, challenge('Digest realm="4400000000",nonce="1",algorithm=MD5'), stale, stale, stale)
        await asyncio.sleep(61)
        assert not on.registrant.registered

    play(scenario)


def test_the_strongest_challenge_we_can_meet_is_met() -> None:
    async def scenario(on: Stage) -> None:
        on.upper.registers.clear()
        on.upper.answer = lambda event, head: 401
        unknown = 'Digest realm="4400000000",nonce="1",algorithm=SHA-512-256'
        weak = 'Digest realm="4400000000",nonce="2",algorithm=MD5'
        scripted(on, challenge(unknown, weak, 'Digest realm="4400000000",nonce="3",algorithm=SM3'))
        await asyncio.sleep(61)
        assert 'nonce="3"' in (on.upper.registers[1].header("Authorization") or "")

    play(scenario)


def test_too_short_is_asked_again_for_as_long_as_the_upper_wants() -> None:
    async def scenario(on: Stage) -> None:
        on.upper.registers.clear()
        on.upper.answer = lambda event, head: 401
        scripted(on, lambda event: (event.transaction, 423, [("Min-Expires", "100000")]))
        await asyncio.sleep(61)
        assert [event.expires for event in on.upper.registers] == [86_400, 100_000]
        assert on.registrant.registered

    play(scenario)


def test_a_registration_for_no_time_at_all_is_none() -> None:
    async def scenario(on: Stage) -> None:
        on.upper.answer = lambda event, head: 401
        scripted(on, lambda event: (event.transaction, 200, [("Expires", "0")]))
        await asyncio.sleep(61)
        assert on.registrant.problem == "granted for no time at all"

    play(scenario)


def test_two_lost_keepalives_are_no_reason_to_leave_and_three_are() -> None:
    async def scenario(on: Stage) -> None:
        on.upper.answer = lambda event, head: 500
        await asyncio.sleep(121)
        assert (on.registrant.registered, on.registrant.missed) == (True, 2)
        on.upper.answer = lambda event, head: 200
        await asyncio.sleep(60)
        assert on.registrant.missed == 0
        on.upper.answer = lambda event, head: 500
        before = len(on.times)
        await asyncio.sleep(180)
        assert len(on.times) == before + 1
        assert on.registrant.registered

    play(scenario)


def test_leaving_says_goodbye_and_does_not_wait_for_a_deaf_upper() -> None:
    async def scenario(on: Stage) -> None:
        on.network.cut(AT_UPPER[0])

    on = play(scenario)
    assert on.network.loop.time() == pytest.approx(1.0 + LEAVING_SECONDS)
    assert on.times[-1] > 1.0


def test_uppers_differ_only_by_their_configuration() -> None:
    async def scenario(on: Stage) -> None:
        await asyncio.sleep(25)
        assert len(on.upper.of("Keepalive", "Notify")) == 2

    play(scenario, peer=replace(UPPER_PEER, keepalive_seconds=10.0))
