"""A 302 to REGISTER with several Contacts (2022 edition, 9.1): a lower is led away, and an upper leads us."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest

from cascade.model.ids import PlatformId
from interop.sim.alarms import AlarmSpec
from interop.sim.camera import FakeScreen
from interop.sim.lower import LowerPlatform
from interop.sim.membership import Server, Terms
from interop.sim.tasks import Tasks
from interop.sim.upper import UpperPlatform
from sip.endpoint import Party
from tests.clock import run
from tests.gateway.test_alarms import RULE
from tests.gateway.test_transports import sip_of
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LOWER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    PASSWORD,
    UPPER,
    UPPER_ID,
    WALL,
    By,
    Wire,
    World,
    open_calls,
    text,
    world,
)

BELOW: Final = f'[[outer.lower]]\nid = "{LOWER_ID}"\n'
ABOVE: Final = f'[[inner.upper]]\nid = "{UPPER_ID}"\n'
PLACES: Final = ("44010000002000000008@203.0.113.22:5060", "44010000002000000009@203.0.113.23:5061")
LEADING: Final = text().replace(BELOW, BELOW + f'redirect = ["{PLACES[0]}", "{PLACES[1]}"]\n')
OTHER: Final = "198.51.100.11"
OTHER_ID: Final = "44000000002000000002"
THIRD: Final = "198.51.100.12"
FOLLOWING: Final = text().replace(
    ABOVE, ABOVE + f'redirects = ["{OTHER}", "{THIRD}"]\naliases = ["{OTHER_ID}"]\nretry_jitter = 0\n'
)


# We lead


@asynccontextmanager
async def below(here: World, version: str) -> AsyncIterator[LowerPlatform]:
    """The lower platform, which says that it knows an edition."""
    async with AsyncExitStack() as held:
        calls = await open_calls(held, here.network, Party(LOWER_ID, LOWER_ID[:10]), (LOWER, 5062))
        lower = LowerPlatform(
            endpoint=calls.endpoint,
            calls=calls,
            net=here.network,
            server=Server(OUTER_ID, OUTER_ID[:10], (OUTER, 5060)),
            password=PASSWORD,
            media_host=LOWER,
            cameras=here.tree.cameras,
            branches=here.tree.branches,
            terms=Terms(version=version),
            wall=lambda: WALL + here.network.loop.time(),
        )
        background = await held.enter_async_context(Tasks())
        background.start(lower.run())
        yield lower


def test_who_knows_the_edition_is_led_away_and_taken_when_it_comes_back() -> None:
    async def scenario() -> None:
        async with world(written=LEADING, lower_runs=False) as here:
            wire = Wire(here.network)
            async with below(here, "3.0") as lower:
                await asyncio.sleep(10.0)
                assert lower.membership.led == [f"<sip:{PLACES[0]}>;q=1.00", f"<sip:{PLACES[1]}>;q=0.50"]
                assert not here.gateway.outer.side.as_upper.online(PlatformId(LOWER_ID))
                (answer,) = wire.between(OUTER, LOWER, "SIP/2.0 302")
                assert "\r\nExpires: 3600\r\n" in answer
                assert "\r\nX-GB-Ver: 3.0\r\n" in answer
                (challenge,) = wire.between(OUTER, LOWER, "SIP/2.0 401")
                assert "203.0.113.22" not in challenge, "who has proved nothing hears nothing"
                await asyncio.sleep(60.0)
                assert here.gateway.outer.side.as_upper.online(PlatformId(LOWER_ID)), "nobody there took it"
                await here.shown()
                await asyncio.sleep(3600.0)
                assert len(wire.between(OUTER, LOWER, "SIP/2.0 302")) == 2, "at the next one it is led again"
            assert here.gateway.outer.side.as_upper.counters()["registrar_redirected"] == 2

    run(scenario())


@pytest.mark.parametrize(
    ("version", "any_", "led"), [("2.0", False, False), ("", False, False), ("", True, True)]
)
def test_other_editions_are_led_away_only_where_it_is_asked_for(version: str, any_: bool, led: bool) -> None:
    async def scenario() -> None:
        written = LEADING.replace("redirect = ", f"redirect_any = {str(any_).lower()}\nredirect = ")
        async with world(written=written, lower_runs=False) as here, below(here, version) as lower:
            await asyncio.sleep(10.0)
            assert bool(lower.membership.led) is led
            assert lower.registered.is_set() is not led
            assert await lower.membership.register(0) == 0, "a removal is no reason to lead anybody"

    run(scenario())


# We are led


@asynccontextmanager
async def servers(here: World) -> AsyncIterator[tuple[UpperPlatform, UpperPlatform]]:
    """Two more, where the upper platform may lead us; both under the one other id that is configured."""
    async with AsyncExitStack() as held:
        more = []
        for host in (OTHER, THIRD):
            calls = await open_calls(held, here.network, Party(OTHER_ID, OTHER_ID[:10]), (host, 5060))
            more.append(
                UpperPlatform(
                    endpoint=calls.endpoint,
                    calls=calls,
                    net=here.network,
                    media_host=host,
                    passwords={INNER_ID: PASSWORD},
                    open_screen=FakeScreen,
                    wall=lambda: WALL + here.network.loop.time(),
                )
            )
        yield more[0], more[1]


def contact(user: str, host: str, q: str = "") -> str:
    return f"<sip:{user}@{host}:5060>" + (f";q={q}" if q else "")


def registers(wire: Wire, host: str) -> int:
    return len(wire.between(INNER, host, "REGISTER"))


def test_everything_is_for_the_place_that_it_leads_to_until_that_is_lost() -> None:
    async def scenario() -> None:
        written = FOLLOWING.replace("[[rule]]", RULE + "[[rule]]", 1)
        async with world(written=written) as here, servers(here) as (other, third):
            here.upper.registrar.redirect = [contact(OTHER_ID, THIRD, "0.2"), contact(OTHER_ID, OTHER, "0.9")]
            here.upper.registrar.forget(INNER_ID)
            wire = Wire(here.network)
            await here.shown()
            await other.wait_registered(INNER_ID)
            assert third.registered() == ()
            assert len((await other.catalog()).channels()) == 4
            async with other.play(here.shared()[0]) as playing:
                await asyncio.sleep(3.0)
                assert playing.packets > 0
            assert await here.lower.bell.ring(AlarmSpec(device=here.shared()[0])) == 200
            await asyncio.sleep(3.0)
            assert (len(other.alarms.taken), len(here.upper.alarms.taken)) == (1, 0)
            watch = await other.subscriptions.subscribe()
            await watch.until(1)
            before = registers(wire, UPPER)
            here.network.cut(OTHER)
            here.upper.registrar.redirect = ()
            await here.upper.wait_registered(INNER_ID)
            assert registers(wire, UPPER) > before
            assert len((await here.upper.catalog()).channels()) == 4
            notes = [each for each in here.audit("inner") if each.get("event") == "redirected"]
            assert [each["details"]["to"] for each in notes] == [f"{OTHER_ID}@{OTHER}:5060", "home"]

    run(scenario())


def test_where_the_first_does_not_take_us_the_next_is_tried_and_at_last_home() -> None:
    async def scenario() -> None:
        async with world(written=FOLLOWING) as here, servers(here) as (other, third):
            here.upper.registrar.redirect = [contact(OTHER_ID, OTHER, "0.9"), contact(OTHER_ID, THIRD, "0.2")]
            here.upper.registrar.forget(INNER_ID)
            here.network.cut(OTHER)
            await third.wait_registered(INNER_ID)
            here.network.cut(THIRD)
            here.upper.registrar.redirect = ()
            await here.upper.wait_registered(INNER_ID)
            assert other.registered() == ()

    run(scenario())


@pytest.mark.parametrize(
    "places",
    [
        [],
        [contact(OTHER_ID, "198.51.100.99")],
        [contact(OTHER_ID, "203.0.113.30")],
        [contact("44000000002000000077", OTHER)],
        [f"<sips:{OTHER_ID}@{OTHER}:5061>", "*", "<", f"<sip:{OTHER}>", "x" * 300],
        [contact(UPPER_ID, UPPER)],
    ],
)
def test_nobody_leads_us_where_the_configuration_does_not_allow(places: list[str]) -> None:
    async def scenario() -> None:
        async with world(written=FOLLOWING) as here, servers(here) as (other, third):
            here.upper.registrar.redirect = places or ["<sip:nowhere.example>"]
            here.upper.registrar.forget(INNER_ID)
            wire = Wire(here.network)
            await asyncio.sleep(600.0)
            assert {to for _, source, to, _ in wire.sent if source == INNER} <= {UPPER}
            assert (other.registered(), third.registered()) == ((), ())
            (view,) = here.gateway.inner.side.as_lower.state()
            assert view.problem == "REGISTER answered 302, which leads nowhere that may be tried"
            assert registers(wire, UPPER) <= 20
            here.upper.registrar.redirect = ()
            await here.upper.wait_registered(INNER_ID)

    run(scenario())


def events(here: World) -> list[str]:
    """Where it led us, by the audit trail."""
    notes = [each for each in here.audit("inner") if each.get("event") == "redirected"]
    return [each["details"]["to"] for each in notes]


def test_what_it_said_counts_for_as_long_as_it_said_and_then_it_is_asked_again() -> None:
    async def scenario() -> None:
        async with world(written=FOLLOWING) as here, servers(here) as (other, third):
            here.upper.registrar.redirect_seconds = 900
            here.upper.registrar.redirect = [contact(OTHER_ID, OTHER)]
            here.upper.registrar.forget(INNER_ID)
            wire = Wire(here.network)
            await here.shown()
            await other.wait_registered(INNER_ID)
            home = registers(wire, UPPER)
            assert "\r\nX-GB-Ver: 3.0\r\n" in wire.between(INNER, UPPER, "REGISTER")[-1]
            async with other.play(here.shared()[0]) as playing:
                await asyncio.sleep(880.0)
                assert registers(wire, UPPER) == home
                await asyncio.sleep(60.0)
                assert registers(wire, UPPER) == home + 2, "asked, and it leads to the same place"
                before = playing.packets
                await asyncio.sleep(2.0)
                assert playing.packets > before, "nothing was lost"
            assert events(here) == [f"{OTHER_ID}@{OTHER}:5060"]
            here.upper.registrar.redirect = [contact(OTHER_ID, THIRD)]
            await third.wait_registered(INNER_ID)
            assert other.registered() == (), "it was told that we left"
            here.upper.registrar.redirect = ()
            await here.upper.wait_registered(INNER_ID)
            await asyncio.sleep(1.0)
            assert third.registered() == ()
            assert events(here) == [f"{OTHER_ID}@{OTHER}:5060", f"{OTHER_ID}@{THIRD}:5060", "home"]

    run(scenario())


def test_who_cannot_be_asked_any_more_leaves_us_where_we_are() -> None:
    async def scenario() -> None:
        async with world(written=FOLLOWING) as here, servers(here) as (other, _third):
            here.upper.registrar.redirect_seconds = 300
            here.upper.registrar.redirect = [contact(OTHER_ID, OTHER)]
            here.upper.registrar.forget(INNER_ID)
            await other.wait_registered(INNER_ID)
            here.network.cut(UPPER)
            await asyncio.sleep(4000.0)
            assert len(other.registered()) == 1
            assert events(here) == [f"{OTHER_ID}@{OTHER}:5060"]

    run(scenario())


def test_a_contact_says_by_what_it_is_spoken_to_and_for_how_long_itself() -> None:
    async def scenario() -> None:
        async with world(written=FOLLOWING) as here, AsyncExitStack() as held:
            by = By("tcp", (INNER, 5060), 5060)
            calls = await open_calls(held, here.network, Party(OTHER_ID, OTHER_ID[:10]), (OTHER, 5060), by=by)
            other = UpperPlatform(
                endpoint=calls.endpoint,
                calls=calls,
                net=here.network,
                media_host=OTHER,
                passwords={INNER_ID: PASSWORD},
                open_screen=FakeScreen,
                wall=lambda: WALL + here.network.loop.time(),
            )
            datagrams = sip_of(here)
            here.upper.registrar.redirect = [
                f"<sip:{OTHER_ID}@{OTHER}:5060;transport=tls>",
                f"<sip:{OTHER_ID}@{THIRD}:5060>;expires=0",
                f"<sip:{OTHER_ID}@{OTHER}:5060;transport=tcp>;expires=86400",
            ]
            here.upper.registrar.forget(INNER_ID)
            await other.wait_registered(INNER_ID)
            here.network.cut(UPPER)
            del datagrams[:]
            await here.shown()
            assert len((await other.catalog()).channels()) == 4
            await asyncio.sleep(3600.0)
            assert len(other.registered()) == 1
            assert [each for each in datagrams if OTHER.encode() in each] == []
            here.network.mend(UPPER)
            here.upper.registrar.redirect = ()
            here.network.wires.cut.add(OTHER)
            await here.upper.wait_registered(INNER_ID)
            here.network.wires.cut.discard(OTHER)

    run(scenario())


def test_a_circle_is_gone_round_once_in_an_attempt() -> None:
    async def scenario() -> None:
        async with world(written=FOLLOWING) as here, servers(here) as (other, third):
            here.upper.registrar.redirect = [contact(OTHER_ID, OTHER)]
            other.registrar.redirect = [contact(OTHER_ID, THIRD)]
            third.registrar.redirect = [contact(UPPER_ID, UPPER), contact(OTHER_ID, OTHER)]
            here.upper.registrar.forget(INNER_ID)
            wire = Wire(here.network)
            await asyncio.sleep(59.0)
            assert (registers(wire, OTHER), registers(wire, THIRD)) == (2, 2), "a challenge, an answer"
            assert registers(wire, UPPER) <= 4
            await asyncio.sleep(3000.0)
            assert registers(wire, OTHER) <= 2 * 10
            third.registrar.redirect = ()
            await third.wait_registered(INNER_ID)

    run(scenario())
