"""The configuration: defaults, and a sentence with file, key and remedy for each thing that is wrong."""

import ast
import dataclasses
import inspect
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.credential import Credential
from cascade.model.ids import GbId, PlatformId
from cascade.peers import LowerPeer, LowerTerms, UpperPeer, usual_binding
from gateway.chamber.rules import Rule
from gateway.config import (
    Config,
    ConfigError,
    GatewayConfig,
    LogConfig,
    MediaConfig,
    SecretsConfig,
    SideConfig,
    examine,
    load,
)
from gateway.config_peers import LowerConfig, UpperConfig
from gateway.credentials.holders import load_secrets
from gateway.words import LANGUAGES, Words
from interop.demo.sealing import seal
from tests.cascade.lowers import lower

LOWER = PlatformId("44010000002000000001")
UPPER = PlatformId("44000000002000000001")

CONFIG = f"""
[gateway]
state = "state"

[outer]
id = "44010000002000000999"
address = "127.0.1.1"
media_ports = [30000, 30099]
networks = ["127.0.1.0/24"]

[[outer.lower]]
id = "{LOWER}"

[inner]
id = "44000000002000000999"
address = "127.0.2.1"
media_ports = [30000, 30099]
networks = ["127.0.2.0/24"]

[[inner.upper]]
id = "{UPPER}"
host = "127.0.2.9"

[[rule]]
id = "no-schools"
direction = "inward"
action = "catalog.rows"
channels = ["branch:44010000002150000002"]
verdict = "deny"

[[rule]]
id = "share"
direction = "inward"
action = "catalog.rows"
channels = ["*"]
verdict = "allow"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gateway.toml").write_text(CONFIG)
    seal(tmp_path / "gateway.toml", {LOWER: "open sesame", UPPER: "abracadabra"})
    return tmp_path


def edited(
    folder: Path, *changes: tuple[str, str], file: str = "gateway.toml"
) -> tuple[list[str], list[str]]:
    """What is wrong and what is odd after replacing texts, each as one line."""
    text = (folder / file).read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    (folder / file).write_text(text)
    examined = examine(folder / "gateway.toml")
    return list(map(str, examined.problems)), list(map(str, examined.warnings))


def test_a_small_document_fills_in_the_rest(folder: Path) -> None:
    config = load(folder / "gateway.toml")
    assert config.gateway.state == str(folder / "state")
    assert config.secrets == SecretsConfig(
        store=str(folder / "state" / "secrets.sealed"), key=str(folder / "secrets.key")
    )
    us = config.outer.us()
    assert (us.id, us.domain, us.name) == (GbId("44010000002000000999"), "4401000000", "Lockgate")
    assert config.outer.lowers("outer") == {
        LOWER: lower(
            LOWER,
            networks=("127.0.1.0/24",),
            media_networks=("127.0.1.0/24",),
            domain="4401000000",
            binding="reauth",
        )
    }
    assert config.inner.uppers() == {
        UPPER: UpperPeer(
            id=UPPER,
            realm="4400000000",
            domain="4400000000",
            host="127.0.2.9",
            username="44000000002000000999",
            networks=("127.0.2.9",),
            media_networks=("127.0.2.9",),
        )
    }
    assert [rule.id for rule in config.rules().rules] == ["no-schools", "share"]
    assert not examine(folder / "gateway.toml").warnings


@pytest.mark.parametrize(
    ("id", "outside", "usual"),
    [
        ("44010600001180000001", True, "same-host"),  # a recorder
        ("44010600001320000001", True, "same-host"),  # a camera that registers itself
        ("34020000", True, "same-host"),  # what is no id of the standard is no platform (Q10)
        ("44010600002000000001", True, "reauth"),  # a platform
        ("44010600002110000001", True, "reauth"),  # a signalling gateway of one
        ("44010600001180000001", False, "reauth"),
        ("44010600002000000001", False, "reauth"),
    ],
)
def test_how_far_an_address_may_move_is_usual_for_its_role(id: str, outside: bool, usual: str) -> None:
    assert usual_binding(PlatformId(id), outside=outside) == usual


def test_a_binding_that_is_written_counts_for_every_role(folder: Path) -> None:
    file = folder / "gateway.toml"
    file.write_text(file.read_text().replace(f'id = "{LOWER}"', f'id = "{LOWER}"\nbinding = "strict"', 1))
    assert load(file).outer.lowers("outer")[LOWER].binding == "strict"


REQUIRED: Final = object()


def defaults(table: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(table):
        found = {field.name: field.default for field in dataclasses.fields(table)}
    else:
        found = {field.name: field.default for field in msgspec.structs.fields(table)}
    missing = (dataclasses.MISSING, msgspec.NODEFAULT)
    return {name: REQUIRED if default in missing else default for name, default in found.items()}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(LowerConfig, defaults(LowerTerms) | {"id": REQUIRED}), (UpperConfig, defaults(UpperPeer))],
    ids=["lower", "upper"],
)
def test_the_document_has_the_fields_and_defaults_of_the_peer(ours: Any, theirs: dict[str, Any]) -> None:
    given = defaults(ours)
    assert given.keys() == theirs.keys()
    filled_in = {"networks", "media_networks", "domain", "username", "binding"}
    assert {name: given[name] for name in given.keys() - filled_in} == {
        name: theirs[name] for name in theirs.keys() - filled_in
    }


def test_a_peer_shows_each_of_its_terms() -> None:
    terms = LowerTerms(networks=("192.0.2.0/24",), subscribe=("alarm",))
    peer = LowerPeer(LOWER, terms)
    for name in defaults(LowerTerms):
        assert getattr(peer, name) is getattr(terms, name)


def test_every_field_says_what_it_is() -> None:
    """A text stands below each field of each table that an operator writes."""
    tables = {
        LowerConfig,
        UpperConfig,
        SideConfig,
        GatewayConfig,
        SecretsConfig,
        MediaConfig,
        LogConfig,
        Rule,
    }
    for table in tables:
        (definition,) = ast.parse(inspect.getsource(table)).body
        assert isinstance(definition, ast.ClassDef)
        for line, following in pairwise([*definition.body, ast.Pass()]):
            if isinstance(line, ast.AnnAssign):
                assert isinstance(following, ast.Expr), ast.unparse(line)


def test_secrets_are_read_and_never_shown(folder: Path) -> None:
    secrets = load_secrets(load(folder / "gateway.toml"))
    assert secrets.outer.below == {LOWER: Credential.of(LOWER, "4401000000", "open sesame", 0.0)}
    assert secrets.inner.above[UPPER].user == "44000000002000000999"
    assert secrets.inner.above[UPPER].keys(["MD5"])[0][1] not in repr(secrets)


CASES = tomllib.loads((Path(__file__).parent / "vectors" / "config_problems.toml").read_text())["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"][:60])
def test_what_is_wrong_is_said_with_file_key_and_remedy(folder: Path, case: dict[str, str]) -> None:
    problems, _ = edited(folder, (case["before"], case["after"]))
    matching = [problem for problem in problems if case["says"] in problem]
    assert matching, problems
    assert all(problem.startswith(str(folder / "gateway.toml")) for problem in matching)
    assert all(problem.endswith((".", '"', "]")) for problem in matching)
    for problem in examine(folder / "gateway.toml").problems:
        chinese = problem.said(Words("zh"))
        assert chinese.startswith(problem.file)
        assert re.search(r"[\u4e00-\u9fff]", chinese)


def test_everything_that_does_not_fit_is_said_at_once(folder: Path) -> None:
    problems, _ = edited(
        folder,
        ('state = "state"', "state = 5"),
        (f'id = "{LOWER}"', f'id = "{LOWER}"\nexpires = 60\nport = 5060'),
        ('verdict = "deny"', 'verdict = "no"'),
    )
    assert len(problems) == 4


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (f'id = "{LOWER}"', 'id = "44010000002000000002"', "Peer 44010000002000000002 has no secret."),
        (
            "[outer]",
            '[outer]\ndomain = "4402000000"',
            "is for the realm 4401000000, and 4402000000 is asked for.",
        ),
        (
            f'id = "{UPPER}"',
            f'id = "{UPPER}"\nrealm = "abc"',
            "is for the realm 4400000000, and abc is asked for.",
        ),
        (f'id = "{UPPER}"', f'id = "{UPPER}"\nusername = "gate"', "44000000002000000999, not gate."),
        ("[outer]", '[secrets]\nkey = "other.key"\n\n[outer]', "other.key is not there."),
        ("[outer]", '[secrets]\nstore = "gateway.toml"\n\n[outer]', "it is another kind of file."),
    ],
)
def test_what_is_wrong_with_the_secrets_is_said_without_them(
    folder: Path, before: str, after: str, says: str
) -> None:
    problems, _ = edited(folder, (before, after))
    assert any(says in problem for problem in problems), problems
    assert not any(word in str(problems) for word in ("sesame", "abracadabra"))


def test_a_file_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(folder / "nowhere.toml")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            'channels = ["branch:44010000002150000002"]\nverdict = "deny"',
            'channels = ["*"]\nverdict = "allow"',
            'Rule "share" never decides: "no-schools" (rule[#1]) above it covers it.',
        ),
        (
            'direction = "inward"\naction = "catalog.rows"\nchannels = ["*"]',
            f'direction = "inward"\naction = "catalog.rows"\npeer = "{LOWER}"\n'
            'channels = ["id:44010000002150000002"]',
            'Rule "share" never decides',
        ),
        (f'id = "{LOWER}"', 'id = "12345678"', "12345678 is not 20 digits."),
        (f'[[outer.lower]]\nid = "{LOWER}"', "", "This side has no peer."),
    ],
)
def test_what_is_odd_is_a_warning(folder: Path, before: str, after: str, says: str) -> None:
    _, warnings = edited(folder, (before, after))
    assert any(says in warning and warning.startswith("warning: ") for warning in warnings), warnings


@pytest.mark.parametrize("transport", ["tcp", "udp+tcp"])
def test_an_upper_that_we_do_not_listen_for_is_odd_and_one_that_we_do_is_not(
    folder: Path, transport: str
) -> None:
    spoken = f'host = "127.0.2.9"\ntransport = "{transport}"'
    _, warnings = edited(folder, ('host = "127.0.2.9"', spoken))
    assert ["inner does not listen for tcp" in warning for warning in warnings] == [True]
    listening = 'address = "127.0.2.1"\nlisten = [{ transport = "tcp" }]'
    _, warnings = edited(folder, ('address = "127.0.2.1"', listening))
    assert warnings == []


def test_a_rule_behind_a_narrower_one_is_no_warning(folder: Path) -> None:
    _, warnings = edited(folder, ('["branch:44010000002150000002"]', '["prefix:4401"]'))
    assert not warnings


def test_passwords_in_clear_and_secrets_of_nobody_are_warnings(folder: Path) -> None:
    (folder / "secrets.toml").write_text("[outer.passwords]\n")
    problems, warnings = edited(folder, (f'[[outer.lower]]\nid = "{LOWER}"\n', ""))
    assert not problems
    assert any(f"Run: lockgate secret import {folder}/secrets.toml" in warning for warning in warnings)
    assert any(f"run: lockgate secret remove {LOWER}" in warning for warning in warnings)


def test_a_document_without_rules_is_a_warning(folder: Path) -> None:
    text = (folder / "gateway.toml").read_text()
    _, warnings = edited(folder, (text[text.index("[[rule]]") :], ""))
    assert any("nothing may cross" in warning for warning in warnings)


def test_an_absolute_state_stays_as_it_is(folder: Path) -> None:
    edited(folder, ('state = "state"', f'state = "{folder}/elsewhere"'))
    (folder / "state").rename(folder / "elsewhere")
    assert load(folder / "gateway.toml").gateway.state == f"{folder}/elsewhere"


@settings(deadline=None)
@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))
def test_any_file_is_a_document_or_problems(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("config") / "gateway.toml"
    path.write_bytes(data)
    assert examine(path).problems


VALUES = st.recursive(
    st.integers() | st.floats() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None)
@given(table=st.sampled_from(["gateway", "outer", "inner", "rule", "log", "media"]), value=VALUES)
def test_any_value_in_place_of_a_table_is_a_problem_or_fits(table: str, value: object) -> None:
    from gateway.config_reading import _misfits

    document = {"gateway": {"state": "x"}, table: value}
    for _, what in _misfits(document, Config, ""):
        assert all(Words(language).render(what) for language in LANGUAGES)
