"""Digests by vectors: as we prove ourselves, and as others prove themselves to us."""

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from sip._native import Core, authorize, ha1, respond
from sip.algorithms import ALGORITHMS, Qop
from sip.events import Attempt, Auth

VECTORS: Final[list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parent / "vectors" / "digest.toml").read_text(encoding="utf-8")
)["vector"]
US: Final = ("192.0.2.1", 5060)
PEER: Final = ("203.0.113.50", 61000)
SERVER: Final = "sip:44010000002000000001@4401000000"

OURS: Final = [vector for vector in VECTORS if "body" not in vector]
"""Those that we offer and take as a registrar: no auth-int."""

each = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
each_of_ours = pytest.mark.parametrize("vector", OURS, ids=[vector["name"] for vector in OURS])


def quality(vector: dict[str, Any]) -> str:
    return "auth-int" if "body" in vector else "auth"


def challenge(vector: dict[str, Any]) -> str:
    qop = f', qop="{quality(vector)}"' if "nc" in vector else ""
    return (
        f'Digest realm="{vector["realm"]}", nonce="{vector["nonce"]}", algorithm={vector["algorithm"]}{qop}'
    )


def key(vector: dict[str, Any]) -> str:
    return ha1(vector["user"], vector["realm"], vector["password"], vector["algorithm"])


def register(user: str, credentials: str = "") -> bytes:
    lines = [
        f"REGISTER {SERVER} SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.5:5060;rport;branch=z9hG4bK1",
        f"From: <sip:{user}@4401060000>;tag=r1",
        f"To: <sip:{user}@4401060000>",
        "Call-ID: 1",
        "CSeq: 2 REGISTER",
        *([f"Authorization: {credentials}"] if credentials else []),
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def heard(vector: dict[str, Any], credentials: str, qop: Qop = "both") -> tuple[int, list[Attempt]]:
    """What a registrar that knows the user of this vector makes of these credentials."""
    core = Core(US, vector["realm"], ["203.0.113.0/24"], bytes(32))
    core.set_credentials(vector["user"], [(vector["algorithm"], key(vector))], qop)
    core.feed(register(vector["user"], credentials), PEER, 7.0)
    [event] = core.take_events(9)
    return event.auth, core.attempts(vector["user"])


@each
def test_we_prove_ourselves_by_the_password_and_by_what_is_kept_of_it(vector: dict[str, Any]) -> None:
    given = ("REGISTER", vector["uri"], vector.get("cnonce", "x"), int(vector.get("nc", "1"), 16))
    body = vector.get("body", "").encode()
    value = authorize([challenge(vector)], vector["user"], vector["password"], *given, body=body)
    assert f'response="{vector["response"]}", algorithm={vector["algorithm"]}' in value
    keys = [(vector["algorithm"], key(vector))]
    assert respond([challenge(vector)], vector["user"], vector["realm"], keys, *given, body=body) == value
    assert (f"qop={quality(vector)}, " in value) == ("nc" in vector)


@each_of_ours
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


@pytest.mark.parametrize(
    ("agreed", "given", "right"),
    [
        ("both", "", True),
        ("both", "auth", True),
        ("both", "auth-int", False),
        ("none", "", True),
        ("none", "auth", True),
        ("none", "auth-int", False),
        ("auth", "", False),
        ("auth", "auth", True),
        ("auth", "auth-int", False),
    ],
)
def test_what_a_peer_has_to_count_is_agreed_with_it(agreed: Qop, given: str, right: bool) -> None:
    """Right but for the nonce is Stale here. What was not agreed is wrong, whatever the password."""
    offer = f', qop="{given}"' if given else ""
    asked = f'Digest realm="r", nonce="n", algorithm=MD5{offer}'
    proof = authorize([asked], "u", "p", "REGISTER", SERVER, "c")
    vector = {"user": "u", "realm": "r", "algorithm": "MD5", "password": "p"}
    auth, [attempt] = heard(vector, proof, agreed)
    assert (auth, attempt[0]) == ((Auth.STALE, "nonce-foreign") if right else (Auth.WRONG, "qop"))


@pytest.mark.parametrize(("agreed", "offered"), [("both", True), ("none", False), ("auth", True)])
def test_qop_is_offered_unless_it_is_agreed_that_it_is_not(agreed: Qop, offered: bool) -> None:
    for known in (True, False):  # an unknown id is offered what some known one is
        core = Core(US, "r", ["203.0.113.0/24"], bytes(32))
        core.set_credentials("u", [("MD5", ha1("u", "r", "p"))], agreed)
        core.feed(register("u" if known else "somebody"), PEER, 7.0)
        [event] = core.take_events(9)
        core.reply([(event.transaction, 401)], 7.0)
        [answer] = [bytes(output[0]) for output in core.take_outputs()]
        assert (b'qop="auth"' in answer) == offered


@each_of_ours
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
