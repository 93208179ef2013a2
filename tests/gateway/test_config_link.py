"""The configuration of one host of two: what it may leave out, and what is wrong with its end of the link."""

from datetime import timedelta
from pathlib import Path

import pytest

from cascade.credential import Credential
from certs import shelf
from certs.identities import Identity, SideName
from gateway.config import examine, load
from gateway.credentials.holders import SideSecrets, load_secrets
from gateway.credentials.store import Holder, Place, changing
from gateway.words import LANGUAGES, Language, Words
from tests.gateway.cable import INNER, OUTER, Certificates
from tests.gateway.hosts import write_hosts
from tests.gateway.test_cli import lockgate
from tests.gateway.world import LOWER_ID, UPPER_ID, WALL, settings_in

OTHER: dict[SideName, SideName] = {"outer": "inner", "inner": "outer"}
SIDES: tuple[SideName, SideName] = ("outer", "inner")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both hosts' files as an administrator writes them, with certificates for today's clock."""
    with settings_in() as source:
        (tmp_path / "gateway.toml").write_bytes((source / "gateway.toml").read_bytes())
    write_hosts(tmp_path, "inner")
    Certificates(tmp_path / "certs", WALL, days=3650)
    (tmp_path / "certs" / shelf.AUTHORITY_KEY).rename(tmp_path / "ca.key")
    for side in SIDES:
        host = tmp_path / "hosts" / side
        host.mkdir(parents=True)
        for path in (tmp_path / "certs").glob("*.pem"):
            (host / path.name).write_bytes(path.read_bytes())
        (host / f"{side}.key").touch(mode=0o600)
        (host / f"{side}.key").write_bytes((tmp_path / "certs" / f"{side}.key").read_bytes())
        written = tmp_path / f"{side}.toml"
        written.write_text(written.read_text().replace("[link]", f'[link]\ncerts = "hosts/{side}"'))
    return tmp_path


def said(folder: Path, side: SideName) -> tuple[list[str], list[str]]:
    """Problems and warnings, without the name of the file."""
    examined = examine(folder / f"{side}.toml", side)
    wrong, odd = (
        [str(problem).partition(".toml: ")[2] for problem in problems]
        for problems in (examined.problems, examined.warnings)
    )
    return wrong, odd


@pytest.mark.parametrize("side", SIDES)
def test_a_host_needs_no_more_of_the_other_side_than_ids(folder: Path, side: SideName) -> None:
    assert said(folder, side) == ([], [])
    config = load(folder / f"{side}.toml", side)
    assert (config.outer.id, config.inner.id) == (OUTER.id, INNER.id)
    other = config.inner if side == "outer" else config.outer
    assert (other.address, other.networks) == ("", ("",))
    assert all(getattr(peer, "host", "") == "" for _, peer in other.peers())
    assert load_secrets(config).of(OTHER[side]) == SideSecrets({}, {})
    assert load_secrets(config).of(side) != SideSecrets({}, {})


def test_in_one_process_both_sides_are_written_whole(folder: Path) -> None:
    wrong = [str(problem) for problem in examine(folder / "outer.toml").problems]
    for key in ("inner.address", "inner.media_ports", "inner.networks", "inner.upper[#1].host"):
        assert any(f": {key}: This is missing." in problem for problem in wrong), key


def test_the_link_of_one_process_is_pointed_at(folder: Path) -> None:
    whole = folder / "gateway.toml"
    whole.write_text(whole.read_text() + '\n[link]\nouter = "10.9.0.1"\n')
    (warning,) = examine(whole).warnings
    assert warning.key == "link"


def edit(folder: Path, side: SideName, before: str, after: str) -> None:
    path = folder / f"{side}.toml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('inner = "10.9.0.2"', "", "link.inner: The address of the inner host"),
        ('inner = "10.9.0.2"', 'inner = "10.9.0.1"', "link.inner: Both hosts have the address 10.9.0.1."),
        ('inner = "10.9.0.2"', 'inner = "inner.example"', 'link.inner: "inner.example" is no IP address.'),
        ('dials = "inner"', 'dials = "me"', 'link.dials: "me" does not fit.'),
        ("[link]", "[link]\nport = 0", "link.port: 0 does not fit."),
        ("[link]", "[link]\nalive_seconds = 0", "link.alive_seconds: 0 does not fit."),
        ('certs = "hosts/outer"', 'certs = "nowhere"', "link.certs: "),
        (f'id = "{OUTER.id}"', 'id = "44010000002000000999"', "link.certs: The certificate speaks for outer"),
    ],
)
def test_what_is_wrong_with_the_link_is_said(folder: Path, before: str, after: str, says: str) -> None:
    edit(folder, "outer", before, after)
    wrong, _ = said(folder, "outer")
    assert any(problem.startswith(says) for problem in wrong), wrong


def test_a_certificate_whose_time_is_over_is_said(folder: Path) -> None:
    authority = folder / "certs"
    (folder / "ca.key").rename(authority / shelf.AUTHORITY_KEY)
    opened = shelf.opened(authority)
    since = opened.certificate.not_valid_before_utc - timedelta(days=900)
    for days, fits in ((1, False), (3000, True)):
        issued = shelf.certify(authority, opened, OUTER, since, days=days)
        (folder / "hosts" / "outer" / "outer.pem").write_bytes(issued.certificate_pem)
        (folder / "hosts" / "outer" / "outer.key").write_bytes(issued.key_pem)
        wrong, _ = said(folder, "outer")
        assert (wrong == []) is fits
        assert all("is good from" in problem for problem in wrong)


def test_what_does_not_belong_on_a_host_is_pointed_at(folder: Path) -> None:
    host = folder / "hosts" / "outer"
    for name, source in (("ca.key", "ca.key"), ("inner.key", "certs/inner.key")):
        (host / name).write_bytes((folder / source).read_bytes())
    (host / "outer.key").chmod(0o644)
    with changing(Place(folder / "outer.sealed", folder / "outer.key")) as kept:
        kept[Holder("inner", True, UPPER_ID)] = Credential.of(UPPER_ID, "4400000000", "x", 0.0)
    wrong, odd = said(folder, "outer")
    assert wrong == []
    assert len(odd) == 4
    for told in (
        "the key of the authority",
        "the key of the other host",
        "chmod 600",
        "runs on the other host",
    ):
        assert any(told in warning for warning in odd), told


def test_the_identity_of_the_certificate_is_that_of_the_side(folder: Path) -> None:
    assert str(Identity("outer", OUTER.id)) == f"outer {OUTER.id}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_whoever_grants_on_one_host_hears_that_the_other_judges_too(folder: Path, language: Language) -> None:
    asked = ("--peer", UPPER_ID, "--action", "control.ptz", "--channel", f"{LOWER_ID}/44010600001320000001")
    said_by = ("--by", "Li Na", "--reason", "missing child")
    there = ("--config", folder / "inner.toml", "--side", "inner")
    granted = lockgate("policy", "grant", *asked, *said_by, *there, language=language)
    assert granted.exit_code == 0, granted.output
    assert granted.stdout.splitlines()[-1] == Words(language).say("tickets.both")
    taken_back = lockgate("policy", "withdraw", "1", *there, language=language)
    assert taken_back.stdout.splitlines()[-1] == Words(language).say("tickets.both_withdrawn")
