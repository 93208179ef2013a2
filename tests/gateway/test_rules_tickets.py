"""Approval tickets: somebody answers for it that a peer may do one thing with one channel for some hours."""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from typer.testing import Result

from cascade.crossing import Crossing
from gateway.chamber.policy import CompiledRules, judge
from gateway.chamber.tickets import PREFIX, Ticket, end_of
from gateway.config import examine
from gateway.keeper import keeping
from gateway.ticket_file import NAME, TicketsUnusable, grant, granted, withdraw
from gateway.words import LANGUAGES, Language
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.chamber_ground import (
    LOWER,
    OTHER_UPPER,
    ROAD_CAMERA,
    SCHOOL_CAMERA,
    UPPER,
    places,
    ptz,
    rule,
    stream_open,
)
from tests.gateway.test_cli import lockgate
from tests.gateway.test_rules_reload import LIVE, keeper_of, without, write
from tests.gateway.world import LOWER_ID, UPPER_ID, WALL, Link, settings_in, text, world

NOW = 1_772_352_000.0
SCHOOL = stream_open(SCHOOL_CAMERA)
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def ticket(number: int = 1, **fields: object) -> Ticket:
    given_fields: dict[str, object] = {
        "direction": "outward",
        "peer": str(UPPER),
        "action": "media.live",
        "channel": str(SCHOOL_CAMERA),
        "since": NOW,
        "until": NOW + 7200,
        "by": "Li Na",
        "reason": "a child is missing",
    }
    return Ticket(number=number, **{**given_fields, **fields})  # type: ignore[arg-type]


def test_a_ticket_stands_above_the_rules_until_its_time_is_over() -> None:
    closed = rule("closed", verdict="deny")
    plain = CompiledRules([closed])
    rules = CompiledRules([closed], tickets=[ticket()])

    def decides(wall: float, crossing: Crossing = SCHOOL) -> str:
        return judge(rules.at(wall), crossing, "outward", places).rule

    assert [decides(NOW), decides(NOW + 7199), decides(NOW + 7200)] == ["ticket-1", "ticket-1", "closed"]
    assert decides(NOW, stream_open(ROAD_CAMERA)) == "closed"
    assert decides(NOW, ptz(SCHOOL_CAMERA)) == "closed"
    assert decides(NOW, replace(stream_open(SCHOOL_CAMERA), origin=OTHER_UPPER)) == "closed"
    assert rules.fingerprint == plain.fingerprint  # no row becomes unreadable by a ticket
    assert judge(rules.at(NOW), stream_open(SCHOOL_CAMERA), "outward", places).passes is not None


@given(st.floats(1e9, 4e9), st.floats(0.02, 168))
def test_a_ticket_lasts_as_long_as_was_said_up_to_the_next_minute(wall: float, hours: float) -> None:
    until = end_of(wall, hours)
    assert until % 60 == 0
    assert 0 <= until - (wall + hours * 3600) < 60.001


def test_numbers_are_given_once_and_what_is_over_goes(tmp_path: Path) -> None:
    for expected in (1, 2):
        assert grant(tmp_path, NOW, ticket).number == expected
    assert withdraw(tmp_path, 2) == ticket(2)
    assert withdraw(tmp_path, 2) is None
    assert grant(tmp_path, NOW, ticket).number == 3
    assert grant(tmp_path, NOW + 7200, ticket).number == 4
    assert granted(tmp_path) == (ticket(4),)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / NAME).read_text())["last"] == 4


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"tickets": [{"number": 1}]}', '{"last": 1, "more": 2}', "\x00\xff"]
)
def test_a_damaged_file_is_told_and_stays_as_it_is(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    for attempt in (lambda: granted(tmp_path), lambda: grant(tmp_path, NOW, ticket)):
        with pytest.raises(TicketsUnusable, match="is damaged"):
            attempt()
    assert (tmp_path / NAME).read_text() == content


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TicketsUnusable, match="cannot be used"):
        grant(tmp_path / "file", NOW, ticket)


def test_a_rule_may_not_be_called_like_a_ticket() -> None:
    with settings_in(text().replace('id = "live"', f'id = "{PREFIX}1"')) as folder:
        problems = examine(folder / "gateway.toml").problems
    assert [problem.key for problem in problems] == ["rule[#7].id"]


