"""Other peers, passwords and limits while the gateway runs: who is not concerned notices nothing."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import Config, load
from gateway.config_changes import changes_of, in_force
from gateway.outcome import lines
from gateway.words import ENGLISH, LANGUAGES
from interop.demo.sealing import seal
from interop.sim.camera import FakeScreen
from interop.sim.upper import UpperPlatform
from sip.endpoint import Party
from tests.clock import run
from tests.gateway.test_cli import lockgate
from tests.gateway.test_explain_registration import Device
from tests.gateway.test_rules_reload import keeper_of, write
from tests.gateway.world import (
    INNER,
    INNER_ID,
    LOWER,
    LOWER_ID,
    OUTER,
    PASSWORD,
    UPPER,
    UPPER_ID,
    WALL,
    Link,
    Wire,
    World,
    open_calls,
    settings_in,
    text,
    world,
)

SECOND, SECOND_ID = "198.51.100.30", "44000000002000000009"
NVR_ID = "44010600001180000009"
WITH_SECOND = text() + f'\n[[inner.upper]]\nid = "{SECOND_ID}"\nhost = "{SECOND}"\nretry_seconds = 5\n'
WITH_NVR = text() + f'\n[[outer.lower]]\nid = "{NVR_ID}"\nkeepalive_seconds = 30\n'
WITHOUT_LOWER = text().replace(
    text()[text().index("[[outer.lower]]") : text().index("[", text().index("[[outer.lower]]") + 15)], ""
)


def secrets(here: World, **changed: str) -> None:
    """Passwords of everybody that the file as it stands has, some of them others."""
    given = {LOWER_ID: PASSWORD, NVR_ID: PASSWORD} | changed
    seal(here.folder / "gateway.toml", given | {UPPER_ID: PASSWORD, SECOND_ID: PASSWORD})


async def second_upper(held: AsyncExitStack, here: World) -> UpperPlatform:
    network = here.network
    calls = await open_calls(held, network, Party(SECOND_ID, SECOND_ID[:10]), (SECOND, 5060))
    return UpperPlatform(
        endpoint=calls.endpoint,
        calls=calls,
        net=network,
        media_host=SECOND,
        passwords={INNER_ID: PASSWORD},
        open_screen=FakeScreen,
        wall=lambda: WALL + network.loop.time(),
    )


def test_an_upper_that_is_new_is_registered_at_and_one_that_goes_is_told_so(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here, AsyncExitStack() as held:
            await here.shown()
            keeper = keeper_of(here)
            other = await second_upper(held, here)
            async with here.upper.play(here.shared()[0]) as playing:
                write(here, WITH_SECOND)
                secrets(here)
                outcome = await keeper.reload()
                assert any(SECOND_ID in line for line in lines(outcome, ENGLISH))
                await other.wait_registered(INNER_ID)
                catalog = await other.catalog()
                assert len(catalog.channels()) == len(here.shared())
                async with other.play(sorted(catalog.channels())[1]) as watching:
                    await asyncio.sleep(2.0)
                    wire = Wire(here.network)
                    write(here, text())
                    assert (await keeper.reload()).taken
                    await asyncio.sleep(3.0)
                    assert watching.ended is not None
                goodbye = wire.between(INNER, SECOND, "REGISTER")[0]
                assert "Expires: 0" in goodbye
                assert len(wire.between(INNER, SECOND, "BYE")) == 1
                assert playing.ended is None
                assert wire.between(INNER, UPPER, "REGISTER") == []
                await asyncio.sleep(200.0)
                assert len(wire.between(INNER, SECOND, "MESSAGE")) == 0

    run(scenario())


def test_a_lower_that_goes_loses_its_lease_its_streams_and_its_rows_and_may_come_back(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            keeper = keeper_of(here)
            secrets(here)
            wire = Wire(here.network)
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(1.0)
                write(here, WITHOUT_LOWER)
                outcome = await keeper.reload()
                assert outcome.taken, outcome
                await asyncio.sleep(3.0)
                assert playing.ended is not None
            assert here.playable() == []
            assert not (await here.upper.catalog()).channels()
            assert len(wire.between(OUTER, LOWER, "BYE")) == 1
            assert here.gateway.orphans == 0
            assert here.gateway.outer.side.as_upper.bound == 0
            write(here, text())
            assert (await keeper.reload()).taken
            await here.shown()  # it registers again as soon as its keepalives are refused
            assert here.playable() == sorted(here.shared())
            for side in ("outer", "inner"):
                notes = [each for each in here.audit(side) if each.get("event") == "configuration-reloaded"]
                assert [note["details"].get("outer_lower_removed") for note in notes] == [LOWER_ID, None]
                assert {note["details"]["by"] for note in notes} == {"signal"}

    run(scenario())


def test_an_upper_that_is_described_otherwise_is_registered_at_anew_only_where_it_must(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            keeper = keeper_of(here)
            async with here.upper.play(here.shared()[0]) as playing:
                wire = Wire(here.network)
                upper = f'[[inner.upper]]\nid = "{UPPER_ID}"\n'
                assert upper in text()
                write(here, text().replace(upper, upper + "keepalive_seconds = 20\npage_items = 2\n"))
                assert (await keeper.reload()).taken
                await asyncio.sleep(70.0)
                assert wire.between(INNER, UPPER, "REGISTER") == []
                write(here, text().replace(upper, upper + 'domain = "4400000001"\nrealm = "4400000000"\n'))
                outcome = await keeper.reload()
                await asyncio.sleep(5.0)
                expires = ["Expires: 0" in each for each in wire.between(INNER, UPPER, "REGISTER")]
                assert True in expires
                assert expires[-1] is False
                assert expires == sorted(expires, reverse=True)  # goodbye first, then the new registration
                assert here.gateway.inner.side.as_lower.registered(UPPER_ID)  # type: ignore[arg-type]
                assert playing.ended is None
                assert any("anew" in line for line in lines(outcome, ENGLISH))

    run(scenario())


def test_a_password_counts_from_the_next_registration_on(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            keeper = keeper_of(here)
            secrets(here, **{LOWER_ID: "another"})
            outcome = await keeper.reload()
            assert f"Other passwords on the outer side: {LOWER_ID}" in "\n".join(lines(outcome, ENGLISH))
            assert "another" not in "\n".join(lines(outcome, ENGLISH))
            assert here.gateway.outer.side.as_upper.bound == 1
            await asyncio.sleep(100.0)
            assert here.gateway.outer.side.as_upper.bound == 1  # of keepalives no password is asked
            write(here, WITHOUT_LOWER)
            assert (await keeper.reload()).taken
            write(here, text())
            assert (await keeper.reload()).taken
            await asyncio.sleep(200.0)
            assert here.gateway.outer.side.as_upper.bound == 0  # it has to register, and has the old one
            secrets(here)
            assert (await keeper.reload()).taken
            await here.shown()

    run(scenario())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda here: (here.folder / "state" / "secrets.sealed").write_bytes(b"LOCKGATE SECRETS 1"),
        lambda here: (here.folder / "secrets.key").unlink(),
        lambda here: seal(here.folder / "gateway.toml", {LOWER_ID: PASSWORD, UPPER_ID: PASSWORD}),
        lambda here: write(here, WITH_SECOND.replace(f'"{SECOND}"', '"nowhere"')),
    ],
    ids=["secrets cut off", "no key", "a password missing", "a peer without an address"],
)
def test_all_or_nothing(spoil: Callable[[World], None]) -> None:
    async def scenario() -> None:
        async with world() as here:
            await here.shown()
            keeper = keeper_of(here)
            write(here, WITH_SECOND.replace("linger_seconds = 1.0", "linger_seconds = 9.0"))
            secrets(here)
            spoil(here)
            outcome = await keeper.reload()
            assert not outcome.taken
            assert "goes on with what it had" in lines(outcome, ENGLISH)[-1]
            assert [view.upper for view in here.gateway.inner.side.as_lower.state()] == [UPPER_ID]

    run(scenario())


def variants(seed: int) -> Iterator[str]:
    """Configurations that differ in whatever can be taken while it runs, and leave what plays alone."""
    chance = random.Random(seed)
    while True:
        written = text()
        if chance.random() < 0.5:
            written += (
                f'\n[[inner.upper]]\nid = "{SECOND_ID}"\nhost = "198.51.100.{chance.randint(40, 44)}"\n'
            )
        if chance.random() < 0.5:
            written += f'\n[[outer.lower]]\nid = "{NVR_ID}"\nmax_items = {chance.randint(10, 20)}\n'
        written = written.replace("linger_seconds = 1.0", f"linger_seconds = {chance.randint(1, 5)}")
        upper, lower = f'[[inner.upper]]\nid = "{UPPER_ID}"\n', f'[[outer.lower]]\nid = "{LOWER_ID}"\n'
        written = written.replace(upper, upper + f"page_items = {chance.randint(1, 9)}\n")
        written = written.replace(lower, lower + f'fault = "{chance.choice(["flag", "offline"])}"\n')
        if chance.random() < 0.3:
            written += f"\n[ptz]\nlock_seconds = {chance.randint(1, 20)}\n"
        if chance.random() < 0.3:
            written += f"\n[alarms]\nkept = {chance.randint(10, 20)}\n"
        more = f'networks = ["203.0.113.0/24", "192.0.2.{chance.randint(1, 3)}"]'
        yield written.replace('networks = ["203.0.113.0/24"]', more)


def test_a_hundred_reloads_drop_nothing(link: Link) -> None:
    """Whatever else becomes another: the picture flows, and nobody registers or invites again."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            keeper = keeper_of(here)
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(2.0)
                wire, kept = Wire(here.network), here.lower.membership.keepalives
                decoded = playing.report().frames_decoded
                for number, written in zip(range(100), variants(7), strict=False):
                    write(here, written)
                    secrets(here, **{NVR_ID: f"password-{number % 3}"})
                    outcome = await keeper.reload()
                    assert (outcome.taken, outcome.ended) == (True, 0), outcome
                    await asyncio.sleep(1.0)
                report = playing.report()
                assert playing.ended is None
                assert report.frames_decoded >= decoded + 2400
                assert (report.frames_lost, report.frames_repeated) == ((), 0)
                assert here.lower.membership.keepalives > kept
            for ends in ((INNER, UPPER), (LOWER, OUTER), (OUTER, LOWER), (UPPER, INNER)):
                assert wire.between(*ends, "REGISTER") == [] or ends == (LOWER, OUTER)
                assert wire.between(*ends, "INVITE") == []
            await asyncio.sleep(10.0)
            assert here.playable() == sorted(here.shared())
            assert here.gateway.orphans == 0

    run(scenario())


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_what_was_taken_is_no_difference_any_more(one: int, other: int) -> None:
    """From whatever there was to this: it is this, and what is told as different is."""
    with settings_in(None, {LOWER_ID: PASSWORD, NVR_ID: PASSWORD}) as folder:
        found = []
        for seed in (one, other):
            (folder / "gateway.toml").write_text(next(variants(seed)))
            seal(folder / "gateway.toml", dict.fromkeys((LOWER_ID, NVR_ID, UPPER_ID, SECOND_ID), PASSWORD))
            found.append(load(folder / "gateway.toml"))
    before, after = found
    assert not changes_of(before, after).later
    assert changes_of(before, after).any == (_taken(before) != _taken(after))
    assert in_force(before, after) == after
    assert not changes_of(in_force(before, after), after).any


