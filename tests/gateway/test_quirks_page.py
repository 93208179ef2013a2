"""docs/quirks.md: every quirk of signalling has a row, its tests are there and its switches are keys."""

import re
from pathlib import Path
from typing import Final

import msgspec

from gateway.config_peers import LowerConfig, UpperConfig

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "quirks.md").read_text(encoding="utf-8")
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| Q")
]
CODE: Final = re.compile(r"`([^`]+)`")
WANTED: Final = [*range(1, 16), 44, 53, 60, 61, 63, 98, 103, *range(105, 112)]
DEFINED: Final = re.compile(r"^\s*(?:async )?(?:def|fn) (\w+)", re.MULTILINE)


def defined() -> set[str]:
    """Names of all functions of tests, Python's and the engine's."""
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "native" / "sip-core" / "src").rglob("*.rs")]
    return {name for file in files for name in DEFINED.findall(file.read_text(encoding="utf-8"))}


def test_each_quirk_has_one_row_that_says_all() -> None:
    assert [int(number[1:]) for number, *_ in ROWS] == WANTED
    for _, habit, ours, _, tests in ROWS:
        assert habit
        assert ours
        assert CODE.search(tests)


def test_the_tests_and_vectors_are_there() -> None:
    known = defined()
    for number, *_, tests in ROWS:
        for name in CODE.findall(tests):
            if name.startswith("vectors/"):
                assert list((ROOT / "tests" / "sip").glob(f"{name}.*")), (number, name)
            else:
                assert name in known, (number, name)


def test_the_switches_are_keys_of_peers_with_these_defaults() -> None:
    fields = {
        field.name: field for kind in (LowerConfig, UpperConfig) for field in msgspec.structs.fields(kind)
    }
    for number, _, _, switches, _ in ROWS:
        for switch in filter(None, map(str.strip, switches.split(";"))):
            name, _, values = switch.partition(":")
            (key,) = CODE.findall(name)
            if key == "[SIDE.limits]":
                continue
            assert key in fields, (number, key)
            default = values.split("(")[0].split(",")[0].strip()
            given = fields[key].default
            assert default == "none" or given in (None, "") or str(given).removesuffix(".0") == default, (
                number
            )
