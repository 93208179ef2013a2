"""Messages that are wrong as such: too long, wrongly counted, cut, with a DTD. Nothing of it costs more."""

import asyncio
import logging

import pytest

from cascade.manscdp import keepalive
from cascade.model.ids import PeerName
from tests.clock import run
from tests.gateway.bodies import CAMERAS, item, page
from tests.gateway.by_hand import HandLower, below
from tests.gateway.world import LOWER_ID, Link, World

ALIVE = keepalive.write(sn=7, device_id=PeerName(LOWER_ID))
FIVE_MINUTES = 300.0


def counters(here: World) -> dict[str, int]:
    return here.gateway.outer.side.endpoint.stack.counters()


def shown(here: World) -> list[str]:
    """Ids that the other side has."""
    return sorted(here.gateway.inner.side.shared.rows(LOWER_ID).ids())


async def is_well(here: World, lower: HandLower) -> None:
    """The peer is online and a keepalive of it is answered: what went wrong cost nothing else."""
    assert (await lower.say(ALIVE)).start == "SIP/2.0 200 OK"
    assert here.gateway.outer.side.as_upper.state()[0].online
    assert shown(here) == list(CAMERAS)


@pytest.mark.parametrize(
    ("length", "status"), [(len(ALIVE) + 1, "400"), (2_000_000_000, "400"), (10, "400"), (0, "200")]
)
def test_a_content_length_that_is_wrong_costs_that_message(link: Link, length: int, status: str) -> None:
    """More than there is: malformed. Less: that is the body, which has no head. None: all of it (Q105)."""

    async def scenario() -> None:
        async with below(link) as (here, lower):
            before = counters(here)["malformed"]
            answer = await lower.ask(lower.message(ALIVE, length=length))
            assert answer.start.split()[1] == status
            assert counters(here)["malformed"] - before == (length > len(ALIVE))
            await is_well(here, lower)

    run(scenario())


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "٣", "99999999999999999999"])
def test_a_content_length_that_is_no_number_is_malformed(link: Link, length: str) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            written = lower.message(ALIVE, length=4711).replace(b": 4711\r\n", f": {length}\r\n".encode())
            answer = await lower.ask(written)
            assert answer.start.startswith("SIP/2.0 400 ")
            await is_well(here, lower)

    run(scenario())


@pytest.mark.parametrize(
    "headers",
    [
        [f"X-Filler-{number}: {number}" for number in range(120)],
        ["X-Filler: " + "x" * 5000],
        [f"X-Filler-{number}: " + "x" * 3000 for number in range(8)],
    ],
)
def test_a_head_that_is_too_large_is_malformed(link: Link, headers: list[str]) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            before = counters(here)["malformed"]
            lower.send(lower.message(ALIVE, headers=headers))
            await asyncio.sleep(2.0)
            assert counters(here)["malformed"] == before + 1
            await is_well(here, lower)

    run(scenario())


def test_the_largest_datagram_is_read_and_a_flood_of_them_loses_nobody(link: Link) -> None:
    """A page as large as UDP can carry is a page; one whose items nobody knows is none."""

    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.register()
            sn = await lower.asked()
            filler = "x" * 4000
            wide = [item(name, f"<Status>ON</Status><Address>{filler}</Address>") for name in CAMERAS]
            many = [item(f"4401060000132001{number:04d}") for number in range(540)]
            body = page(sn, 543, *wide, *many)
            assert 60_000 < len(body) < 65_000
            assert (await lower.say(body)).start == "SIP/2.0 200 OK"
            await here.shown(543)
            assert len(shown(here)) == 543
            for _ in range(100):
                lower.send(lower.message(b"\x00" * 65_000))
            await asyncio.sleep(1.0)
            assert (await lower.say(ALIVE)).start == "SIP/2.0 200 OK"
            assert here.gateway.outer.side.router.headless == 100

    run(scenario())


DTDS = [
    b'<!DOCTYPE Response [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    b'<!DOCTYPE Response SYSTEM "http://203.0.113.31/x.dtd">',
    b'<!DOCTYPE Response [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
]


