"""`lockgate status` of a fleet, of subscriptions, and of one peer: counted, in parts, in both languages."""

import asyncio
import logging
from typing import Final

import pytest

from cascade.model.ids import PlatformId
from gateway.cli.status_limits import table
from gateway.cli.status_peers import one
from gateway.local.messages import OnePeer, PeerStanding, Status, encode, read_response
from gateway.trace.peers import MAX_NAMED, STEP
from gateway.words import LANGUAGES, Words
from tests.clock import run
from tests.gateway.by_hand import below
from tests.gateway.test_explain_registration import Device
from tests.gateway.test_status import drawn, standing
from tests.gateway.traced import desk
from tests.gateway.world import (
    INNER_ID,
    LOWER,
    LOWER_ID,
    OUTER_ID,
    PASSWORD,
    UPPER_ID,
    Link,
    World,
    text,
    world,
)

FLEET: Final = [PlatformId(f"3402000000132{number:07d}") for number in range(2 * STEP)]
RULE: Final = '\n[[outer.admit]]\nname = "cameras of 3402"\nregion = "3402"\n'
WRITTEN: Final = text(**{"[inner]\n": f"{RULE}\n[inner]\n"})
TABLE: Final = f'[[outer.lower]]\nid = "{LOWER_ID}"\n'


def asked(here: World, what: str) -> PeerStanding:
    """As it comes through the socket."""
    answer = read_response(encode(desk(here).peer(OnePeer(what=what))))
    assert isinstance(answer, PeerStanding)
    return answer


def told(here: World, what: str) -> list[str]:
    """What is printed of one peer, in each language."""
    sides = asked(here, what).sides
    return ["\n".join(line for side in sides for line in one(what, side, Words(each))) for each in LANGUAGES]


def test_a_fleet_is_counted_by_rule_and_by_why_it_is_away_and_a_few_are_named(link: Link) -> None:
    async def scenario() -> None:
        passwords = dict.fromkeys([LOWER_ID, *FLEET], PASSWORD)
        async with world(link, written=WRITTEN, passwords=passwords) as here:
            await here.shown()
            camera = Device(here, ("203.0.113.70", 5060))
            await camera.tries(user=FLEET[0])
            wrong = Device(here, ("203.0.113.71", 5060))
            assert (await wrong.tries("guessed", user=FLEET[1])).startswith("SIP/2.0 401")
            asking = Device(here, ("203.0.113.72", 5060))
            await asking.challenge(FLEET[2])
            below = standing(here).sides[0].below
            groups = {group.rule: (group.peers, group.online) for group in below.groups}
            assert groups == {"": (1, 1), "cameras of 3402": (len(FLEET), 1)}
            assert (below.peers, below.online) == (len(FLEET) + 1, 2)
            assert below.away == {"refused": 1, "unproven": 1, "unheard": len(FLEET) - 3}
            assert [each.peer for each in below.first] == FLEET[1 : MAX_NAMED + 1]
            pages = [drawn(standing(here), None, each, rows=100, columns=300) for each in LANGUAGES]
            for page in pages:
                assert "2/2,001" in page
                assert FLEET[1] in page
                assert FLEET[MAX_NAMED + 1] not in page
                assert "lockgate status --peer ID" in page
                assert "cameras of 3402" in page
            assert "1,999 of 2,001 below are not online: 1,997 not heard of since the start" in pages[0]
            assert "1 refused at the last try" in pages[0]
            await asyncio.sleep(400.0)
            assert standing(here).sides[0].below.away["silent"] == 1
            for each in (camera, wrong, asking):
                each.close()

    run(scenario())


def test_a_peer_with_a_table_of_its_own_is_no_rules(link: Link) -> None:
    async def scenario() -> None:
        own = f'\n[[outer.lower]]\nid = "{FLEET[0]}"\n'
        passwords = dict.fromkeys([LOWER_ID, *FLEET[:3]], PASSWORD)
        async with world(link, written=WRITTEN.replace(RULE, RULE + own), passwords=passwords) as here:
            groups = standing(here).sides[0].below.groups
            assert {group.rule: group.peers for group in groups} == {"": 2, "cameras of 3402": 2}

    run(scenario())


