"""The link between two hosts, in virtual time over real TLS: whatever befalls it, nothing is lost unseen."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.identities import SideName
from certs.trust import Trust, read_trust
from gateway.chamber.codec import encode
from gateway.chamber.link import LinkFull, LinkUnavailable, Signal
from gateway.chamber.link.hosts import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, SURVIVES_SECONDS
from gateway.chamber.link.session import Greeting, LinkSession, Over
from gateway.chamber.link.unheard import MAX_BYTES
from tests.clock import run
from tests.gateway.cable import HOST, INNER, OUTER, Certificates
from tests.gateway.chamber_ground import LOWER, ask, batch, channel, presence, rows
from tests.gateway.pair import WALL, Logged, ended, pair, troubles

if TYPE_CHECKING:
    from cascade.crossing import Crossing


@pytest.mark.parametrize("dialler", ["inner", "outer", None])
def test_crossings_go_both_ways_in_order_whoever_dials(tmp_path: Path, dialler: SideName | None) -> None:
    async def scenario() -> None:
        async with pair(tmp_path, dialler=dialler) as here:
            await here.up()
            for number in range(200):
                here.outer.end.deliver(ask(correlation=number))
                here.inner.end.deliver(ask(correlation=number))
            big = batch(rows(*map(channel, range(1000))))
            here.outer.end.deliver(big)
            await asyncio.sleep(1.0)
            sent = [ask(correlation=number) for number in range(200)]
            assert here.inner.crossings == [*sent, big]
            assert here.outer.crossings == sent
            assert here.outer.heard == here.inner.heard == [True]

    run(scenario())


def test_nothing_on_the_wire_can_be_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            here.outer.end.deliver(ask(correlation=1))
            await asyncio.sleep(1.0)
            for socket in here.cable.sockets:
                assert b"lockgate" not in socket.written
                assert b"Ask" not in socket.written
                assert str(ask().origin).encode() not in socket.written

    run(scenario())


@pytest.mark.parametrize("later", [step * 0.005 for step in range(-8, 9)])
def test_both_dialling_at_once_end_with_one_connection(tmp_path: Path, later: float) -> None:
    """Their attempts meet at every stage of each other's; 5 ms are one way over the wire."""

    async def scenario() -> None:
        async with pair(tmp_path, dialler=None) as here:
            await here.outer.end.open()
            await asyncio.sleep(FIRST_PAUSE_SECONDS + later)
            await here.inner.end.open()
            await asyncio.sleep(120.0)
            one, two = here.cable.open()
            assert one.other is two
            assert here.outer.end._era == here.inner.end._era != b""
            dialled = len(here.cable.dialled)
            for number in range(10):
                here.outer.end.deliver(ask(correlation=number))
                here.inner.end.deliver(ask(correlation=number))
            await asyncio.sleep(600.0)
            assert len(here.outer.crossings) == len(here.inner.crossings) == 10
            assert len(here.cable.dialled) == dialled, "nobody dials while there is a connection"
            if abs(later) < 0.01:
                assert dialled == 2
                assert one.host == HOST["inner"], "the connection that inner dialled stays"
                replaced = [host.counts.get("replaced", 0) for host in (here.outer, here.inner)]
                assert replaced == [int(later >= 0), int(later <= 0)], "counted where the other one was up"

    run(scenario())


def test_a_short_cut_loses_nothing_and_ends_nothing(tmp_path: Path, logged: Logged) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            sent: list[Crossing] = []
            for number in range(400):
                if number % 100 == 50:
                    here.cable.reset()
                sent.append(ended(correlation=number) if number % 3 else presence((LOWER, True)))
                here.outer.end.deliver(sent[-1])
                if number % 7 == 0:
                    await asyncio.sleep(0.02)
            here.outer.end.signal("shut")
            await asyncio.sleep(10.0)
            assert here.inner.crossings == sent
            assert here.inner.heard == [True, "shut"]
            assert here.outer.heard == [True]
            assert here.inner.counts["resumed"] == here.outer.counts["resumed"] >= 1
            assert here.outer.end.unheard == 0

    run(scenario())
    assert {event for event, _ in troubles(logged)} == {"link.down"}