@pytest.mark.parametrize("dtd", DTDS)
def test_a_body_with_a_dtd_has_no_head(link: Link, dtd: bytes) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            body = ALIVE.replace(b"?>", b"?>" + dtd, 1)
            assert (await lower.say(body)).start.startswith("SIP/2.0 400 ")
            assert here.gateway.outer.side.router.headless == 1
            await is_well(here, lower)

    run(scenario())


def test_a_dtd_after_the_head_costs_the_page_and_deletes_nothing(link: Link) -> None:
    """It is read after the 200: a counter, no status. The query ends quiet, is repeated once, and waits."""

    async def scenario() -> None:
        async with below(link, written=None) as (here, lower):
            await asyncio.sleep(3590.0)
            sn = await lower.asked()
            body = page(sn, 1, item(CAMERAS[0])).replace(
                b"<SumNum>", b'<!DOCTYPE a [<!ENTITY x "y">]><SumNum>'
            )
            assert (await lower.say(body)).start == "SIP/2.0 200 OK"
            as_upper = here.gateway.outer.side.as_upper
            assert as_upper.counters()["responses_unreadable"] == 1
            await asyncio.sleep(FIVE_MINUTES)
            assert as_upper.counters()["catalog_unanswered"] == 2
            await is_well(here, lower)

    run(scenario())


def test_a_page_cut_within_a_gbk_character_keeps_its_whole_items(link: Link) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.register()
            sn = await lower.asked()
            body = page(sn, 3, *(item(name, called="东门") for name in CAMERAS))
            cut = body[: body.rindex("门".encode("gb18030")) + 1]
            assert (await lower.say(cut)).start == "SIP/2.0 200 OK"
            await here.shown(2)
            state = here.gateway.outer.side.as_upper.state()[0]
            assert state.outcome == "quiet"
            row = here.gateway.inner.side.shared.find(LOWER_ID, CAMERAS[0])
            assert row is not None
            assert row["name"] == "东门"
            again = await lower.asked()  # asked once more, and this time it is whole
            await lower.say(page(again, 3, *(item(name, called="东门") for name in CAMERAS)))
            await here.shown(3)
            assert here.gateway.outer.side.as_upper.state()[0].outcome == "complete"

    run(scenario())


def test_a_name_cut_within_a_character_costs_that_character(link: Link) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.register()
            sn = await lower.asked()
            body = page(sn, 3, item(CAMERAS[0], called="东门"), item(CAMERAS[1]), item(CAMERAS[2]))
            half = "门".encode("gb18030")[:1]
            assert (await lower.say(body.replace("门".encode("gb18030"), half))).start == "SIP/2.0 200 OK"
            await here.shown(3)
            row = here.gateway.inner.side.shared.find(LOWER_ID, CAMERAS[0])
            assert row is not None
            assert row["name"].startswith("东")

    run(scenario())


def test_a_thousand_broken_messages_make_a_handful_of_lines(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            caplog.clear()
            for number in range(1000):
                lower.send(lower.message(ALIVE, length=60_000 + number))
                lower.send(lower.message(b"<Notify><nothing/></Notify>"))
                lower.send(lower.message(page("4711", 1, "<Item>")))
                await asyncio.sleep(0.01)
            await is_well(here, lower)

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert len(caplog.records) <= 10 * 11 + 2  # at most ten a second of each kind, for ten seconds


def test_broken_pages_of_a_query_in_flight_make_one_line_now_and_then(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.register()
            sn = await lower.asked()
            for _ in range(300):
                lower.send(lower.message(page(sn, 3).replace(b"<SumNum>", b"<!DOCTYPE a><SumNum>")))
            await asyncio.sleep(5.0)
            assert here.gateway.outer.side.as_upper.counters()["responses_unreadable"] == 300
            await lower.page(sn, 3, *map(item, CAMERAS))
            await here.shown(3)

    with caplog.at_level(logging.WARNING):
        run(scenario())
    lines = [record for record in caplog.records if record.getMessage() == "response.unreadable"]
    assert len(lines) == 1
    assert lines[0].__dict__["peer"] == LOWER_ID
