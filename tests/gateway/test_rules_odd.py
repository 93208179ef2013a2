"""Rules that do less than they say, as whoever looks at the running gateway sees them: counted and told."""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import load
from gateway.credentials.holders import load_secrets
from gateway.keeper import Keeper, Kept, keeping
from gateway.local.messages import Reload, Standing
from gateway.outcome import lines
from gateway.words import ENGLISH, LANGUAGES
from interop.demo.cast import KEPT_BRANCH
from tests.gateway.test_cli import lockgate
from tests.gateway.test_rules_cli import LOWER, Flows, _kept
from tests.gateway.test_status import drawn
from tests.gateway.world import UPPER_ID, settings_in, text

ODD = {
    "rule_covered": ('"id:44010600001320000001"', "allow", "rules that are never reached"),
    "rule_dead": (
        f'"branch:{KEPT_BRANCH}", "class:132"',
        "allow",
        "rules with a selector that never decides",
    ),
    "rule_undone": ('"prefix:44"', "deny", "refusals that a permission above undoes in part"),
    "selector_idle": ('"prefix:9999"', "allow", "selectors that select no known channel"),
}
"""By the counter: channels and verdict of a rule that is odd in this way, and what is said of it."""


def written(*names: str) -> str:
    """The demo's rules and two about voices, of which nothing is odd; and odd ones below them."""
    fine = _rule("schools", f'"branch:{KEPT_BRANCH}"', "deny")
    fine += _rule("own", '"*"', "allow", f'peer = "{UPPER_ID}"\n')
    fine += _rule("one", '"id:44010600001320000001"', "allow")
    return text() + fine + "".join(_rule(name, *ODD[name][:2]) for name in names)


def _rule(id: str, channels: str, verdict: str, more: str = "") -> str:
    return (
        f'\n[[rule]]\nid = "{id}"\ndirection = "outward"\naction = "media.broadcast"\n{more}'
        f'channels = [{channels}]\nverdict = "{verdict}"\n'
    )


@pytest.fixture
def site() -> Iterator[Path]:
    with settings_in(written()) as folder:
        asyncio.run(_kept(folder / "state" / "outer"))
        yield folder


def keeper_in(site: Path) -> Keeper:
    secrets = load_secrets(load(site / "gateway.toml"))
    door = Flows([])
    door.adopt = lambda rules: 0  # type: ignore[method-assign]
    door.ask_anew = lambda: None  # type: ignore[method-assign]
    door.note = lambda event, peer, **details: None  # type: ignore[method-assign]
    kept = [Kept("inner", LOWER, door, lambda: None)]
    return Keeper(site / "gateway.toml", load(site / "gateway.toml"), secrets, kept, wall=time.time)


def shown(keeper: Keeper, language: str) -> str:
    standing = Standing(now=2.0, started=1.0, sides=(), rules=(keeper.state(),))
    return drawn(standing, None, language, rows=60, columns=240)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ODD)
async def test_what_is_odd_is_counted_and_told_when_it_is_taken(
    site: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = keeper_in(site)
    await keeper.look()
    assert keeper.state().odd == dict.fromkeys(ODD, 0)
    (site / "gateway.toml").write_text(written(name))
    with caplog.at_level(logging.WARNING, logger="gateway.keeper"):
        outcome = await keeper.reload()
        assert outcome.taken
        await keeper.look()
        await keeper.look()
    told = [record.__dict__ for record in caplog.records if record.getMessage() == "rules.odd"]
    assert [one[name] for one in told] == [1], "once"
    assert keeper.state().odd == {**dict.fromkeys(ODD, 0), name: 1}
    assert f"{ODD[name][2]}: 1. " in shown(keeper, "en")
    checked = lockgate("check", "--config", site / "gateway.toml").stderr.splitlines()
    assert any("rule[#" in line for line in checked)
    if name != "selector_idle":  # the command line alone looks at the channels
        warned = [line for line in lines(outcome, ENGLISH) if line.startswith("warning")]
        assert warned
        assert {*warned} <= {*checked}


async def test_what_could_not_be_taken_is_counted_where_it_is_looked_for(site: Path) -> None:
    keeper = keeper_in(site)
    (site / "gateway.toml").unlink()
    assert not (await keeper.answer(Reload())).taken
    assert keeper.state().counts == {"refused": 1}
    for language, said in zip(
        LANGUAGES, ("reloads refused since the start: 1. ", "启动以来被拒绝的重新加载：1。"), strict=True
    ):
        assert said in shown(keeper, language)


async def test_it_is_looked_at_from_the_start_on(site: Path) -> None:
    (site / "gateway.toml").write_text(written(*ODD))
    keeper = keeper_in(site)
    looked = asyncio.Event()
    look = keeper.look

    async def noted() -> None:
        await look()
        looked.set()

    keeper.look = noted  # type: ignore[method-assign]
    async with keeping(keeper):
        await asyncio.wait_for(looked.wait(), 30.0)
    assert all(keeper.state().odd.values())
