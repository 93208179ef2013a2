"""Digests by vectors: as we prove ourselves, and as others prove themselves to us."""

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from sip._native import Core, authorize, ha1, respond
from sip.algorithms import ALGORITHMS
from sip.events import Attempt, Auth

VECTORS: Final[list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parent / "vectors" / "digest.toml").read_text(encoding="utf-8")
)["vector"]
US: Final = ("192.0.2.1", 5060)
PEER: Final = ("203.0.113.50", 61000)
SERVER: Final = "sip:44010000002000000001@4401000000"

each = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])


def challenge(vector: dict[str, Any]) -> str:
    qop = ', qop="auth"' if "nc" in vector else ""
    return (
        f'Digest realm="{vector["realm"]}", nonce="{vector["nonce"]}", algorithm={vector["algorithm"]}{qop}'
    )


def key(vector: dict[str, Any]) -> str:
    return ha1(vector["user"], vector["realm"], vector["password"], vector["algorithm"])


def heard(vector: dict[str, Any], credentials: str) -> tuple[int, list[Attempt]]:
    """What a registrar that knows the user of this vector makes of these credentials."""
    core = Core(US, vector["realm"], ["203.0.113.0/24"], bytes(32))
    core.set_credentials(vector["user"], [(vector["algorithm"], key(vector))])
    lines = [
        f"REGISTER {SERVER} SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.5:5060;rport;branch=z9hG4bK1",
        f"From: <sip:{vector['user']}@4401060000>;tag=r1",
        f"To: <sip:{vector['user']}@4401060000>",
        "Call-ID: 1",
        "CSeq: 2 REGISTER",
        f"Authorization: {credentials}",
        "Content-Length: 0",
    ]
    core.feed(("\r\n".join(lines) + "\r\n\r\n").encode(), PEER, 7.0)
    [event] = core.take_events(9)
    return event.auth, core.attempts(vector["user"])


@each
def test_we_prove_ourselves_by_the_password_and_by_what_is_kept_of_it(vector: dict[str, Any]) -> None:
    given = ("REGISTER", vector["uri"], vector.get("cnonce", "x"), int(vector.get("nc", "1"), 16))
    value = authorize([challenge(vector)], vector["user"], vector["password"], *given)
    assert f'response="{vector["response"]}", algorithm={vector["algorithm"]}' in value
    keys = [(vector["algorithm"], key(vector))]
    assert respond([challenge(vector)], vector["user"], vector["realm"], keys, *given) == value


@each
def test_a_peer_proves_itself_but_not_by_a_nonce_that_is_not_ours(vector: dict[str, Any]) -> None:
    counted = f', qop=auth, nc={vector["nc"]}, cnonce="{vector["cnonce"]}"' if "nc" in vector else ""
    credentials = (
        f'Digest username="{vector["user"]}",realm="{vector["realm"]}",nonce="{vector["nonce"]}",'
        f'uri="{vector["uri"]}",response="{vector["response"]}",algorithm={vector["algorithm"]}{counted}'
    )
    auth, [attempt] = heard(vector, credentials)
    assert (auth, attempt[0]) == (Auth.STALE, "nonce-foreign")
    auth, _ = heard(vector, credentials.replace(vector["response"], vector["response"].upper()))
    assert auth == Auth.STALE
    wrong = vector["response"][:-1] + ("0" if vector["response"][-1] != "0" else "1")
    auth, [attempt] = heard(vector, credentials.replace(vector["response"], wrong))
    why, at, source, target, inputs, issued = attempt
    assert (auth, why, at, source, target, issued) == (Auth.WRONG, "response", 7.0, PEER[0], SERVER, None)
    assert inputs == (
        vector["user"],
        vector["realm"],
        vector["uri"],
        vector["algorithm"],
        "auth" if counted else "",
        vector.get("nc", ""),
        vector["nonce"],
        len(vector["response"]),
    )
    assert wrong not in repr(attempt)


@each
def test_the_response_by_one_algorithm_is_wrong_by_each_other(vector: dict[str, Any]) -> None:
    for other in ALGORITHMS:
        if other == vector["algorithm"]:
            continue
        credentials = (
            f'Digest username="{vector["user"]}", realm="{vector["realm"]}", nonce="{vector["nonce"]}", '
            f'uri="{vector["uri"]}", response="{vector["response"]}", algorithm={other}'
        )
        auth, [attempt] = heard(vector, credentials)
        assert (auth, attempt[0]) == (Auth.WRONG, "algorithm")


def test_what_is_no_key_or_algorithm_is_refused() -> None:
    core = Core(US, "r", ["203.0.113.0/24"], bytes(32))
    key: str = ha1("u", "r", "p", "SM3")
    for given in ([("MD5", key)], [("SM3", key), ("SM3", key)], [("SM4", key)], [("SM3", "x" * 64)]):
        with pytest.raises(ValueError, match=r"HA1|twice|algorithm"):
            core.set_credentials("u", given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="realm"):
        respond(
            ['Digest realm="s", nonce="n", algorithm=SM3'], "u", "r", [("SM3", key)], "REGISTER", "sip:x", "c"
        )
    with pytest.raises(ValueError, match="agreed"):
        respond(['Digest realm="r", nonce="n"'], "u", "r", [("SM3", key)], "REGISTER", "sip:x", "c")
