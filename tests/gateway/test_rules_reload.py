"""New rules while the gateway runs: what may stay stays, what may not ends with its reason."""

import asyncio
from collections.abc import Callable

import pytest

from gateway import config
from gateway.app import SideName
from gateway.credentials.holders import load_secrets
from gateway.keeper import Keeper
from gateway.outcome import lines
from gateway.words import ENGLISH, LANGUAGES, Words
from interop.demo.cast import KEPT_BRANCH
from interop.sim.upper import PlayRefused
from tests.clock import run
from tests.gateway.world import INNER, LOWER, OUTER, UPPER, WALL, Link, Wire, World, header, text, world

LIVE = """[[rule]]
id = "live"
reason = "The upper platform may watch live what it sees."
direction = "outward"
action = "media.live"
channels = ["*"]
verdict = "allow"
"""
SIDES: tuple[SideName, SideName] = ("outer", "inner")
HIDE = f'channels = ["branch:{KEPT_BRANCH}"]\nverdict = "deny"'


def keeper_of(here: World, only: SideName | None = None) -> Keeper:
    """As the composition root makes it; `only` one host of two."""
    sides = [here.gateway.outer, here.gateway.inner] if only is None else [getattr(here.gateway, only)]
    file = here.folder / "gateway.toml"
    loaded = config.load(file)
    wall: Callable[[], float] = lambda: WALL + here.network.loop.time()  # noqa: E731
    return Keeper(
        file,
        loaded,
        load_secrets(loaded),
        [side.kept() for side in sides],
        wall=wall,
    )


def write(here: World, written: str) -> None:
    (here.folder / "gateway.toml").write_text(written)


def without(rule: str) -> str:
    written = text()
    assert rule in written
    return written.replace(rule, "")


def test_what_is_still_allowed_goes_on_without_a_message(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            keeper = keeper_of(here)
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(2.0)
                wire = Wire(here.network)
                before = playing.report().frames_decoded
                write(here, text().replace(LIVE, LIVE.replace('"live"', '"look"')))
                outcome = await keeper.reload()
                await asyncio.sleep(4.0)
                assert (outcome.taken, outcome.ended) == (True, 0)
                report = playing.report()
                assert report.frames_decoded >= before + 95
                assert (report.frames_lost, report.frames_repeated) == ((), 0)
                assert [message for *_, message in wire.sent if not message.startswith("SIP/2.0")] == []
                assert len(here.playable()) == len(here.shared())
            async with here.upper.play(here.shared()[1]):
                pass
            assert here.gateway.inner.counters.passed["look"]

    run(scenario())


def test_a_stream_of_a_rule_that_is_gone_ends_on_both_legs_with_its_reason(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            keeper = keeper_of(here)
            wire = Wire(here.network)
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(1.0)
                write(here, without(LIVE))
                outcome = await keeper.reload()
                assert outcome.ended == 2  # once at each door
                await asyncio.sleep(5.0)
                assert playing.ended is not None
                assert here.gateway.orphans == 0
            (bye,) = wire.between(INNER, UPPER, "BYE")
            assert "default" in header(bye, "Reason")
            assert len(wire.between(OUTER, LOWER, "BYE")) == 1
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(here.shared()[0]):
                    pass
            assert refused.value.status == 403
            for side in ("outer", "inner"):
                ends = [each for each in here.audit(side) if each["kind"] == "StreamEnded"]
                assert ends
                assert here.trails_whole()

    run(scenario())


def test_rows_that_may_not_be_seen_any_more_go_and_new_ones_come(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            keeper = keeper_of(here)
            write(here, text().replace(HIDE, 'channels = ["prefix:9"]\nverdict = "deny"'))
            assert (await keeper.reload()).taken
            await here.shown(len(here.tree.cameras))
            catalog = await here.upper.catalog()
            assert sorted(catalog.channels()) == sorted(camera.id for camera in here.tree.cameras)
            write(here, text())
            assert (await keeper.reload()).taken
            await asyncio.sleep(1.0)
            assert here.playable() == sorted(here.shared())
            assert sorted((await here.upper.catalog()).channels()) == here.shared()

    run(scenario())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda here: write(here, text() + "\n[[rule]"), "TOML"),
        (lambda here: write(here, text().replace('"media.live"', '"media.life"')), "media.life"),
        (lambda here: write(here, text().replace('verdict = "allow"', 'verdict = "perhaps"')), "verdict"),
        (lambda here: (here.folder / "gateway.toml").unlink(), "gateway.toml"),
        (lambda here: (here.folder / "secrets.key").unlink(), "secrets.key is not there"),
    ],
    ids=["not TOML", "no such action", "no such verdict", "removed", "without its key"],
)
def test_a_file_that_cannot_be_used_changes_nothing_and_says_why(
    spoil: Callable[[World], None], said: str
) -> None:
    async def scenario() -> None:
        async with world() as here:
            await here.shown()
            keeper = keeper_of(here)
            async with here.upper.play(here.shared()[0]) as playing:
                spoil(here)
                outcome = await keeper.reload()
                assert not outcome.taken
                assert keeper.counts == {"refused": 1}
                told = lines(outcome, ENGLISH)
                assert any(said in line for line in told)
                assert "goes on with what it had" in told[-1]
                await asyncio.sleep(2.0)
                assert playing.ended is None
            assert not any(each["kind"] == "Note" for each in here.audit("inner"))

    run(scenario())


