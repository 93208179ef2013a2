"""Catalogs as they really come: wrong sums, odd orders, twice, late, never, and full of odd items."""

import asyncio

import pytest

from tests.clock import run
from tests.gateway.bodies import CAMERAS, item, page
from tests.gateway.by_hand import below
from tests.gateway.world import LOWER_ID, Link, World, text

ALARM = "44010600001340000001"


def shown(here: World) -> list[str]:
    """Ids that the other side has."""
    return sorted(here.gateway.inner.side.shared.rows(LOWER_ID).ids())


def row(here: World, name: str) -> dict[str, str]:
    found = here.gateway.inner.side.shared.find(LOWER_ID, name)
    assert found is not None
    return dict(found)


def outcome(here: World) -> str:
    return here.gateway.outer.side.as_upper.state()[0].outcome


def counted(here: World, name: str) -> int:
    return here.gateway.outer.side.as_upper.counters()[name]


async def upward(here: World) -> dict[str, dict[str, str]]:
    """What the upper platform is shown, by id; each item as it was written."""
    report = await here.upper.catalog()
    assert report.complete
    return {str(entry["DeviceID"]): dict(entry) for entry in report.items}


# Q16-Q19: pages and sums


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (2, 1, 0)])
def test_q16_one_item_a_page_in_any_order(link: Link, order: tuple[int, ...]) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.register()
            sn = await lower.asked()
            for number in order:
                lower.send(lower.message(page(sn, 3, item(CAMERAS[number]))))
            await here.shown(3)
            assert outcome(here) == "complete"

    run(scenario())


def test_q16_pages_that_come_twice_count_once(link: Link) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.register()
            sn = await lower.asked()
            for name in (CAMERAS[0], CAMERAS[0], CAMERAS[1], CAMERAS[1], CAMERAS[0]):
                await lower.page(sn, 3, item(name))
            assert here.gateway.outer.side.as_upper.state()[0].syncing == (2, 3)
            await lower.page(sn, 3, item(CAMERAS[2]))
            await here.shown(3)
            await lower.page(sn, 3, item(CAMERAS[2], "<Status>OFF</Status>"))  # the query is over
            assert counted(here, "catalog_pages_unknown") == 1
            assert row(here, CAMERAS[2])["status"] == "ON"

    run(scenario())


