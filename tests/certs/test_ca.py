"""The authority certifies one side in one form, and only what it certified is believed."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given
from hypothesis import strategies as st

from certs import shelf
from certs.ca import NotOurs, create, identity_of, issue, read_authority, revocations, revoked
from certs.identities import Identity
from certs.trust import judge, read_trust

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OUTER = Identity("outer", "44010000002000000001")
INNER = Identity("inner", "44010000002000000002")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shelf.found(tmp_path, NOW, days=3653)
    return tmp_path


@pytest.mark.parametrize("who", [OUTER, INNER])
def test_an_identity_is_one_uri(who: Identity) -> None:
    issued = issue(create(NOW, days=10), who, NOW, days=1)
    assert identity_of(issued.certificate) == who
    assert Identity.of_uri(who.uri) == who


@pytest.mark.parametrize(
    "uri",
    [
        "lockgate:outer/4401000000200000000",
        "lockgate:outer/440100000020000000012",
        "lockgate:middle/44010000002000000001",
        "lockgate:outer/44010000002000000001\n",
        "LOCKGATE:outer/44010000002000000001",
        "lockgate:outer/٤٤٠١٠٠٠٠٠٠٢٠٠٠٠٠٠٠٠١",
        "x-lockgate:outer/44010000002000000001",
    ],
)
def test_nothing_but_our_form_is_an_identity(uri: str) -> None:
    assert Identity.of_uri(uri) is None


@given(st.text())
def test_any_text_is_an_identity_of_the_same_uri_or_none(text: str) -> None:
    found = Identity.of_uri(text)
    assert found is None or found.uri == text


def test_a_certificate_with_a_second_name_speaks_for_nobody() -> None:
    authority = create(NOW, days=10)
    whole = issue(authority, OUTER, NOW, days=1).certificate
    names = [x509.UniformResourceIdentifier(OUTER.uri), x509.DNSName("inner.example")]
    changed = (
        x509.CertificateBuilder()
        .subject_name(whole.subject)
        .issuer_name(whole.issuer)
        .public_key(authority.key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    assert identity_of(changed) is None
    assert judge(changed.public_bytes(serialization.Encoding.DER), OUTER, NOW) == "wrong-side"


def test_private_keys_are_their_owners_alone(folder: Path) -> None:
    shelf.certify(folder, shelf.opened(folder), OUTER, NOW, days=1)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.*")}
    assert modes["ca.key"] == modes["outer.key"] == 0o600
    assert modes["ca.pem"] & modes["outer.pem"] & modes["revoked.pem"] & 0o444 == 0o444


def test_an_authority_is_never_overwritten(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.glob("*.*")}
    with pytest.raises(FileExistsError):
        shelf.found(folder, NOW, days=1)
    assert {path: path.read_bytes() for path in folder.glob("*.*")} == before


def test_no_certificate_outlives_its_authority() -> None:
    authority = create(NOW, days=10)
    assert issue(authority, OUTER, NOW, days=100).certificate.not_valid_after_utc == authority.until


def test_the_list_says_of_each_what_became_of_it(folder: Path) -> None:
    authority = shelf.opened(folder)
    old = shelf.certify(folder, authority, OUTER, NOW, days=1)
    new = shelf.certify(folder, authority, OUTER, NOW + timedelta(hours=1), days=30)
    shelf.certify(folder, authority, INNER, NOW + timedelta(days=20), days=30)
    shelf.revoke(folder, authority, new.certificate.serial_number, NOW + timedelta(days=3))
    listed = list(shelf.entries(folder, NOW + timedelta(days=3)))
    assert [(entry.identity, entry.state) for entry in listed] == [
        (OUTER, "expired"),
        (OUTER, "revoked"),
        (INNER, "early"),
    ]
    assert revoked((folder / "revoked.pem").read_bytes()) == {new.certificate.serial_number}
    shelf.revoke(folder, authority, old.certificate.serial_number, NOW + timedelta(days=4))
    assert len(revoked((folder / "revoked.pem").read_bytes())) == 2


def der(folder: Path, who: Identity, *, days: int = 1) -> bytes:
    issued = shelf.certify(folder, shelf.opened(folder), who, NOW, days=days)
    return issued.certificate.public_bytes(serialization.Encoding.DER)


def test_who_is_believed_and_who_is_not(folder: Path) -> None:
    outer, inner = der(folder, OUTER), der(folder, INNER)
    found = judge(outer, OUTER, NOW)
    assert not isinstance(found, str)
    assert found.identity == OUTER
    assert judge(inner, OUTER, NOW) == "wrong-side"
    assert judge(outer, Identity("outer", "44010000002000000009"), NOW) == "wrong-id"
    assert judge(outer, OUTER, NOW + timedelta(days=2)) == "expired"
    assert judge(outer, OUTER, NOW - timedelta(days=2)) == "early"
    assert judge(b"no certificate", OUTER, NOW) == "unreadable"


def test_a_host_reads_its_own_files_and_no_others(folder: Path, tmp_path: Path) -> None:
    der(folder, OUTER)
    trust = read_trust(folder, "outer")
    assert trust.own.identity == OUTER
    assert trust.context(server=True).minimum_version is ssl.TLSVersion.TLSv1_3
    with pytest.raises(FileNotFoundError):
        read_trust(folder, "inner")
    for name in ("inner.pem", "inner.key"):
        (folder / name).write_bytes((folder / name.replace("inner", "outer")).read_bytes())
    with pytest.raises(NotOurs, match="no certificate of this side"):
        read_trust(folder, "inner")


def test_files_that_do_not_fit_together_are_told(folder: Path, tmp_path: Path) -> None:
    der(folder, OUTER)
    foreign = create(NOW, days=10)
    own = (folder / "ca.pem").read_bytes()
    (folder / "ca.pem").write_bytes(foreign.certificate.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(NotOurs, match="not issued by the authority"):
        read_trust(folder, "outer")
    with pytest.raises(NotOurs, match="not the key"):
        shelf.opened(folder)
    (folder / "ca.pem").write_bytes(own)
    (folder / "revoked.pem").write_bytes(b"")
    with pytest.raises(NotOurs, match="no list"):
        read_trust(folder, "outer")
    (folder / "revoked.pem").write_bytes(revocations(foreign, (), NOW))
    (folder / "outer.key").write_bytes(b"no key")
    with pytest.raises(NotOurs, match="no private key"):
        read_trust(folder, "outer")
    with pytest.raises(NotOurs, match="no certificate"):
        read_authority(b"", b"")
