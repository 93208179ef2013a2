"""Secrets at rest: sealed, with a sentence for whatever is wrong with store or key, and never shown."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from cascade.credential import Credential
from gateway.cli import build
from gateway.config import load
from gateway.credentials.holders import load_secrets
from gateway.credentials.key import SecretsUnusable
from gateway.credentials.sealed import CutOff, Damaged, NotSealed, WrongKey, opened, seal
from gateway.credentials.store import Holder, Place, changing, read
from gateway.words import LANGUAGES, Language, Words
from sip.algorithms import ALGORITHMS
from tests.gateway.world import LOWER_ID, UPPER_ID, text

PASSWORD: Final = "天河-open sesame"
KEY: Final = bytes(range(32))


def lockgate(*arguments: str | Path, typed: str | None = None, language: Language = "en") -> Result:
    """`typed` is what comes on standard input."""
    return CliRunner().invoke(build(Words(language)), [str(each) for each in arguments], input=typed)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration without secrets."""
    (tmp_path / "gateway.toml").write_text(text())
    return tmp_path


def set_secret(site: Path, peer: str, password: str = PASSWORD, *more: str) -> Result:
    return lockgate("secret", "set", peer, *more, "-c", site / "gateway.toml", typed=f"{password}\n")


def credential(site: Path, peer: str = LOWER_ID) -> Credential:
    secrets = load_secrets(load(site / "gateway.toml"))
    return {**secrets.outer.below, **secrets.inner.above}[peer]


def test_a_secret_is_set_sealed_under_a_key_of_its_own_and_taken(site: Path) -> None:
    for peer in (LOWER_ID, UPPER_ID):
        result = set_secret(site, peer)
        assert (result.exit_code, result.stderr) == (0, ""), result.stderr
        assert f"The secret of {peer} is set:" in result.stdout
        assert "lockgate reload" in result.stdout
        assert PASSWORD not in result.output
    store, key = site / "state" / "secrets.sealed", site / "secrets.key"
    for file in (store, key):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = credential(site)
    assert kept == Credential.of(LOWER_ID, "4401000000", PASSWORD, 0.0)
    assert credential(site, UPPER_ID) == Credential.of("44010000002000000002", "4400000000", PASSWORD, 0.0)
    everything = b"".join(file.read_bytes() for file in site.rglob("*") if file.is_file())
    for _, ha1 in kept.keys(ALGORITHMS):
        assert ha1.encode() not in everything
        assert bytes.fromhex(ha1) not in everything
        assert ha1 not in repr(kept)
    assert PASSWORD.encode() not in everything
    assert lockgate("check", "-c", site / "gateway.toml").exit_code == 0


def test_another_user_name_is_kept_with_the_secret_of_an_upper(site: Path) -> None:
    set_secret(site, LOWER_ID)
    assert set_secret(site, UPPER_ID, PASSWORD, "--user", "gate-7").exit_code == 0
    assert credential(site, UPPER_ID).user == "gate-7"
    result = set_secret(site, LOWER_ID, PASSWORD, "--user", "camera")
    assert result.exit_code == 2
    assert f"Peer {LOWER_ID} is user {LOWER_ID}, not camera." in result.stderr


@pytest.mark.parametrize(
    ("peer", "password", "says"),
    [
        ("44010000002000009999", "x", "No peer of the configuration has the id 44010000002000009999."),
        (LOWER_ID, "", "The password is empty."),
        (LOWER_ID, "x" * 129, "The password is too long."),
        (LOWER_ID, "a\tb", "cannot be printed"),
    ],
)
def test_what_cannot_be_a_secret_is_refused(site: Path, peer: str, password: str, says: str) -> None:
    result = set_secret(site, peer, password)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert not (site / "secrets.key").exists()


def test_the_same_secret_again_changes_nothing_and_another_one_does(site: Path) -> None:
    set_secret(site, LOWER_ID)
    before = (site / "state" / "secrets.sealed").read_bytes()
    assert "is what it was" in set_secret(site, LOWER_ID).stdout
    assert (site / "state" / "secrets.sealed").read_bytes() == before
    assert "is set" in set_secret(site, LOWER_ID, "another").stdout
    assert (site / "state" / "secrets.sealed").read_bytes() != before


def test_a_list_names_who_has_one_and_who_has_none_and_shows_none(site: Path) -> None:
    set_secret(site, LOWER_ID)
    result = lockgate("secret", "list", "-c", site / "gateway.toml")
    assert result.exit_code == 1
    one, two = result.stdout.splitlines()
    assert f"{LOWER_ID} proves itself as {LOWER_ID} in realm 4401000000: MD5, SHA-256, SM3, since 20" in one
    assert two == f"Peer {UPPER_ID} has no secret. Run: lockgate secret set {UPPER_ID}"
    set_secret(site, UPPER_ID)
    result = lockgate("secret", "list", "-c", site / "gateway.toml")
    assert result.exit_code == 0
    assert not any(
        ha1 in result.stdout for _, ha1 in Credential.of(LOWER_ID, "4401000000", PASSWORD, 0).keys(ALGORITHMS)
    )


