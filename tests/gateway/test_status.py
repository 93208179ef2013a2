"""How the gateway stands: what is asked of it, and the page that is made of the answer."""

import asyncio
from io import StringIO
from typing import get_args

import pytest
from msgspec.structs import replace
from rich.console import Console

from certs.trust import Distrust
from gateway.chamber.link.standing import CertificateView, LinkView
from gateway.chamber.link.why import Kind
from gateway.cli.status import page
from gateway.cli.status_link import BEFELL, TALLIED, troubles
from gateway.local.messages import BelowState, SideState, Standing, Status, encode, read_response
from gateway.screen import Screen
from gateway.words import LANGUAGES, Language, Words
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.cable import DELAY_SECONDS
from tests.gateway.relays import TwoHosts, two_hosts
from tests.gateway.traced import desk
from tests.gateway.world import INNER_ID, LOWER_ID, OUTER_ID, UPPER_ID, WALL, Link, World, world


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
            assert (outer.below.peers, outer.below.online, outer.below.rows) == (1, 1, 12)
            assert outer.below.away == inner.below.away == {}
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


def test_the_link_is_told_with_its_certificates_and_its_media(link: Link) -> None:
    """In one process there is none, and the page says so."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            async with here.upper.play(here.shared()[0]):
                await asyncio.sleep(12.0)
                now = standing(here)
            pages = [drawn(now, None, language, rows=60, columns=200) for language in LANGUAGES]
            if link is not two_hosts:
                assert [side.link for side in now.sides] == [None, None]
                assert "one process" in pages[0]
                assert "同一进程" in pages[1]
                return
            for side, other in zip(now.sides, reversed(now.sides), strict=True):
                seen = side.link
                assert seen is not None
                assert (seen.up, seen.dialler, seen.counts["begun"]) == (True, "inner", 1)
                assert seen.since == pytest.approx(WALL, abs=1.0)
                assert seen.own is not None
                assert seen.other is not None
                assert (seen.own.id, seen.other.id) == (side.id, other.id)
                assert seen.other.until > now.now + 300 * 86_400
                assert seen.round_trip == pytest.approx(2 * DELAY_SECONDS, abs=0.002)
            outer, inner = now.sides
            assert inner.leg["opened"] > 0
            assert outer.leg["sealed"] >= inner.leg["opened"]
            for shown in pages:
                for text in (outer.id, inner.id, "2027-", "10.0 ms", f"{inner.leg['opened']}"):
                    assert text in shown
            assert "dialled by inner" in pages[0]
            assert "began anew: 1" in pages[0]
            assert "重新开始：1" in pages[1]

    run(scenario())


def test_a_link_that_is_down_says_since_when_why_and_what_to_do() -> None:
    async def scenario() -> None:
        async with world(two_hosts) as here:
            await here.shown()
            assert isinstance(here.plane, TwoHosts)
            here.plane.cable.cut = True
            here.plane.cable.reset()
            await asyncio.sleep(7.0)
            now = standing(here)
            for side in now.sides:
                assert side.link is not None
                assert (side.link.up, side.link.dialler, side.link.round_trip) == (False, None, None)
                assert now.now - side.link.since == pytest.approx(7.0, abs=0.1)
            shown = drawn(now, None, "en", rows=60, columns=240)
            for text in (
                "link down since",
                "whoever asks gets 503",
                "Check that the gateway runs",
                "down 0:00:0",
            ):
                assert text in shown
            assert "链路中断" in drawn(now, None, "zh", rows=60, columns=240)
            here.plane.cable.cut = False
            await asyncio.sleep(60.0)
            assert all(side.link is not None and side.link.up for side in standing(here).sides)

    run(scenario())


@pytest.mark.parametrize(
    ("days", "text"), [(31.0, ""), (29.5, "in 29 days"), (0.5, "in 0 days"), (-1.0, "has ended on")]
)
def test_a_certificate_is_warned_of_thirty_days_before_it_ends(days: float, text: str) -> None:
    until = WALL + days * 86_400
    seen = LinkView(
        up=True,
        since=WALL,
        dialler="inner",
        own=CertificateView(side="inner", id=INNER_ID, until=WALL + 3e7),
        other=CertificateView(side="outer", id=OUTER_ID, until=until),
    )
    said = [*troubles([side(link=seen)], WALL, Words("en"))]
    assert len(said) == bool(text)
    assert all(text in line and OUTER_ID in line and "lockgate certs issue" in line for line in said)


@pytest.mark.parametrize("kind", TALLIED)
def test_refused_datagrams_of_the_leg_are_something_to_look_at(kind: str) -> None:
    seen = LinkView(up=True, since=WALL, dialler="inner")
    for language in LANGUAGES:
        (line,) = troubles([side(link=seen, leg={kind: 4711, "opened": 9})], WALL, Words(language))
        assert "4711" in line


def side(link: LinkView, leg: dict[str, int] | None = None) -> SideState:
    return SideState(
        side="inner",
        id=INNER_ID,
        address="",
        below=BelowState(),
        uppers=(),
        streams=(),
        turns=(),
        viewings=0,
        calls=0,
        ports=0,
        crossings=0,
        refused={},
        rows_passed=0,
        rows_refused={},
        shut=False,
        sip={},
        link=link,
        leg=leg or {},
    )


def test_whatever_an_end_of_the_link_counts_has_its_words() -> None:
    kinds = {*get_args(Kind)} - {"theirs", "ours"}
    distrust = {f"{whose}-{kind}" for whose in ("theirs", "ours") for kind in get_args(Distrust)}
    assert BEFELL.keys() == kinds | distrust | {"begun", "resumed", "lost_frames", "clock-jumps"}