def test_a_ticket_opens_one_camera_and_its_stream_ends_with_it(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=without(LIVE)) as here:
            await here.shown()
            one, two = here.shared()[:2]
            state = here.folder / "state"
            grant(state, WALL, lambda number: of(one, number, until=WALL + 120))
            async with keeping(keeper_of(here)) as keeper:
                await asyncio.sleep(1.0)
                with pytest.raises(PlayRefused):
                    async with here.upper.play(two):
                        pass
                async with here.upper.play(one) as playing:
                    await asyncio.sleep(30.0)
                    grant(state, WALL + 30, lambda number: of(two, number, until=WALL + 3600))
                    assert await keeper.renew()
                    async with here.upper.play(two):
                        await asyncio.sleep(1.0)
                    await asyncio.sleep(80.0)
                    assert playing.ended is None
                    await asyncio.sleep(15.0)
                    assert playing.ended is not None
                withdraw(state, 2)
                await keeper.renew()
                for camera in (one, two):
                    with pytest.raises(PlayRefused) as refused:
                        async with here.upper.play(camera):
                            pass
                    assert refused.value.status == 403
            for side in ("outer", "inner"):
                notes = [each for each in here.audit(side) if each["kind"] == "Note"]
                assert [(each["event"], each["details"]["ticket"]) for each in notes] == [
                    ("ticket-granted", "ticket-1"),
                    ("ticket-granted", "ticket-2"),
                    ("ticket-expired", "ticket-1"),
                    ("ticket-withdrawn", "ticket-2"),
                ]
                assert notes[0]["details"]["by"] == "Li Na"
                assert notes[0]["details"]["reason"] == "a child is missing"

    run(scenario())


def of(camera: str, number: int, until: float) -> Ticket:
    return ticket(number, peer=UPPER_ID, channel=f"{LOWER_ID}/{camera}", until=until)


def test_what_cannot_be_read_takes_no_ticket_away(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=without(LIVE)) as here:
            await here.shown()
            camera = here.shared()[0]
            grant(here.folder / "state", WALL, lambda number: of(camera, number, until=WALL + 600))
            async with keeping(keeper_of(here)) as keeper:
                await asyncio.sleep(1.0)
                (here.folder / "state" / NAME).write_text("nonsense")
                assert not await keeper.renew()
                assert keeper.counts["tickets_unusable"] == 1
                async with here.upper.play(camera):
                    pass

    run(scenario())


def test_a_reload_keeps_the_tickets() -> None:
    async def scenario() -> None:
        async with world(written=without(LIVE)) as here:
            await here.shown()
            camera = here.shared()[0]
            grant(here.folder / "state", WALL, lambda number: of(camera, number, until=WALL + 600))
            async with keeping(keeper_of(here)) as keeper:
                await asyncio.sleep(1.0)
                write(here, without(LIVE).replace('id = "ask"', 'id = "inquire"'))
                assert (await keeper.reload()).taken
                async with here.upper.play(camera):
                    pass

    run(scenario())


CAMERA = "44010600001320000001"


def command(folder: Path, *arguments: str, language: Language = "en") -> Result:
    return lockgate("policy", *arguments, "--config", folder / "gateway.toml", language=language)


def granting(channel: str = f"{LOWER_ID}/{CAMERA}", by: str = "Li Na", peer: str = UPPER_ID) -> Sequence[str]:
    asked = ("--peer", peer, "--action", "control.ptz", "--channel", channel)
    return ("grant", *asked, "--hours", "2", "--by", by, "--reason", "missing child")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_ticket_is_granted_listed_explained_and_withdrawn(language: Language) -> None:
    with settings_in() as folder:
        before = time.time()
        result = command(folder, *granting(), language=language)
        assert (result.exit_code, result.stderr) == (0, "")
        (kept,) = granted(folder / "state")
        assert (kept.by, kept.reason, kept.direction) == ("Li Na", "missing child", "outward")
        assert before + 7200 <= kept.until < time.time() + 7200 + 60
        results = [result, command(folder, "tickets", language=language)]
        assert results[0].stdout.splitlines()[0] == results[1].stdout.strip()
        asked = ("--peer", UPPER_ID, "--action", "control.ptz", "--channel", f"{LOWER_ID}/{CAMERA}")
        explained = command(folder, "explain", *asked, language=language)
        assert explained.exit_code == 0
        assert "ticket-1" in explained.stdout
        results += [explained, command(folder, "withdraw", "1", language=language)]
        assert command(folder, "explain", *asked, language=language).exit_code == 1
        results.append(command(folder, "tickets", language=language))
        for each in results:
            for line in each.stdout.splitlines():
                assert bool(CHINESE.search(line)) == (language == "zh"), line
        assert command(folder, "withdraw", "1", language=language).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (granting(by=" "), "needs a person and a reason"),
        (granting(by="x" * 129), "needs a person and a reason"),
        (granting(by="a\x1b[2J"), "needs a person and a reason"),
        (granting(peer="1"), "There is no peer 1"),
        (granting(channel=f"{UPPER_ID}/{CAMERA}"), "is no channel"),
        (granting(channel=str(LOWER)), "0 peers have"),
    ],
)
def test_a_ticket_that_nobody_answers_for_or_that_names_nothing_is_not_granted(
    arguments: Sequence[str], said: str
) -> None:
    with settings_in() as folder:
        result = command(folder, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr
        assert granted(folder / "state") == ()