def test_a_secret_is_removed(site: Path) -> None:
    set_secret(site, LOWER_ID)
    result = lockgate("secret", "remove", LOWER_ID, "-c", site / "gateway.toml")
    assert (result.exit_code, result.stderr) == (0, "")
    result = lockgate("secret", "remove", LOWER_ID, "-c", site / "gateway.toml")
    assert result.exit_code == 1
    assert f"Peer {LOWER_ID} has no secret." in result.stderr


def bring(site: Path, content: bytes, *more: str, name: str = "passwords.csv") -> Result:
    (site / name).write_bytes(content)
    return lockgate("secret", "import", site / name, *more, "-c", site / "gateway.toml")


def test_a_table_is_imported_and_each_broken_line_costs_itself(site: Path) -> None:
    set_secret(site, UPPER_ID, "as it was")
    lines = [
        "peer,password,user",
        f"{LOWER_ID},pw-one,",
        "",
        f"{UPPER_ID},pw-three,",
        "44010000002000009999,x,",
        f"{LOWER_ID},pw-two,",
        f'{LOWER_ID},"open,',
        f"{LOWER_ID}",
        f"{LOWER_ID},,",
        f"{LOWER_ID},{'x' * 2000},",
        f"{LOWER_ID},x,somebody",
    ]
    result = bring(site, "\r\n".join(lines).encode())
    assert result.exit_code == 1
    file = site / "passwords.csv"
    told = result.stderr.splitlines()
    assert [line.split(": ")[:2] for line in told] == [
        [str(file), f"line {number}"] for number in range(5, 12)
    ]
    for line, says in zip(
        told,
        ("No peer", "in line 2", "not CSV", "has 1 values", "empty", "1024", "not somebody"),
        strict=True,
    ):
        assert says in line
    assert result.stdout.splitlines()[0] == "1 added, 1 changed, 0 as they were, 7 refused."
    assert credential(site) == Credential.of(LOWER_ID, "4401000000", "pw-one", 0.0)
    assert credential(site, UPPER_ID).realm == "4400000000"
    assert not any(word in result.output for word in ("pw-one", "pw-two", "pw-three"))


def test_a_dry_run_says_the_same_and_changes_nothing(site: Path) -> None:
    result = bring(site, f"{LOWER_ID},one\n{UPPER_ID},two\nnobody,x\n".encode(), "--dry-run")
    assert result.exit_code == 1
    assert result.stdout == (
        "Would be: 2 added, 0 changed, 0 as they were, 1 refused. Nothing was changed.\n"
    )
    assert not (site / "secrets.key").exists()
    assert not (site / "state" / "secrets.sealed").exists()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_a_table_as_offices_save_it_is_read(site: Path, encoding: str) -> None:
    assert bring(site, f"{LOWER_ID},{PASSWORD}\n{UPPER_ID},x\n".encode(encoding)).exit_code == 0
    assert credential(site) == Credential.of(LOWER_ID, "4401000000", PASSWORD, 0.0)


def test_the_passwords_of_earlier_versions_are_imported_with_a_sentence(site: Path) -> None:
    old = f'[outer.passwords]\n"{LOWER_ID}" = "one"\n\n[inner.passwords]\n"{UPPER_ID}" = "two"\n'
    (site / "secrets.toml").write_text(old)
    result = lockgate("check", "-c", site / "gateway.toml")
    assert f"lockgate secret import {site}/secrets.toml" in result.stderr
    result = bring(site, old.encode(), name="secrets.toml")
    assert result.exit_code == 0
    assert f"nothing reads {site / 'secrets.toml'} any more. Remove it." in result.stdout
    assert credential(site) == Credential.of(LOWER_ID, "4401000000", "one", 0.0)
    result = bring(site, f'[inner.passwords]\n"{LOWER_ID}" = "x"\n'.encode(), name="secrets.toml")
    assert result.exit_code == 1
    assert f"line 2: Peer {LOWER_ID} is not on the side inner." in result.stderr


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"\xff\xff\xff", "x.csv", "neither UTF-8 nor GB18030"),
        (b"[outer", "x.toml", "is not TOML"),
        (b"x" * 70_000_000, "x.csv", "larger than 64 MiB"),
    ],
    ids=["no text", "no TOML", "too large"],
)
def test_a_file_that_cannot_be_imported_is_said(site: Path, content: bytes, name: str, says: str) -> None:
    result = bring(site, content, name=name)
    assert result.exit_code == 2
    assert says in result.stderr
    assert lockgate("secret", "import", site / "nowhere.csv", "-c", site / "gateway.toml").exit_code == 2