def _taken(config: Config) -> object:
    limits = config.media, config.ptz, config.alarms, config.outer.networks
    return config.rule, config.outer.lower, config.inner.upper, limits


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_difference_says_what_becomes_of_each_peer_before_it_does(language: Any) -> None:
    with settings_in(None, {LOWER_ID: PASSWORD, NVR_ID: PASSWORD}) as folder:
        written = WITH_SECOND.replace("linger_seconds = 1.0", "linger_seconds = 2.0")
        written = written.replace("[outer]", '[outer]\nname = "Other"')
        file = Path(folder) / "new.toml"
        file.write_text(written)
        seal(file, dict.fromkeys((LOWER_ID, UPPER_ID, SECOND_ID), PASSWORD))
        result = lockgate("diff", file, "--config", folder / "gateway.toml", language=language)
        assert result.exit_code == 1
        for part in (SECOND_ID, "media.linger_seconds", "outer.name"):
            assert part in result.stdout
        if language == "en":
            assert f"New above on the inner side: {SECOND_ID}. We register there." in result.stdout
            assert "count only when the gateway starts anew: outer.name" in result.stdout


CAMERAS = '\n[[outer.admit]]\nname = "cameras"\nregion = "440106"\nkinds = ["132"]\n'
CAMERA_ID = "44010600001320000001"


def test_a_rule_admits_and_lets_go_while_all_runs(link: Link) -> None:
    """A password more is a device more; the rule gone, they go, and the neighbour's picture stays."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            keeper = keeper_of(here)

            def below() -> dict[str, bool]:
                return {view.peer: view.online for view in here.gateway.outer.side.as_upper.state()}

            async with here.upper.play(here.shared()[0]) as playing:
                write(here, text() + CAMERAS)
                secrets(here, **{CAMERA_ID: PASSWORD})
                outcome = await keeper.reload()
                assert outcome.taken
                assert any(CAMERA_ID in line for line in lines(outcome, ENGLISH))
                assert below() == {LOWER_ID: True, CAMERA_ID: False}
                device = Device(here, (LOWER, 5070))
                await device.tries(user=CAMERA_ID)
                assert below() == {LOWER_ID: True, CAMERA_ID: True}
                write(here, text())
                assert (await keeper.reload()).taken
                assert below() == {LOWER_ID: True}
                await asyncio.sleep(2.0)
                assert playing.ended is None
                device.close()

    run(scenario())