def test_what_is_asked_while_it_is_down_is_refused_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            with pytest.raises(LinkUnavailable, match="down"):
                here.outer.end.deliver(ended())
            await here.up()
            here.cable.cut = True
            here.cable.reset()
            with pytest.raises(LinkUnavailable, match="down"):
                here.inner.end.deliver(ask())
            here.inner.end.deliver(ended())  # said once: kept for the case that it is back soon
            await asyncio.sleep(SURVIVES_SECONDS + 0.1)
            with pytest.raises(LinkUnavailable, match="down"):
                here.inner.end.deliver(ended())

    run(scenario())


def test_after_a_long_cut_both_ends_begin_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            here.cable.cut = True
            here.cable.reset()
            here.inner.end.deliver(ended(correlation=5))
            await asyncio.sleep(60.0)
            assert here.outer.heard == here.inner.heard == [True, False]
            here.cable.cut = False
            await asyncio.sleep(60.0)
            assert here.outer.heard == here.inner.heard == [True, False, True]
            assert here.outer.crossings == [], "what belonged to the time before is not told any more"
            here.inner.end.deliver(ask(correlation=6))
            await asyncio.sleep(1.0)
            assert here.outer.crossings == [ask(correlation=6)]
            assert here.inner.counts["lost_frames"] == 1

    run(scenario())


@pytest.mark.parametrize("alive_seconds", [1.0, 5.0])
def test_a_half_open_link_is_found_within_three_intervals(
    tmp_path: Path, alive_seconds: float, logged: Logged
) -> None:
    async def scenario() -> None:
        async with pair(tmp_path, alive_seconds=alive_seconds) as here:
            await here.up()
            await asyncio.sleep(300.0)
            assert here.outer.end.up, "a quiet link is not a dead one"
            here.cable.spoil = lambda host, data: None if host == HOST["outer"] else data
            await asyncio.sleep(3 * alive_seconds)
            assert not here.inner.end.up
            assert here.inner.counts["silent"] == 1
            here.cable.spoil = lambda host, data: data
            await asyncio.sleep(60.0)
            assert here.inner.end.up
            assert here.outer.end.up
            assert here.inner.counts["silent"] == 1

    run(scenario())
    assert ("link.down", "silent") in troubles(logged)


def test_attempts_grow_rarer_and_never_stop(tmp_path: Path, logged: Logged) -> None:
    async def scenario() -> None:
        async with pair(tmp_path, dialler="inner") as here:
            await here.inner.end.open()
            await asyncio.sleep(3600.0)
            at = [moment for moment, _ in here.cable.dialled]
            pauses = [later - earlier for earlier, later in pairwise(at)]
            assert pauses[0] < 1.0
            assert all(MAX_PAUSE_SECONDS / 2 <= pause <= MAX_PAUSE_SECONDS + 1 for pause in pauses[10:])
            assert len({round(pause, 3) for pause in pauses[10:]}) > 10, "no two hosts in step"
            await here.outer.end.open()
            await asyncio.sleep(MAX_PAUSE_SECONDS + 1)
            assert here.inner.end.up
            assert here.inner.counts["unreachable"] == len(at)

    run(scenario())
    told = troubles(logged)
    assert set(told) == {("link.not_up", "unreachable")}
    assert len(told) <= 7, "once in ten minutes"


def test_a_changed_byte_on_the_wire_ends_the_connection_and_loses_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            here.cable.spoil = lambda host, data: data[:-1] + bytes([data[-1] ^ 1])
            here.outer.end.deliver(ended(correlation=1))
            await asyncio.sleep(0.1)
            here.cable.spoil = lambda host, data: data
            await asyncio.sleep(10.0)
            assert here.inner.crossings == [ended(correlation=1)]
            assert here.inner.counts["tls"] == 1
            assert here.inner.heard == [True]

    run(scenario())


def test_what_waits_for_the_other_end_is_bounded_and_who_sends_more_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            here.cable.cut = True  # nobody knows yet
            big = batch(rows(*map(channel, range(1000))))
            taken = MAX_BYTES // len(encode(big))
            for _ in range(taken):
                here.outer.end.deliver(big)
            with pytest.raises(LinkFull, match="too much is waiting"):
                here.outer.end.deliver(big)
            here.cable.cut = False
            here.cable.reset()
            await asyncio.sleep(10.0)
            assert here.inner.crossings == [big] * taken
            assert here.outer.end.unheard == 0
            here.outer.end.deliver(big)

    run(scenario())