def test_q17_nothing_must_be_said_twice_before_rows_are_believed_gone(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            sn = await lower.asked(seconds=4000.0)
            assert (await lower.page(sn, 0)).start == "SIP/2.0 200 OK"
            await asyncio.sleep(1.0)
            assert shown(here) == list(CAMERAS)
            sn = await lower.asked()
            await lower.page(sn, 0)
            await here.shown(0)

    run(scenario())


def test_q18_a_first_page_after_110_seconds_is_in_time(link: Link) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.register()
            sn = await lower.asked()
            await asyncio.sleep(110.0)
            assert lower.count("MESSAGE") == 1  # one query in flight, whatever it takes
            await lower.page(sn, 3, item(CAMERAS[0]))
            await asyncio.sleep(14.0)
            await lower.page(sn, 3, item(CAMERAS[1]), item(CAMERAS[2]))
            await here.shown(3)
            assert outcome(here) == "complete"

    run(scenario())


@pytest.mark.parametrize("said", [5, 9])
def test_q19_a_sum_that_is_too_large_is_partial_and_asked_once_more(link: Link, said: int) -> None:
    """Nothing is deleted, and after one more try it waits for the next interval."""

    async def scenario() -> None:
        async with below(link) as (here, lower):
            sn = await lower.asked(seconds=4000.0)
            await lower.page(sn, said, item(CAMERAS[0], called="New name"), item("", called="no id"))
            await asyncio.sleep(16.0)
            assert outcome(here) == "quiet"
            assert shown(here) == list(CAMERAS)
            assert row(here, CAMERAS[0])["name"] == "New name"
            again = await lower.asked()
            assert again != sn
            await lower.page(again, said, item(CAMERAS[0]))
            await asyncio.sleep(1000.0)
            assert counted(here, "catalog_quiet") == 2
            assert lower.count("MESSAGE") == 3  # the first query, this one, and its one repetition
            assert shown(here) == list(CAMERAS)

    run(scenario())


@pytest.mark.parametrize("said", ["1", " 3 ", "-3", "x", "", "99999999999999999999"])
def test_q19_a_sum_that_says_less_or_nothing_loses_no_item_of_its_page(link: Link, said: str) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.register()
            sn = await lower.asked()
            await lower.page(sn, said, *map(item, CAMERAS), num=" x ")
            await asyncio.sleep(16.0)
            assert shown(here) == list(CAMERAS)

    run(scenario())


def test_more_items_than_its_quota_end_it(link: Link) -> None:
    async def scenario() -> None:
        written = text(**{f'id = "{LOWER_ID}"': f'id = "{LOWER_ID}"\nmax_items = 5'})
        async with below(link, show=(), written=written) as (here, lower):
            await lower.register()
            sn = await lower.asked()
            await lower.page(sn, 100, *(item(f"4401060000132001{number:04d}") for number in range(6)))
            assert outcome(here) == "too-many"

    run(scenario())


# A peer that answers late, twice, or never


def test_a_catalog_that_never_comes_is_asked_for_once_more_and_costs_nothing(link: Link) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            await lower.register()
            first = await lower.asked()
            second = await lower.asked(seconds=140.0)
            await asyncio.sleep(1000.0)
            assert lower.count("MESSAGE") == 2
            assert counted(here, "catalog_unanswered") == 2
            await lower.page(first, 3, *map(item, CAMERAS))  # much too late, both of them
            await lower.page(second, 3, *map(item, CAMERAS))
            await asyncio.sleep(1.0)
            assert shown(here) == []
            assert counted(here, "catalog_pages_unknown") == 2

    run(scenario())


def test_a_query_that_nobody_takes_is_asked_once_more(link: Link) -> None:
    async def scenario() -> None:
        async with below(link, show=()) as (here, lower):
            lower.answered.discard("MESSAGE")
            await lower.register()
            await asyncio.sleep(60.0)
            assert counted(here, "catalog_unanswered") == 1
            lower.answered.add("MESSAGE")
            first = await lower.asked()
            while (sn := await lower.asked()) == first:
                pass  # copies of the query that nobody took
            await lower.page(sn, 3, *map(item, CAMERAS))
            await here.shown(3)

    run(scenario())


@pytest.mark.parametrize("copies", [2, 5])
def test_two_answers_to_one_question_make_one_answer_above(link: Link, copies: int) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            asking = asyncio.ensure_future(here.upper.device_info(target=CAMERAS[0]))
            question = await lower.wait("MESSAGE", lambda heard: b"DeviceInfo" in heard.body)
            sn = question.body.partition(b"<SN>")[2].partition(b"<")[0].decode()
            for number in range(copies):
                body = (
                    f"<Response><CmdType>DeviceInfo</CmdType><SN>{sn}</SN><DeviceID>{CAMERAS[0]}</DeviceID>"
                    f"<Result>OK</Result><Manufacturer>Maker {number}</Manufacturer></Response>"
                )
                assert (await lower.say(body.encode())).start == "SIP/2.0 200 OK"
            assert (await asking)["Manufacturer"] == "Maker 0"
            await asyncio.sleep(40.0)
            assert counted(here, "questions_answers_unknown") == copies - 1

    run(scenario())


def test_a_question_that_nobody_answers_ends_with_an_error_above(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            asking = asyncio.ensure_future(here.upper.device_status(target=CAMERAS[0]))
            question = await lower.wait("MESSAGE", lambda heard: b"DeviceStatus" in heard.body)
            assert (await asking)["Result"] == "ERROR"
            sn = question.body.partition(b"<SN>")[2].partition(b"<")[0].decode()
            body = (
                f"<Response><CmdType>DeviceStatus</CmdType><SN>{sn}</SN><DeviceID>{CAMERAS[0]}</DeviceID>"
                "<Result>OK</Result><Online>ONLINE</Online><Status>OK</Status></Response>"
            )
            assert (await lower.say(body.encode())).start == "SIP/2.0 200 OK"  # late: dropped

    run(scenario())