def test_one_that_is_not_well_is_said_to_be(link: Link) -> None:
    async def scenario() -> None:
        async with below(link) as (here, lower):
            body = f"<Notify><CmdType>Keepalive</CmdType><SN>1</SN><DeviceID>{LOWER_ID}</DeviceID>"
            await lower.say(f"{body}<Status>ERROR</Status></Notify>".encode())
            english, chinese = told(here, LOWER_ID)
            assert "its keepalives say that it is not well" in english
            assert "自报工作不正常" in chinese
            await lower.say(f"{body}<Status>OK</Status></Notify>".encode())
            assert "not well" not in told(here, LOWER_ID)[0]

    run(scenario())


def test_a_fleet_is_counted_in_parts(link: Link) -> None:
    async def scenario() -> None:
        passwords = dict.fromkeys([LOWER_ID, *FLEET], PASSWORD)
        async with world(link, written=WRITTEN, passwords=passwords) as here:
            parts = desk(here).standing(Status())
            assert sum(1 for _ in parts) == len(FLEET) // STEP

    run(scenario())


def test_one_peer_is_told_of_with_its_lease_its_rule_and_why_it_is_away(link: Link) -> None:
    async def scenario() -> None:
        passwords = dict.fromkeys([LOWER_ID, *FLEET[:2]], PASSWORD)
        async with world(link, written=WRITTEN, passwords=passwords) as here:
            await here.shown()
            english, chinese = told(here, LOWER_ID)
            assert f"{LOWER_ID}, below us" in english
            assert f"address {LOWER}:5060 by UDP" in english
            assert "last catalog query: complete" in english
            assert "下级" in chinese
            english, chinese = told(here, FLEET[0])
            assert "not online" in english
            assert "not heard of since the start" in english
            assert "admitted by rule cameras of 3402" in english
            assert "按规则 cameras of 3402 接纳" in chinese
            english, _ = told(here, UPPER_ID)
            assert f"{UPPER_ID}, above us" in english
            for unknown in ("44010600009990000009", "", "\x1b[2J", OUTER_ID):
                assert asked(here, unknown).sides == ()

    run(scenario())


def test_who_has_subscribed_to_what_until_when_and_what_was_told_last(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    async def scenario() -> None:
        written = text().replace(TABLE, TABLE + 'subscribe = ["catalog"]\n')
        async with world(link, written=written) as here:
            await here.shown()
            now = standing(here)
            assert now.sides[0].below.subscriptions == 1
            (ours,) = asked(here, LOWER_ID).sides
            assert ours.below is not None
            (catalog,) = ours.below.subscriptions
            assert (catalog.topic, catalog.target) == ("catalog", LOWER_ID)
            assert 500 < catalog.until - now.now <= 600
            watch = await here.upper.subscriptions.subscribe(expires=900)
            await watch.until(1)
            await asyncio.sleep(1.0)  # its 200 arrives
            (upper,) = standing(here).sides[1].uppers
            (theirs,) = upper.subscriptions
            assert (theirs.topic, theirs.target) == ("catalog", INNER_ID)
            assert (theirs.notices, theirs.changes) == (1, 0)
            assert theirs.told is not None
            pages = [drawn(standing(here), None, each, rows=100, columns=300) for each in LANGUAGES]
            assert f"{UPPER_ID} has subscribed to the catalog of {INNER_ID} until" in pages[0]
            assert "1 notices, the last" in pages[0]
            assert f"{UPPER_ID} 订阅了" in pages[1]
            assert "it has subscribed to the catalog" in told(here, UPPER_ID)[0]
            assert "we have subscribed to the catalog" in told(here, LOWER_ID)[0]

    run(scenario())


def test_every_limit_is_listed_with_what_it_is_and_how_often_it_was_met(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=text() + "[inner.limits]\nquestions = 77\n") as here:
            here.gateway.inner.side.bounds.meet("questions")
            sides = standing(here).sides
            for each in LANGUAGES:
                drawn_table = table(sides, Words(each))
                assert drawn_table.row_count == len(sides[0].limits)
            columns = [list(column.cells) for column in table(sides, Words("en")).columns]
            row = columns[0].index("questions")
            assert [column[row] for column in columns] == ["questions", "4,096", "-", "77", "1"]

    run(scenario())
