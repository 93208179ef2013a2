"""Peers that a rule admits: no table each, a password each, and a peer like any other from then on."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import fields

from cascade.model.ids import PlatformId
from gateway.config import Config, examine, load
from gateway.config_admit import AdmitConfig, rule_for
from gateway.config_changes import changes_of, in_force
from gateway.config_peers import LowerConfig, LowerTerms
from interop.demo.sealing import seal
from tests.clock import run
from tests.gateway.test_explain_registration import Device
from tests.gateway.world import LOWER, LOWER_ID, OUTER_ID, PASSWORD, UPPER_ID, settings_in, text, world

CAMERA: Final = PlatformId("44010600001320000001")
NVR: Final = PlatformId("44010600001180000001")
ELSEWHERE: Final = PlatformId("34020000001320000001")
PLATFORM: Final = PlatformId("44010600002000000009")

CAMERAS: Final = """
[[outer.admit]]
name = "cameras of 440106"
region = "440106"
kinds = ["131", "132"]
keepalive_seconds = 30
transport = "udp"
"""
REST: Final = """
[[outer.admit]]
name = "all of 4401"
region = "4401"
"""


def written(*rules: str) -> str:
    return text(**{"[inner]\n": "".join(rules) + "\n[inner]\n"})


@pytest.fixture
def folder() -> Iterator[Path]:
    known = dict.fromkeys((LOWER_ID, CAMERA, NVR, ELSEWHERE), PASSWORD)
    with settings_in(written(CAMERAS, REST), known) as place:
        yield place


def admitted(folder: Path) -> dict[str, LowerConfig]:
    return {lower.id: lower for lower in load(folder / "gateway.toml").outer.lower}


def test_whoever_has_a_password_and_fits_is_a_peer_by_the_first_rule_that_fits(folder: Path) -> None:
    found = admitted(folder)
    assert list(found) == [LOWER_ID, CAMERA, NVR]
    assert (found[CAMERA].keepalive_seconds, found[CAMERA].transport) == (30.0, "udp")
    assert (found[NVR].keepalive_seconds, found[NVR].transport) == (60.0, "any")
    lowers = load(folder / "gateway.toml").outer.lowers("outer")
    assert lowers[CAMERA].networks == ("203.0.113.0/24",)
    assert (lowers[CAMERA].binding, lowers[CAMERA].domain) == ("same-host", CAMERA[:10])


def test_a_table_of_its_own_counts_before_any_rule(folder: Path) -> None:
    own = f'\n[[outer.lower]]\nid = "{CAMERA}"\nkeepalive_seconds = 5\n'
    (folder / "gateway.toml").write_text(written(CAMERAS, REST, own))
    found = load(folder / "gateway.toml").outer.lower
    assert [peer.keepalive_seconds for peer in found if peer.id == CAMERA] == [5.0]


def test_the_upper_of_a_side_is_no_peer_below_it_by_a_rule() -> None:
    """Its password stands beside theirs."""
    with settings_in(
        written().replace("[[inner.upper]]", f"{REST.replace('outer', 'inner')}\n[[inner.upper]]")
    ) as place:
        examined = examine(place / "gateway.toml")
        assert examined.config is not None
        assert examined.config.inner.lower == ()
        assert [str(one) for one in examined.warnings if "admits nobody" in str(one)]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ('name = "x"', "Rule x admits every id that has a password. Write `region` or `kinds` into it."),
        ('name = "x"\nregion = "44x"', "Region 44x is not what an id begins with."),
        ('name = "x"\nkinds = ["13"]', "Kind 13 is not three digits."),
        ('name = "cameras of 440106"\nregion = "1"', "There is a rule cameras of 440106 already."),
        ('name = "x"\nregion = "4401"\nmost = 1', "Rule x admits 2 ids that have a password, and at most 1."),
        ('name = "x"\nregion = "4401"\ntransport = "tls"', "outer does not listen for tls."),
        ('name = "x"\nregion = "4401"\nnetworks = ["203.0.113.7/24"]', "outer.admit[#2].networks"),
        ('name = "x"\nregion = "4401"\nmin_expires = 100\nmax_expires = 50', "outer.admit[#2].min_expires"),
        ('name = "x"\nregion = "4401"\nid = "44010600001320000001"', "This key is not known."),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(folder: Path, rule: str, says: str) -> None:
    known = dict.fromkeys((LOWER_ID, CAMERA, NVR, "44010600001180000002"), PASSWORD)
    with settings_in(written(CAMERAS, f"\n[[outer.admit]]\n{rule}\n"), known) as place:
        problems = list(map(str, examine(place / "gateway.toml").problems))
        assert [problem for problem in problems if says in problem], problems


def test_a_rule_that_admits_nobody_and_a_password_of_nobody_are_warned_of(folder: Path) -> None:
    away = '\n[[outer.admit]]\nname = "elsewhere"\nregion = "3402"\n'
    (folder / "gateway.toml").write_text(written(CAMERAS, REST, away))
    seal(folder / "gateway.toml", dict.fromkeys((LOWER_ID, CAMERA, NVR, ELSEWHERE, UPPER_ID), PASSWORD))
    never = '\n[[outer.admit]]\nname = "never"\nregion = "440106"\nkinds = ["132"]\n'
    (folder / "gateway.toml").write_text(written(CAMERAS, REST, never))
    warnings = list(map(str, examine(folder / "gateway.toml").warnings))
    assert len(warnings) == 2
    assert "Rule never admits nobody" in warnings[0] + warnings[1]
    assert str(ELSEWHERE) in warnings[0] + warnings[1]


def test_rules_may_name_whoever_a_rule_may_admit(folder: Path) -> None:
    file = folder / "gateway.toml"
    rule = f'\n[[rule]]\nid = "one"\ndirection = "inward"\npeer = "{PLATFORM}"\naction = "catalog.rows"\n'
    rule += 'channels = ["*"]\nverdict = "allow"\n'
    file.write_text(written(CAMERAS, REST) + rule)
    assert [str(one) for one in examine(file).problems if PLATFORM in str(one)] == []
    file.write_text(written(CAMERAS) + rule)
    assert [str(one) for one in examine(file).problems if PLATFORM in str(one)]


def test_a_rule_has_the_terms_of_a_table_and_the_id_and_aliases_are_its_own() -> None:
    terms = {field.name for field in fields(LowerTerms)}
    assert {field.name for field in fields(AdmitConfig)} - terms == {"name", "region", "kinds", "most"}
    assert {field.name for field in fields(LowerConfig)} - terms == {"id", "aliases", "dial"}


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        (CAMERA, True),
        (NVR, False),
        (ELSEWHERE, False),
        ("440106001320000001", False),  # 18 digits have no kind (Q10)
        ("4401060000132", False),
        ("44010600001320000001x", False),
    ],
)
def test_an_id_fits_by_its_region_and_its_kind(name: str, fits: bool) -> None:
    rule = AdmitConfig(name="x", region="440106", kinds=("132",))
    assert rule.admits(name) is fits
    assert AdmitConfig(name="x", region="440106").admits("440106-gate")


def configs(folder: Path, *texts: str) -> list[Config]:
    found = []
    for one in texts:
        (folder / "gateway.toml").write_text(one)
        found.append(load(folder / "gateway.toml"))
    return found


def test_what_a_reload_would_do_names_the_peers_that_come_and_go(folder: Path) -> None:
    both, cameras, slower = configs(
        folder, written(CAMERAS, REST), written(CAMERAS), written(CAMERAS.replace("30", "45"), REST)
    )
    [gone] = changes_of(both, cameras).peers
    assert (gone.removed, gone.added, gone.others) == ((NVR,), (), ())
    [other] = changes_of(both, slower).peers
    assert [(one.peer, one.keys) for one in other.others] == [(CAMERA, ("keepalive_seconds",))]
    assert changes_of(both, cameras).later == ()
    assert in_force(both, cameras).outer.admit == cameras.outer.admit


def test_who_is_admitted_registers_is_seen_and_outlives_a_restart_and_goes_with_its_rule() -> None:
    """The whole life of it, beside a neighbour that no rule admits."""

    async def scenario() -> None:
        known = dict.fromkeys((LOWER_ID, CAMERA), PASSWORD)
        async with world(lower_runs=False, written=written(CAMERAS), passwords=known) as here:
            device = Device(here, (LOWER, 5070))
            await device.tries(user=NVR)
            await device.tries(user=CAMERA)

            def online() -> dict[str, bool]:
                return {view.peer: view.online for view in here.gateway.outer.side.as_upper.state()}

            assert online() == {LOWER_ID: False, CAMERA: True}
            await here.kill()
            assert online() == {LOWER_ID: False, CAMERA: True}
            await here.life.stop()
            file = here.folder / "gateway.toml"
            file.write_text(written())
            await here.restart()
            assert online() == {LOWER_ID: False}
            device.close()

    run(scenario())


def test_many_are_read_in_one_pass(folder: Path) -> None:
    ids = [f"4401060000132{number:07d}" for number in range(3000)]
    with settings_in(written(CAMERAS), dict.fromkeys((LOWER_ID, *ids), PASSWORD)) as place:
        config = load(place / "gateway.toml")
        assert len(config.outer.lower) == 3001
        assert rule_for(config.outer, ids[-1]) is config.outer.admit[0]
        assert re.fullmatch(r"\d{20}", OUTER_ID)
