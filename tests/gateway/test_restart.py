"""The gateway stops or dies in whatever it is doing; what it held is ended, what it knew is there again."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.manscdp import keepalive
from interop.sim.registrar import NotRegistered
from interop.sim.sending import Behaviour
from interop.sim.tasks import Tasks
from interop.sim.upper import PlayRefused
from sip.aio.calls import Incoming, ask
from sip.endpoint import Party
from tests.clock import run
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LINKS,
    LOWER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    UPPER,
    Link,
    Wire,
    World,
    header,
    open_calls,
    text,
    world,
)

EXAMPLES = 800 if os.environ.get("HYPOTHESIS_PROFILE") == "explore" else 30

GOODBYE_SECONDS = 3.0
"""From a start until every leg of an earlier life has its BYE."""


async def up(here: World) -> str:
    """Everybody is registered and the catalog has crossed; a camera that may be seen."""
    await here.shown()
    await here.upper.wait_registered(INNER_ID)
    return here.shared()[0]


def byes(wire: Wire, source: str, destination: str) -> list[str]:
    return wire.between(source, destination, "BYE")


async def until(here: World, true: Callable[[], bool], seconds: float) -> None:
    """Return as soon as it is true; asked after each datagram."""
    sent = asyncio.Event()
    here.network.taps.append(lambda *_: sent.set())
    async with asyncio.timeout(seconds):
        while not true():
            sent.clear()
            await sent.wait()


# A stop in good order


def test_a_stop_says_bye_on_both_legs_and_goodbye_above(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            channel = await up(here)
            wire = Wire(here.network)
            async with here.upper.play(channel) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 0
                started = here.network.loop.time()
                await here.life.stop()
                assert here.network.loop.time() - started < 1.0
            for source, destination in ((OUTER, LOWER), (INNER, UPPER)):
                (bye,) = byes(wire, source, destination)
                assert header(bye, "Reason") == 'SIP;cause=503;text="the gateway is being stopped"'
            last = wire.between(INNER, UPPER, "REGISTER")[-1]
            assert header(last, "Expires") == "0"
            assert here.upper.registered() == ()
            assert here.lower_calls.active == here.upper_calls.active == 0
            assert here.plane.sockets() == 0
            assert here.trails_whole()
            assert [await store.dialogs() for store in here.stores.values()] == [[], []]

    run(scenario())


def test_nobody_gets_a_session_while_it_stops() -> None:
    async def scenario() -> None:
        async with world() as here:
            channel = await up(here)
            async with here.upper.play(channel):
                here.network.cut(LOWER)  # so that the stop takes a while
                here.network.drop = lambda payload, _from, _to: payload.startswith(b"REGISTER")
                stopping = asyncio.create_task(here.life.stop())
                await asyncio.sleep(0.1)
                with pytest.raises(PlayRefused) as refused:
                    async with here.upper.play(here.shared()[1]):
                        pass
                assert refused.value.status == 503
                await stopping
            here.network.mend(LOWER)

    run(scenario())


@pytest.mark.parametrize("dead", [(LOWER,), (UPPER,), (LOWER, UPPER)])
def test_a_stop_takes_less_than_five_seconds_however_dead_the_peers(dead: tuple[str, ...]) -> None:
    async def scenario() -> None:
        async with world() as here:
            channel = await up(here)
            async with here.upper.play(channel):
                await asyncio.sleep(1.0)
                for host in dead:
                    here.network.cut(host)
                started = here.network.loop.time()
                await here.life.stop()
                assert here.network.loop.time() - started < 5.0
                left = sum([len(await store.dialogs()) for store in here.stores.values()])
                assert left == len(dead)  # who did not hear of it is told again after a start
                for host in dead:
                    here.network.mend(host)
                wire = Wire(here.network)
                await here.restart()
                await asyncio.sleep(GOODBYE_SECONDS)
                assert len(byes(wire, OUTER, LOWER)) == (LOWER in dead)
                assert len(byes(wire, INNER, UPPER)) == (UPPER in dead)
                assert here.gateway.orphans == 0

    run(scenario())


def test_a_stop_in_the_middle_of_a_setup_leaves_nothing() -> None:
    async def scenario() -> None:
        async with world() as here:
            channel = await up(here)
            here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=2.0)

            async def watch() -> None:
                async with here.upper.play(channel):
                    pass

            watching = asyncio.create_task(watch())
            await asyncio.sleep(0.5)
            await here.life.stop()
            with pytest.raises(PlayRefused) as refused:
                await watching
            assert refused.value.status in {480, 503}
            assert here.lower_calls.active == here.upper_calls.active == 0

    run(scenario())


# Sudden death


def test_after_a_death_in_mid_play_every_leg_gets_its_bye(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            channel = await up(here)
            async with here.upper.play(channel), here.upper.play(channel), here.upper.play(here.shared()[1]):
                await asyncio.sleep(2.0)
                assert sorted([len(await store.dialogs()) for store in here.stores.values()]) == [2, 3]
                here.life.die()
                await asyncio.sleep(1.0)
                wire = Wire(here.network)
                here.dead.append(here.life)
                await here.restart()
                await asyncio.sleep(GOODBYE_SECONDS)
                assert len(byes(wire, OUTER, LOWER)) == 2
                assert len(byes(wire, INNER, UPPER)) == 3
                for bye in (*byes(wire, OUTER, LOWER), *byes(wire, INNER, UPPER)):
                    assert header(bye, "Reason") == 'SIP;cause=503;text="the gateway was restarted"'
                assert wire.between(LOWER, OUTER, "SIP/2.0 481") == []
                assert wire.between(UPPER, INNER, "SIP/2.0 481") == []
                assert here.lower_calls.active == 0
                assert here.gateway.orphans == 0
                assert [await store.dialogs() for store in here.stores.values()] == [[], []]
            assert here.upper_calls.active == 0
            assert here.trails_whole()

    run(scenario())


def test_after_a_death_all_that_was_known_is_there_again(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await up(here)
            before = await here.upper.catalog()
            wire = Wire(here.network)
            await here.kill()
            outer, inner = here.gateway.outer.side, here.gateway.inner.side
            assert outer.as_upper.bound == 1  # the binding below
            assert here.playable() == here.shared()  # the catalog, and what was shown of it
            await asyncio.sleep(GOODBYE_SECONDS)
            assert all(view.registered for view in inner.as_lower.state())
            assert len(wire.between(INNER, UPPER, "REGISTER")) == 2  # once challenged
            assert wire.between(LOWER, OUTER, "REGISTER") == []
            after = await here.upper.catalog()
            assert after.complete
            assert after.ids() == before.ids()
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 0
            assert here.trails_whole()

    run(scenario())


def test_ports_of_the_earlier_life_rest_before_they_are_used_again() -> None:
    async def scenario() -> None:
        one_port = {"[30000, 30398]": "[30000, 30001]"}
        async with world(written=text(**one_port)) as here:
            channel = await up(here)
            async with here.upper.play(channel):
                await asyncio.sleep(1.0)
                await here.kill()
                await asyncio.sleep(GOODBYE_SECONDS)
                with pytest.raises(PlayRefused) as refused:
                    async with here.upper.play(channel):
                        pass
                assert refused.value.status == 486
                await asyncio.sleep(30.0)
                async with here.upper.play(channel) as playing:
                    await asyncio.sleep(1.0)
                    assert playing.report().frames_decoded > 0

    run(scenario())


@pytest.mark.parametrize("when", [0.004, 0.012, 0.5, 1.5, 2.02])
def test_a_death_in_the_middle_of_a_setup_ends_what_comes_of_it(when: float) -> None:
    """Before the INVITE below is answered, and around the moment of the answer."""

    async def scenario() -> None:
        async with world() as here:
            channel = await up(here)
            here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=2.0)
            wire = Wire(here.network)

            async def watch() -> None:
                async with here.upper.play(channel):
                    pass

            watching = asyncio.create_task(watch())
            await asyncio.sleep(when)
            await here.kill(0.5)
            with suppress(PlayRefused):  # an INVITE that we never answered is repeated, and served
                await watching
            await asyncio.sleep(10.0)
            invited, ended = (
                {header(text, "Call-ID") for text in wire.between(OUTER, LOWER, method)}
                for method in ("INVITE", "BYE")
            )
            assert invited == ended
            assert here.lower_calls.active == 0
            assert here.gateway.orphans == 0
            await asyncio.sleep(70.0)
            assert here.upper_calls.active == 0
            assert [await store.dialogs() for store in here.stores.values()] == [[], []]

    run(scenario())


def test_peers_that_died_too_are_forgotten_after_one_transaction() -> None:
    async def scenario() -> None:
        async with world() as here:
            channel = await up(here)
            async with here.upper.play(channel):
                await asyncio.sleep(1.0)
                here.network.cut(LOWER)
                wire = Wire(here.network)
                await here.kill()
                await asyncio.sleep(40.0)
                sent = byes(wire, OUTER, LOWER)
                assert len(sent) == 11  # timer E, doubling up to 4 s, until timer F
                assert len(set(sent)) == 1
                assert here.gateway.orphans == 0
                assert [await store.dialogs() for store in here.stores.values()] == [[], []]
                here.network.mend(LOWER)

    run(scenario())


@pytest.mark.parametrize("lost", [1, 4])
def test_a_device_that_still_holds_the_session_before_is_asked_once_more(lost: int) -> None:
    """Q62: 486 until our BYE arrives, of which the first are lost; 486 above when it takes too long."""

    async def scenario() -> None:
        async with world() as here:
            channel = await up(here)
            copies = 0

            def drop(payload: bytes, source: tuple[str, int], _to: tuple[str, int]) -> bool:
                nonlocal copies
                copies += source[0] == OUTER and payload.startswith(b"BYE")
                return source[0] == OUTER and payload.startswith(b"BYE") and copies <= lost

            def invited(incoming: Incoming) -> None:
                if here.lower_calls.active > 1:  # this one is counted too
                    incoming.refuse(486)
                else:
                    here.lower.senders.invited(incoming)

            here.lower_calls.on_invite = invited
            async with here.upper.play(channel):
                await asyncio.sleep(1.0)
                here.network.drop = drop
                here.upper.registrar.forget(INNER_ID)
                wire = Wire(here.network)
                await here.kill()
                await here.upper.wait_registered(INNER_ID)
                if lost == 1:
                    async with here.upper.play(channel) as playing:
                        await asyncio.sleep(1.0)
                        assert playing.report().frames_decoded > 0
                    assert len(wire.between(LOWER, OUTER, "SIP/2.0 486")) == 1
                else:
                    with pytest.raises(PlayRefused) as refused:
                        async with here.upper.play(channel):
                            pass
                    assert refused.value.status == 486
                assert len(wire.between(OUTER, LOWER, "INVITE")) == (2 if lost == 1 else 1)

    run(scenario())


def test_after_a_second_death_the_legs_are_still_known() -> None:
    async def scenario() -> None:
        async with world() as here:
            channel = await up(here)
            async with here.upper.play(channel):
                await asyncio.sleep(1.0)
                here.network.cut(LOWER)
                await here.kill()
                await asyncio.sleep(2.0)
                here.network.mend(LOWER)
                wire = Wire(here.network)
                await here.kill()
                await asyncio.sleep(GOODBYE_SECONDS)
                assert len(byes(wire, OUTER, LOWER)) == 1
                assert byes(wire, INNER, UPPER) == []  # that one is over
                assert here.lower_calls.active == 0

    run(scenario())


def test_after_a_death_in_mid_catalog_it_is_asked_anew() -> None:
    async def scenario() -> None:
        async with world(cameras=40) as here:
            wire = Wire(here.network)
            await until(here, lambda: len(wire.between(LOWER, OUTER, "MESSAGE")) > 3, 60.0)
            assert here.playable() == []  # it has begun, and is not over
            await here.kill()
            await here.shown()
            assert here.gateway.outer.side.as_upper.state()[0].outcome == "complete"
            await here.upper.wait_registered(INNER_ID)
            assert (await here.upper.catalog()).complete

    run(scenario())


def test_an_upper_whose_query_died_with_us_asks_again_and_gets_it_all() -> None:
    async def scenario() -> None:
        async with world(cameras=60) as here:
            await up(here)
            begun = asyncio.Event()

            async def ask() -> bool:
                report = await here.upper.catalog(on_page=lambda _items, _announced: begun.set())
                return report.complete

            asking = asyncio.create_task(ask())
            await begun.wait()
            await here.kill()
            assert not await asking
            await here.upper.wait_registered(INNER_ID)
            assert await ask()

    run(scenario())


def test_a_device_that_never_registers_again_comes_back_by_its_keepalive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Q05: one REGISTER in its life, keepalives for ever, our restart in between."""

    async def scenario() -> None:
        async with world(lower_runs=False) as here, Tasks() as background:
            register = here.lower.membership.register

            async def once(expires: int) -> int:
                await register(expires)
                return 1_000_000  # it never looks at what was granted

            monkeypatch.setattr(here.lower.membership, "register", once)
            background.start(here.lower.run())
            await up(here)
            wire = Wire(here.network)
            await asyncio.sleep(4000.0)  # its lease has ended; only keepalives have come since
            assert here.gateway.outer.side.as_upper.bound == 1
            await here.kill()
            assert here.gateway.outer.side.as_upper.bound == 0
            await until(here, lambda: here.gateway.outer.side.as_upper.bound == 1, 61.0)
            assert wire.between(LOWER, OUTER, "REGISTER") == []
            assert wire.between(OUTER, LOWER, "SIP/2.0 403") == []
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 0

    run(scenario())