def test_how_much_may_wait_for_the_other_end_is_taken_while_it_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            here.cable.cut = True
            one = encode(ended())
            end = here.outer.end
            end.adopt(end._trust, 5.0, 10 * len(one))
            for _ in range(10):
                end.deliver(ended())
            with pytest.raises(LinkFull, match="too much is waiting"):
                end.deliver(ended())
            end.adopt(end._trust, 5.0, 11 * len(one))
            end.deliver(ended())
            assert end.unheard == 11

    run(scenario())


def test_signals_keep_their_place_among_crossings(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            heard: list[tuple[int, Signal]] = []
            here.inner.end.on_signal = lambda signal: heard.append((len(here.inner.crossings), signal))
            here.outer.end.signal("shut")
            here.outer.end.deliver(ended())
            here.outer.end.signal("open")
            here.outer.end.deliver(ended())
            here.outer.end.signal("anew")
            await asyncio.sleep(1.0)
            assert heard == [(0, "shut"), (1, "open"), (2, "anew")]

    run(scenario())


@pytest.fixture(scope="module")
def outer_trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Certificates(tmp_path_factory.mktemp("certs"), WALL).trust("outer")


@settings(deadline=None)
@given(parts=st.lists(st.binary(max_size=300), max_size=6), server=st.booleans())
def test_any_bytes_end_a_connection_or_wait_for_more(
    outer_trust: Trust, parts: list[bytes], server: bool
) -> None:
    """No exception leaves a session, and nothing is handed in before the other end is believed."""
    session = LinkSession(
        outer_trust,
        INNER,
        server=server,
        sends="inward",
        greet=lambda: Greeting(nonce=bytes(16)),
        heard=lambda: 0,
        alive_seconds=5.0,
        wall=lambda: WALL,
        now=0.0,
    )
    for part in parts:
        session.feed(part, 1.0)
        session.output()
    session.lost(None)
    events = list(session.events())
    assert [type(event) for event in events] == [Over]


def test_what_is_said_of_the_end_of_an_era_is_not_said_in_the_next(tmp_path: Path) -> None:
    """As a gate does that gives up its open questions: the host that restarted knows none of them."""

    async def scenario() -> None:
        async with pair(tmp_path) as here:
            refused: list[str] = []

            def linked(up: bool) -> None:
                try:
                    here.outer.end.deliver(ended(correlation=int(up)))
                except LinkUnavailable as error:
                    refused.append(str(error))

            here.outer.end.on_linked = linked
            await here.up()
            await here.inner.end.close()
            here.ends["inner"] = here.inner = here.made("inner", seed=2)
            await here.inner.end.open()
            await asyncio.sleep(30.0)
            assert refused == ["the link to the other side is down"]
            assert here.inner.crossings == [ended(correlation=1)]
            assert here.inner.counts == {"begun": 1}

    run(scenario())


def test_a_host_that_restarts_is_a_new_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            await here.up()
            await here.inner.end.close()
            here.ends["inner"] = here.inner = here.made("inner", seed=2)
            await here.inner.end.open()
            await asyncio.sleep(1.0)
            assert here.outer.heard == [True, False, True]
            assert here.inner.heard == [True]

    run(scenario())


def test_media_messages_go_between_hosts_and_not_into_the_gate(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pair(tmp_path) as here:
            joined: list[str] = []
            got: list[bytes] = []
            here.inner.end.on_media = got.append
            here.outer.end.on_joined = lambda: joined.append("outer")
            here.outer.end.send_media(b"lost")
            await here.up()
            here.outer.end.send_media(b"a key")
            await asyncio.sleep(1.0)
            here.cable.reset()
            await asyncio.sleep(5.0)
            assert got == [b"a key"]
            assert joined == ["outer", "outer"], "after each connection"
            assert here.inner.crossings == []

    run(scenario())


def test_the_files_are_those_of_one_side(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certs", WALL)
    assert read_trust(certificates.folder, "outer").own.identity == OUTER
    assert certificates.trust("inner").own.identity == INNER
