"""How the gateway stands: what is asked of it, and the page that is made of the answer."""

import asyncio
from io import StringIO

import pytest
from msgspec.structs import replace
from rich.console import Console

from gateway.cli.status import page
from gateway.local.messages import Standing, Status, encode, read_response
from gateway.screen import Screen
from gateway.words import LANGUAGES, Language, Words
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.traced import desk
from tests.gateway.world import LOWER_ID, UPPER_ID, Link, World, world


def standing(here: World) -> Standing:
    answer = read_response(encode(desk(here).status(Status())))
    assert isinstance(answer, Standing)
    return answer


def drawn(
    shown: Standing, before: Standing | None, language: Language, rows: int = 40, columns: int = 132
) -> str:
    words = Words(language)
    console = Console(width=columns, height=rows, file=StringIO(), force_terminal=False, _environ={})
    with console.capture() as capture:
        console.print(Screen(page(shown, before, words)))
    return capture.get()


def test_sides_peers_and_streams_are_told(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            channel = here.shared()[0]
            with pytest.raises(PlayRefused):
                async with here.upper.play("44010600001320009999"):
                    pass
            await here.upper.control(channel, "A50F01021F0000D6")
            async with here.upper.play(channel):
                await asyncio.sleep(2.0)
                first = standing(here)
                await asyncio.sleep(2.0)
                second = standing(here)
            outer, inner = second.sides
            assert [(lower.peer, lower.online, lower.rows) for lower in outer.lowers] == [
                (LOWER_ID, True, 12)
            ]
            assert [(upper.peer, upper.registered) for upper in inner.uppers] == [(UPPER_ID, True)]
            (stream,) = outer.streams
            assert (stream.channel, stream.viewers) == (f"{LOWER_ID}/{channel}", 1)
            assert stream.packets > first.sides[0].streams[0].packets > 0
            assert inner.refused == {"no-ptz": 1}
            assert (outer.shut, inner.shut) == (False, False)
            for language in LANGUAGES:
                shown = drawn(second, first, language)
                for text in (stream.name, "no-ptz", outer.address, inner.address, "1/1"):
                    assert text in shown
            rate = float(page(second, first, Words("en")).listing.rows[0][2])
            assert rate == pytest.approx(8 * (stream.bytes - first.sides[0].streams[0].bytes) / 2e6, abs=0.01)

    run(scenario())


def test_a_peer_that_is_away_is_named(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, lower_runs=False) as here:
            await asyncio.sleep(1.0)
            shown = drawn(standing(here), None, "en")
            assert f"{LOWER_ID} is not online" in shown

    run(scenario())


def test_one_host_of_two_shows_its_half(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            both = standing(here)
            half = replace(both, sides=both.sides[:1])
            shown = drawn(half, None, "en")
            assert "runs elsewhere" in shown
            assert both.sides[0].address in shown
            for rows in range(1, 30):
                assert len(drawn(half, None, "zh", rows, 60).splitlines()) <= rows

    run(scenario())
