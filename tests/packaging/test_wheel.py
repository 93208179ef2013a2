"""The wheel of `lockgate`: what is in it, that it needs no checkout, and that its names are its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = {"gateway", "sip", "media", "cascade", "certs", "interop"}
OURS: Final = {"lockgate", "lockgate-native"}
STARTS: Final = {
    "lockgate": "gateway.__main__:main",
    "lockgate-sim": "interop.sim.__main__:main",
}
NEEDED_AT_RUN_TIME: Final = {
    f"gateway/{name}.toml"
    for language in ("en", "zh")
    for name in (
        f"words/{language}",
        f"cli/templates/{language}/gateway",
    )
}

ALONE: Final = """
import importlib, json, sys
wheel, packages, *starts = sys.argv[1:]
sys.path[:0] = [wheel, packages]
for start in starts:
    module, _, function = start.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
from importlib.resources import files
assert files("gateway.cli").joinpath("templates", "zh", "gateway.toml").read_text(encoding="utf-8")
loaded = {name: module.__file__ for name, module in sys.modules.items() if getattr(module, "__file__", None)}
print(json.dumps(loaded))
"""
"""Loads both programs and the gateway with nothing on the path but the wheel and what is installed, links
to checkouts left aside (-S), and prints where each module came from."""


def uv() -> str:
    """The tool that the Makefile brought; `uv run` names itself in the environment."""
    ours = ROOT / ".tools" / "bin" / "uv"
    found = os.environ.get("UV") or (str(ours) if ours.exists() else shutil.which("uv"))
    assert found, "no uv: run `make test`, which brings its own"
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this checkout, offline: the build backend is there since the environment was made."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [uv(), "build", "--wheel", "--offline", "--quiet", "--out-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_is_pure_and_named_as_we_are(wheel: Path) -> None:
    assert re.fullmatch(r"lockgate-[0-9.]+-py3-none-any\.whl", wheel.name)


def test_it_holds_our_six_packages_and_nothing_else(names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert len(tops) == len(PACKAGES) + 1


def test_it_holds_every_module_and_no_test(names: list[str]) -> None:
    written = {
        file.relative_to(ROOT).as_posix() for package in PACKAGES for file in (ROOT / package).rglob("*.py")
    }
    wanted = {name for name in written if not name.startswith(("interop/scenarios/", "interop/peers/"))}
    assert {name for name in names if name.endswith(".py")} == wanted
    assert [name for name in names if Path(name).name.startswith(("test_", "conftest"))] == []


def test_it_holds_what_is_read_at_run_time(names: list[str]) -> None:
    assert set(names) >= NEEDED_AT_RUN_TIME


def test_it_brings_both_programs(wheel: Path, names: list[str]) -> None:
    (listed,) = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
    parser = ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        parser.read_string(archive.read(listed).decode())
    assert dict(parser["console_scripts"]) == STARTS


def test_it_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    native = find_spec("lockgate_native")
    assert native is not None
    assert native.origin is not None
    installed = Path(native.origin).parents[1]
    starts = [*STARTS.values(), "gateway.app:run"]
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(unpacked), str(installed), *starts]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    ours = {name: file for name, file in loaded.items() if name.partition(".")[0] in PACKAGES}
    assert {name.partition(".")[0] for name in ours} >= {"gateway", "sip", "media", "cascade", "interop"}
    assert [file for file in ours.values() if not file.startswith(str(unpacked))] == []


def test_nobody_else_installs_one_of_our_names() -> None:
    """A package `sip` of somebody else in the same folder would be mixed with ours, file by file."""
    claimed = {
        f"{other.metadata['Name']}: {file}"
        for other in distributions()
        if other.metadata["Name"] not in OURS
        for file in other.files or ()
        if file.parts[0].partition(".")[0] in PACKAGES | {"lockgate_native", "tests", "benchmarks"}
    }
    assert claimed == set()
