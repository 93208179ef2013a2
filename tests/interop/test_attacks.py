"""The attacks against a registrar as the field has them: each that should succeed does, and is said so."""

import asyncio
import json
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from interop.attacks import suite, table, wire
from interop.attacks.ground import Target, Unusable, prepared
from interop.attacks.loads import Load
from interop.attacks.suite import Found
from interop.attacks.wire import Answer, Challenge, Proof
from interop.sim.net import Address
from interop.words import LANGUAGES, Language, Saying, Words
from tests.clock import run
from tests.sip.network import Network

SERVER = ("203.0.113.20", 5060)
PEER, STRANGER = "203.0.113.30", "203.0.113.66"
USER, PASSWORD = "44010600002000000001", "open-sesame"
TARGET = Target(SERVER, "44010000002000000001", "4401000000", USER, PASSWORD, stale_seconds=3600.0)
LOAD = Load(guesses=5, rate=100, seconds=1.0, echo_seconds=2.0)


class Gullible:
    """Takes any nonce that a client names, any REGISTER of a Call-ID it knows, and follows any keepalive."""

    def __init__(self, network: Network, *, deaf: bool = False, password: str = PASSWORD) -> None:
        self.port = network.datagrams(SERVER, self._receive)
        self._deaf = deaf
        self._password = password
        self._calls: set[str] = set()
        self._bound: Address | None = None

    def _receive(self, datagram: bytes, source: Address) -> None:
        start, headers = wire.read(datagram)
        if self._deaf or start.startswith("SIP/2.0") or not start:
            return
        method = start.partition(" ")[0]
        if method == "REGISTER":
            status = self._register(headers, source)
        elif method == "MESSAGE":
            status = self._keepalive(source)
        else:
            status = 403
        for _ in range(9 if method == "INVITE" else 1):  # as who repeats a refusal to whoever forges
            self.port.send(self._answer(start, headers, status), source)

    def _register(self, headers: tuple[tuple[str, str], ...], source: Address) -> int:
        call, given = wire.first(headers, "Call-ID"), wire.first(headers, "Authorization")
        if call not in self._calls and not self._proves(given):
            return 401
        self._calls.add(call)
        self._bound = None if wire.first(headers, "Expires") == "0" else source
        return 200

    def _proves(self, given: str) -> bool:
        """RFC 2617 to the letter, over whatever nonce, URI and count the client names."""
        said = dict(re.findall(r'(\w+)="?([^",]*)"?', given))
        if said.get("username") != USER:
            return False
        md5 = wire.hashes()["MD5"]
        ha1 = md5(f"{USER}:4401000000:{self._password}".encode())
        middle = ":".join(said.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
        ha2 = md5(f"REGISTER:{said.get('uri')}".encode())
        return md5(f"{ha1}:{middle}:{ha2}".encode()) == said.get("response")

    def _keepalive(self, source: Address) -> int:
        if self._bound is None:
            return 403
        if self._bound != source:
            self._bound = source
            query = wire.request("MESSAGE", f"sip:{USER}@x", SERVER, wire.branch(), [("CSeq", "1 MESSAGE")])
            self.port.send(query, source)
        return 200

    def _answer(self, start: str, headers: tuple[tuple[str, str], ...], status: int) -> bytes:
        answer = wire.answer_to(start, headers, status, "So")
        challenge = 'WWW-Authenticate: Digest realm="4401000000", nonce="n", algorithm=MD5, qop="auth"\r\n'
        return (
            answer.replace(b"Content-Length", challenge.encode() + b"Content-Length")
            if status == 401
            else answer
        )


def attacked(
    target: Target = TARGET, *only: str, deaf: bool = False, password: str = PASSWORD
) -> list[Found]:
    found: list[Found] = []

    async def scenario() -> None:
        network = Network(asyncio.get_running_loop(), 1)
        registrar = Gullible(network, deaf=deaf, password=password)
        try:
            async with prepared(network, target, PEER, STRANGER) as ground:
                async for one in suite.run(ground, LOAD, only):
                    found.append(one)
        finally:
            registrar.port.close()

    run(scenario(), seconds=90_000.0)
    return found


def test_a_gullible_registrar_falls_to_what_it_believes_and_to_nothing_else() -> None:
    outcomes = {one.attack.key: one.outcome.passed for one in attacked()}
    fell = {key for key, passed in outcomes.items() if passed is False}
    replays = {"replay", "replay-port", "replay-elsewhere", "count-back", "stale"}
    proofs = {"own-nonce", "foreign-nonce", "other-target", "downgrade"}
    assert fell == replays | proofs | {"known-call", "unregister", "keepalive", "echo"}
    assert {key for key, passed in outcomes.items() if passed is None} == {"other-door"}
    assert outcomes.keys() - fell == {"other-door", "other-user", "guesses", "flood", "flood-beside", "sizes"}


def test_what_cannot_be_tried_is_not_said_to_have_passed() -> None:
    target = replace(TARGET, stale_seconds=0.0)
    (found,) = attacked(target, "stale")
    assert found.outcome.passed is None


@pytest.mark.parametrize(("deaf", "password", "status"), [(True, PASSWORD, 0), (False, "another", 401)])
def test_a_peer_that_is_not_let_in_itself_ends_it(deaf: bool, password: str, status: int) -> None:
    with pytest.raises(Unusable) as caught:
        attacked(deaf=deaf, password=password)
    assert caught.value.status == status


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_has_a_row_for_each_attack_in_the_users_words(
    language: Language, capsys: pytest.CaptureFixture[str]
) -> None:
    found = attacked(TARGET, "replay", "other-user", "other-door")
    words = Words(language)
    table.show(found, words)
    page = capsys.readouterr().out
    assert max(map(cell_len, page.splitlines())) <= table.WIDTH
    for key in ("passed", "failed", "not_tried"):
        assert words.render(saying_of(key)) in page
    lines = [json.loads(table.as_json(one)) for one in found]
    assert [line["passed"] for line in lines] == [False, None, True]
    assert lines[0] == {
        "attack": "replay",
        "answered": "200",
        "passed": False,
    }


def saying_of(key: str) -> Saying:
    return Saying(f"attack.{key}")


def test_a_challenge_is_read_whatever_order_its_parts_have() -> None:
    value = 'Digest qop="auth-int,auth",nonce=a1 , realm="r" ,algorithm=SHA-256, stale=TRUE,opaque="o"'
    (asked,) = wire.challenges(Answer(401, (("www-authenticate", value),), 0))
    assert asked == Challenge("r", "a1", "SHA-256", "auth", "o", True)


def test_a_proof_is_that_of_rfc_2617_section_3_5() -> None:
    """Its own example, but for the cnonce, which is ours: so without qop, as RFC 2069 has it."""
    asked = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    proof = Proof("Mufasa", "Circle Of Life", "/dir/index.html", method="GET")
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in proof.header(asked)