def test_a_device_that_moved_is_reached_where_it_moved_to() -> None:
    """Q06: a followed move is kept; the next life does not call the dead mapping."""

    async def scenario() -> None:
        written = text(**{f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\nbinding = "same-host"'})
        async with (
            world(written=written, lower_runs=False) as here,
            Tasks() as background,
            AsyncExitStack() as held,
        ):
            background.start(here.lower.run())
            await up(here)
            await asyncio.sleep(56.0)  # it was silent for as long as its old port has to be
            moved = await open_calls(held, here.network, Party(LOWER_ID, LOWER_ID[:10]), (LOWER, 40_000))
            server = Party(OUTER_ID, OUTER_ID[:10])
            body = keepalive.write(sn=1, device_id=LOWER_ID)
            message = moved.endpoint.request(
                "MESSAGE", server, (OUTER, 5060), body=body, content_type="Application/MANSCDP+xml"
            )
            assert (await ask(moved.endpoint, message)).status == 200
            await here.kill()
            (view,) = here.gateway.outer.side.as_upper.state()
            assert (view.online, view.address) == (True, f"{LOWER}:40000")

    run(scenario())


@dataclass(frozen=True)
class Viewing:
    """Comes at `start`, watches camera `camera` for `stay` seconds, or what it gets of them."""

    start: float
    stay: float
    camera: int


SECONDS = st.integers(0, 200).map(lambda tenths: tenths / 20)


@settings(max_examples=EXAMPLES)
@given(
    viewings=st.lists(st.builds(Viewing, SECONDS, SECONDS, st.integers(0, 3)), min_size=1, max_size=5),
    deaths=st.lists(st.tuples(SECONDS, st.sampled_from([0.05, 0.6, 4.0])), min_size=1, max_size=3),
    answer_seconds=st.sampled_from([0.0, 0.0, 0.3, 3.0]),
    cut=st.sampled_from(["", "", LOWER, UPPER]),
    loss=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 1000),
)
def test_whenever_it_dies_nothing_is_left_anywhere(
    viewings: Sequence[Viewing],
    deaths: Sequence[tuple[float, float]],
    answer_seconds: float,
    cut: str,
    loss: float,
    seed: int,
) -> None:
    async def visit(here: World, viewing: Viewing) -> None:
        await asyncio.sleep(viewing.start)
        with suppress(PlayRefused, NotRegistered):
            async with here.upper.play(here.shared()[viewing.camera]):
                await asyncio.sleep(viewing.stay)

    async def die(here: World) -> None:
        for after, dead in deaths:
            await asyncio.sleep(after)
            if cut:
                here.network.cut(cut)
            await here.kill(dead)
            here.network.mend(cut)

    async def scenario() -> None:
        async with world(LINKS["encoded"], seed=seed) as here:
            await up(here)
            for channel in here.shared():
                here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=answer_seconds)
            here.network.loss = loss
            async with asyncio.TaskGroup() as group:
                group.create_task(die(here))
                for viewing in viewings:
                    group.create_task(visit(here, viewing))
            here.network.loss = 0.0
            await asyncio.sleep(150.0)  # two transactions that nobody answers, one after the other
            assert here.gateway.orphans == 0
            assert here.plane.sockets() == 0
            assert here.lower_calls.active == here.upper_calls.active == 0
            assert [await store.dialogs() for store in here.stores.values()] == [[], []]
            assert here.trails_whole()
            assert here.playable() == here.shared()

    run(scenario())


