"""`lockgate certs` as a person meets it."""

import re
import stat
from pathlib import Path

import pytest

from certs.trust import read_trust
from gateway.words import LANGUAGES, Language
from tests.gateway.test_cli import lockgate

OUTER_ID = "44010000002000000001"
INNER_ID = "44010000002000000002"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert lockgate("certs", "init", "--folder", tmp_path / "certs").exit_code == 0
    return tmp_path / "certs"


def test_an_authority_issues_lists_and_takes_back(folder: Path) -> None:
    for side, number in (("outer", OUTER_ID), ("inner", INNER_ID)):
        result = lockgate("certs", "issue", side, number, "--folder", folder)
        assert (result.exit_code, result.stderr) == (0, "")
        assert str(folder / f"{side}.key") in result.stdout
        assert read_trust(folder, "outer" if side == "outer" else "inner").own.identity.id == number
        assert stat.S_IMODE((folder / f"{side}.key").stat().st_mode) == 0o600
    listed = lockgate("certs", "list", "--folder", folder).stdout
    assert sorted(re.findall(r"  (\w+ \d{20})  from \S+ to \S+  (.+)", listed)) == [
        (f"inner {INNER_ID}", "good"),
        (f"outer {OUTER_ID}", "good"),
    ]
    number = next(line.split()[0] for line in listed.splitlines() if OUTER_ID in line)
    taken = lockgate("certs", "revoke", number[:12], "--folder", folder)
    assert (taken.exit_code, taken.stderr) == (0, "")
    assert str(folder / "revoked.pem") in taken.stdout
    (line,) = (
        line
        for line in lockgate("certs", "list", "--folder", folder).stdout.splitlines()
        if line.endswith("revoked")
    )
    assert line.startswith(number)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_does_not_fit_is_said_and_nothing_is_written(folder: Path, language: Language) -> None:
    def asked(*arguments: str | Path) -> str:
        result = lockgate("certs", *arguments, language=language)
        assert (result.exit_code, result.stdout) == (2, "")
        (line,) = result.stderr.splitlines()
        return line

    before = sorted(folder.rglob("*"))
    assert str(folder / "ca.key") in asked("init", "--folder", folder)
    assert "middle" in asked("issue", "middle", OUTER_ID, "--folder", folder)
    assert "123" in asked("issue", "outer", "123", "--folder", folder)
    assert "ffff" in asked("revoke", "ffff", "--folder", folder)
    assert str(folder / "no") in asked("list", "--folder", folder / "no")
    (folder / "ca.key").write_bytes(b"no key")
    assert str(folder) in asked("issue", "outer", OUTER_ID, "--folder", folder)
    assert sorted(folder.rglob("*")) == before


def test_an_empty_list_says_so(folder: Path) -> None:
    assert lockgate("certs", "list", "--folder", folder).stdout == "Nothing was issued yet.\n"