def test_who_changed_what_is_in_both_audits(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            keeper = keeper_of(here)
            write(here, without(LIVE))
            await keeper.reload()
            for side in ("outer", "inner"):
                (note,) = [each for each in here.audit(side) if each["kind"] == "Note"]
                assert note["event"] == "rules-reloaded"
                assert note["details"]["removed"] == "live"
                assert note["details"]["rules"] == "6"
                assert note["details"]["fingerprint"] == keeper.rules.fingerprint

    run(scenario())


def test_what_needs_a_start_is_named_and_left_as_it_was() -> None:
    async def scenario() -> None:
        async with world() as here:
            keeper = keeper_of(here)
            write(here, text().replace("[outer]", '[outer]\nname = "Other"'))
            outcome = await keeper.reload()
            assert outcome.later == ("outer.name",)
            for language in LANGUAGES:
                assert "outer.name" in lines(outcome, Words(language))[-1]

    run(scenario())


@pytest.mark.parametrize("first", ["outer", "inner"])
def test_on_two_hosts_only_what_both_allow_passes_and_no_order_is_needed(link: Link, first: SideName) -> None:
    """The second to reload has the other told: nobody need say anything to the first again."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            keepers = {side: keeper_of(here, side) for side in SIDES}
            second: SideName = "inner" if first == "outer" else "outer"
            write(here, text().replace(HIDE, 'channels = ["prefix:9"]\nverdict = "deny"'))
            async with here.upper.play(here.shared()[0]) as playing:
                await keepers[first].reload()
                await asyncio.sleep(1.0)
                assert here.playable() == sorted(here.shared())  # the other door still refuses the others
                await keepers[second].reload()
                await here.shown(len(here.tree.cameras))
                assert playing.ended is None
            write(here, text())
            await keepers[first].reload()
            await asyncio.sleep(1.0)
            assert here.playable() == sorted(here.shared())  # one door is enough to take them away
            await keepers[second].reload()
            await asyncio.sleep(1.0)
            assert here.playable() == sorted(here.shared())

    run(scenario())


@pytest.mark.parametrize("first", ["outer", "inner"])
def test_rows_under_the_veil_of_another_list_wait_until_both_hosts_have_the_same(
    link: Link, first: SideName
) -> None:
    """Cameras that are shared by their own ids while their branch is kept: their rows say it with a veil."""

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            kept = here.kept()[0]
            here_first = f"""[[rule]]
id = "one-school"
direction = "inward"
action = "catalog.rows"
channels = ["id:{kept}"]
verdict = "allow"

[[rule]]
id = "no-schools\""""
            keepers = {side: keeper_of(here, side) for side in SIDES}
            write(here, text().replace('[[rule]]\nid = "no-schools"', here_first))
            await keepers[first].reload()
            await asyncio.sleep(1.0)
            assert kept not in here.playable()
            refused = here.gateway.inner.counters.rows_refused
            assert (refused["veil"] == 1) == (first == "outer")
            await keepers["inner" if first == "outer" else "outer"].reload()
            await here.shown(len(here.shared()) + 1)
            assert kept in here.playable()

    run(scenario())


def test_who_reloads_twice_at_once_tells_everything_once(link: Link) -> None:
    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            keeper = keeper_of(here)
            before = anew(here)
            await asyncio.gather(keeper.reload(), keeper.reload(), keeper.reload())
            await asyncio.sleep(1.0)
            assert anew(here) == before + 1
            assert here.playable() == sorted(here.shared())

    run(scenario())


def anew(here: World) -> int:
    """How often the outer side began to tell all of its rows."""
    batches = [each for each in here.audit("outer") if each["kind"] == "CatalogBatch"]
    return sum(each["details"]["change"] == "anew" and each["door"] == "send" for each in batches)