# Peers that die


@pytest.mark.parametrize("dead", [LOWER, UPPER])
def test_a_platform_that_dies_in_mid_play_leaves_no_orphan(link: Link, dead: str) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            channel = await up(here)
            async with here.upper.play(channel):
                await asyncio.sleep(1.0)
                here.network.cut(dead)
                # media is missed for 15 s, or the upper by its keepalives; a BYE is given up after 32 s
                await asyncio.sleep(400.0)
                assert here.gateway.orphans == 0
                assert here.plane.sockets() == 0
                assert [await store.dialogs() for store in here.stores.values()] == [[], []]
                here.network.mend(dead)
            assert here.trails_whole()

    run(scenario())


def test_a_start_says_what_it_found(caplog: pytest.LogCaptureFixture) -> None:
    """Of 110,000 peers a start takes seconds: whoever watches it sees that it goes on."""

    async def scenario() -> tuple[int, int]:
        async with world() as here:
            await here.shown()
            before = here.gateway
            with caplog.at_level(logging.INFO):
                await here.kill()
            return len(before.outer.side.below), len(before.inner.side.shared)

    rows, shown = run(scenario())
    found = {line.__dict__["side"]: line.__dict__ for line in caplog.records if line.msg == "side.restored"}
    assert {side: (line["leases"], line["rows"]) for side, line in found.items()} == {
        "outer": (1, rows),
        "inner": (0, shown),
    }
