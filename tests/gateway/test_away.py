"""A lower whose connection is away: what is asked of it waits for it, or goes where it may be dialled."""

import asyncio
from pathlib import Path

import pytest

from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.test_ipv6 import problems
from tests.gateway.test_transports import LISTENING, TCP_ABOVE, TCP_BELOW, Site, sip_of
from tests.gateway.world import INNER_ID, LOWER, LOWER_ID, OUTER, Link, World, text, world

WRITTEN = text(**LISTENING)
DIALLED = WRITTEN.replace(f'id = "{LOWER_ID}"', f'id = "{LOWER_ID}"\ndial = "{LOWER}:5060"')


def outer(here: World) -> dict[str, int]:
    return here.gateway.outer.side.endpoint.stack.counters()


async def ready(here: World) -> None:
    await here.shown()
    await here.upper.wait_registered(INNER_ID)


async def sees(here: World) -> int:
    """Pictures of a camera in two seconds."""
    async with here.upper.play(here.shared()[0]) as playing:
        await asyncio.sleep(2.0)
        return playing.report().frames_decoded


def test_what_is_asked_while_its_connection_is_away_leaves_once_it_is_back(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=WRITTEN, below=TCP_BELOW, above=TCP_ABOVE) as here:
            await ready(here)
            datagrams = sip_of(here)
            here.network.wires.reset(LOWER)
            watching = asyncio.create_task(sees(here))
            await asyncio.sleep(3.0)
            assert outer(here)["awaited"] == 1
            assert await here.lower.membership.register(3600) > 0
            assert await watching > 20
            assert (outer(here)["undelivered"], datagrams) == (0, [])
            await asyncio.sleep(15.0)
            assert here.gateway.orphans == 0

    run(scenario())


def test_who_does_not_come_back_is_given_up_after_eight_seconds_and_it_is_said_why(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=WRITTEN, below=TCP_BELOW, above=TCP_ABOVE) as here:
            await ready(here)
            here.network.wires.reset(LOWER)
            began = here.network.loop.time()
            with pytest.raises(PlayRefused, match="480"):
                await sees(here)
            assert 8.0 <= here.network.loop.time() - began < 8.5
            assert outer(here)["undelivered"] == 1
            assert here.gateway.orphans == 0

    run(scenario())


def test_a_call_goes_on_by_the_connection_that_it_made_since() -> None:
    async def scenario() -> None:
        async with world(written=WRITTEN, below=TCP_BELOW, above=TCP_ABOVE) as here:
            await ready(here)
            said: list[bytes] = []
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(2.0)
                here.network.wires.reset(LOWER)
                assert await here.lower.membership.register(3600) > 0
                here.network.wires.taps.append(
                    lambda data, source, _to: said.append(data) if source[0] == OUTER else None
                )
                before = playing.report().frames_decoded
                await asyncio.sleep(5.0)
                assert playing.report().frames_decoded > before + 50
            await asyncio.sleep(15.0)
            assert [data.split()[0] for data in said if data.startswith(b"BYE")] == [b"BYE"]
            assert (outer(here)["undelivered"], here.gateway.orphans) == (0, 0)

    run(scenario())


def test_who_may_be_dialled_is_asked_by_a_connection_of_ours_at_once(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=DIALLED, below=TCP_BELOW, above=TCP_ABOVE) as here:
            await ready(here)
            datagrams = sip_of(here)
            here.network.wires.reset(LOWER)
            began = here.network.loop.time()
            assert await sees(here) > 20
            assert here.network.loop.time() - began < 3.0
            assert (outer(here)["awaited"], outer(here)["undelivered"], datagrams) == (0, 0, [])
            await asyncio.sleep(200.0)
            assert here.gateway.outer.side.as_upper.state()[0].online
            assert await sees(here) > 20

    run(scenario())


@pytest.mark.parametrize(
    ("named", "seen"), [(LOWER_ID, True), ("44010600002000000099", False)], ids=["its own", "another"]
)
def test_by_tls_it_is_dialled_and_must_show_the_certificate_of_that_peer(
    tmp_path: Path, named: str, seen: bool
) -> None:
    async def scenario() -> None:
        site = Site(tmp_path)
        written = site.written.replace("certificate = true", f'certificate = true\ndial = "{LOWER}:5061"')
        async with world(written=written, below=site.below, above=site.above) as here:
            await ready(here)
            here.network.wires.reset(LOWER)
            streams = here.lower_calls.endpoint.stack.streams  # type: ignore[attr-defined]
            streams.tls = site.tls(site.us.issue(named, "203.0.113.77"))
            if seen:
                assert await sees(here) > 20
                return
            with pytest.raises(PlayRefused):
                await sees(here)
            assert outer(here)["undelivered"] == 1

    run(scenario())


def test_after_a_restart_who_may_be_dialled_is_asked_at_once() -> None:
    async def scenario() -> None:
        async with world(written=DIALLED, below=TCP_BELOW, above=TCP_ABOVE) as here:
            await ready(here)
            await here.kill()
            await asyncio.sleep(0.5)
            assert await sees(here) > 20
            assert outer(here)["undelivered"] == 0

    run(scenario())


@pytest.mark.parametrize(
    ("dial", "problem"),
    [
        (f"{LOWER}:5060", []),
        ("[2001:db8::1]:5060", ["config.dial_outside"]),
        ("192.0.2.1:5060", ["config.dial_outside"]),
        (LOWER, ["config.dial"]),
        ("camera.example:5060", ["config.dial"]),
        (f"{LOWER}:0", ["config.dial"]),
        (f"a@{LOWER}:5060;transport=tcp", ["config.dial"]),
    ],
)
def test_where_it_is_dialled_is_an_address_of_its_networks(dial: str, problem: list[str]) -> None:
    assert problems(DIALLED.replace(f"{LOWER}:5060", dial)) == problem