def into_folder(file: Path) -> None:
    file.unlink()
    file.mkdir(0o700)


SPOILT: Final[dict[str, tuple[Callable[[Path, Path], object], str]]] = {
    "no key": (lambda store, key: key.unlink(), "their key is missing"),
    "key for all": (lambda store, key: key.chmod(0o640), "chmod 600"),
    "another key": (lambda store, key: key.write_text("ab" * 32), "sealed with another key"),
    "no such key": (lambda store, key: key.write_text("not a key"), "64 hex digits"),
    "a folder for a key": (lambda store, key: into_folder(key), "cannot be read"),
    "cut off": (lambda store, key: os.truncate(store, store.stat().st_size - 1), "are cut off"),
    "cut off in its head": (lambda store, key: os.truncate(store, 30), "are cut off"),
    "empty": (lambda store, key: os.truncate(store, 0), "are cut off"),
    "longer": (lambda store, key: store.write_bytes(store.read_bytes() + b"x"), "are cut off"),
    "changed": (lambda store, key: store.write_bytes(store.read_bytes()[:-1] + b"\0"), "were changed"),
    "another file": (lambda store, key: store.write_text("[outer.passwords]"), "another kind of file"),
    "a folder": (lambda store, key: into_folder(store), "cannot be read"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_is_wrong_with_store_or_key_is_a_sentence_and_nothing_is_lost(site: Path, how: str) -> None:
    store, key = site / "state" / "secrets.sealed", site / "secrets.key"
    for peer in (LOWER_ID, UPPER_ID):
        set_secret(site, peer)
    spoil, says = SPOILT[how]
    spoil(store, key)
    before = store.read_bytes() if store.is_file() else b""
    commands = (
        ("check",),
        ("run",),
        ("secret", "list"),
        ("secret", "set", LOWER_ID),
        ("secret", "remove", LOWER_ID),
    )
    for command in commands:
        result = lockgate(*command, "-c", site / "gateway.toml", typed="another\n")
        assert result.exit_code == 2, command
        assert says in result.stderr, command
        assert len(result.stderr.splitlines()) == 1
        assert PASSWORD not in result.output
    for language in LANGUAGES:
        result = lockgate("check", "-c", site / "gateway.toml", language=language)
        assert result.stderr.rstrip().endswith((".", "。", ")", "）", str(key)))
    assert (store.read_bytes() if store.is_file() else b"") == before


def test_a_key_that_is_given_is_used_and_none_is_made(site: Path, tmp_path: Path) -> None:
    given = tmp_path / "elsewhere" / "given.key"
    given.parent.mkdir()
    given.touch(mode=0o600)
    given.write_text(KEY.hex())
    (site / "gateway.toml").write_text(f'[secrets]\nkey = "{given}"\n\n{text()}')
    assert set_secret(site, LOWER_ID).exit_code == 0
    assert not (site / "secrets.key").exists()
    [(holder, kept)] = read(Place(site / "state" / "secrets.sealed", given)).items()
    assert (holder, kept.user) == (Holder("outer", False, LOWER_ID), LOWER_ID)


def clear_and_fail(place: Place) -> None:
    with changing(place) as kept:
        kept.clear()
        kept[Holder("outer", False, "x")] = Credential("x", "r", 1 // 0, b"")


def test_a_change_that_fails_leaves_what_was(site: Path) -> None:
    set_secret(site, LOWER_ID)
    place = Place(site / "state" / "secrets.sealed", site / "secrets.key")
    before = place.store.read_bytes()
    with pytest.raises(ZeroDivisionError):
        clear_and_fail(place)
    assert place.store.read_bytes() == before
    place.key.unlink()
    with pytest.raises(SecretsUnusable):
        clear_and_fail(place)
    assert not place.key.exists()


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(1, 255))
def test_whatever_is_changed_in_a_sealed_file_is_noticed(content: bytes, at: int, by: int) -> None:
    whole = seal(content, KEY)
    assert opened(whole, KEY) == content
    at %= len(whole)
    changed = bytearray(whole)
    changed[at] ^= by
    with pytest.raises((NotSealed, CutOff, WrongKey, Damaged)):
        opened(bytes(changed), KEY)
    with pytest.raises((NotSealed, CutOff)):
        opened(whole[:at], KEY)
    with pytest.raises(WrongKey):
        opened(whole, bytes(32))


@given(st.binary(max_size=200))
def test_any_bytes_are_opened_or_refused(data: bytes) -> None:
    with pytest.raises((NotSealed, CutOff, WrongKey, Damaged)):
        opened(data, KEY)
