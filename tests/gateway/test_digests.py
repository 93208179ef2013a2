"""By which digests a peer may prove itself, from the configuration to the wire."""

import asyncio
import re

import pytest

from gateway.config import examine
from gateway.words import ENGLISH
from sip._native import authorize
from tests.clock import run
from tests.gateway.test_bad_input import Caller, register
from tests.gateway.test_explain_registration import Device, asked, proof
from tests.gateway.test_rules_reload import keeper_of, write
from tests.gateway.test_status import standing
from tests.gateway.world import (
    INNER,
    LOWER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    PASSWORD,
    UPPER,
    UPPER_ID,
    Link,
    Wire,
    settings_in,
    text,
    world,
)

SERVER = f"sip:{OUTER_ID}@{OUTER_ID[:10]}"


PEER = f'[[outer.lower]]\nid = "{LOWER_ID}"\n'


def written(*algorithms: str) -> str:
    listed = ", ".join(f'"{name}"' for name in algorithms)
    return text(**{PEER: f"{PEER}digest = [{listed}]\n"})


def offered(answer: str) -> list[str]:
    """The challenges of an answer, in their order."""
    return re.findall(r"^WWW-Authenticate: (.*)\r$", answer, re.MULTILINE)


def names(answer: str) -> list[str]:
    return [found for challenge in offered(answer) for found in re.findall(r"algorithm=([^,]+)", challenge)]


@pytest.mark.parametrize("algorithms", [("SM3", "SHA-256", "MD5"), ("SHA-256",), ("MD5",)], ids=" ".join)
def test_a_peer_is_asked_by_its_list_and_proves_itself_by_the_strongest(
    link: Link, algorithms: tuple[str, ...]
) -> None:
    async def scenario() -> None:
        async with world(link, written=written(*algorithms), lower_runs=False) as here:
            wire = Wire(here.network)
            assert await here.lower.membership.register(3600) == 3600
            challenges = wire.between(OUTER, LOWER, "SIP/2.0 401")
            assert names(challenges[0]) == list(algorithms)
            assert len({re.search('nonce="(.*?)"', one)[1] for one in offered(challenges[0])}) == 1  # type: ignore[index]
            assert f"algorithm={algorithms[0]}" in wire.between(LOWER, OUTER, "REGISTER")[1]

    run(scenario())


def test_a_right_password_by_an_algorithm_below_the_list_is_no_proof(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=written("SM3", "SHA-256"), lower_runs=False) as here:
            caller = Caller(here)
            for number, algorithm in enumerate(("MD5", "", "MD5-sess", "SM3")):
                challenge = offered(await caller.send(register(LOWER_ID, f"a{number}")))[0]
                asked = challenge.replace("algorithm=SM3", "algorithm=MD5" if number < 3 else "algorithm=SM3")
                proof = authorize([asked], LOWER_ID, PASSWORD, "REGISTER", SERVER, "c0ffee")
                if number < 3:
                    proof = proof.replace(", algorithm=MD5", f", algorithm={algorithm}" if algorithm else "")
                answer = await caller.send(register(LOWER_ID, f"b{number}", proof))
                if algorithm == "SM3":
                    assert any(one.startswith("SIP/2.0 200 ") for one in caller.answers)
                else:
                    assert answer.startswith("SIP/2.0 401 ")
                    assert names(answer) == ["SM3", "SHA-256"]
                    assert "stale" not in answer
            [attempt] = here.gateway.outer.side.endpoint.stack.attempts(LOWER_ID)
            assert (attempt[0], attempt[4][3]) == ("algorithm", "MD5-sess")
            caller.close()

    run(scenario())


def test_another_list_counts_from_the_next_registration_on(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=written("MD5")) as here:
            await here.shown()
            keeper = keeper_of(here)
            wire = Wire(here.network)
            write(here, written("SHA-256", "MD5"))
            assert (await keeper.reload()).taken
            await asyncio.sleep(100.0)
            assert wire.between(LOWER, OUTER, "REGISTER") == []
            assert here.gateway.outer.side.as_upper.bound == 1
            await here.lower.membership.register(3600)
            assert "algorithm=SHA-256" in wire.between(LOWER, OUTER, "REGISTER")[-1]

    run(scenario())


def test_an_id_that_nobody_has_is_asked_as_those_that_are_known_are(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=written("SM3", "MD5"), lower_runs=False) as here:
            caller = Caller(here)
            for user in (LOWER_ID, "44010600009990000009"):
                answer = await caller.send(register(user, f"u{user}"))
                assert names(answer) == ["SM3", "MD5"]
            caller.close()

    run(scenario())


@pytest.mark.parametrize(
    ("agreed", "offered_it", "without"), [("both", 1, 200), ("none", 0, 200), ("auth", 1, 401)]
)
def test_whether_a_proof_counts_its_nonce_is_agreed_with_each_peer(
    link: Link, agreed: str, offered_it: int, without: int
) -> None:
    """A peer counts where that is offered; of one that does not, auth takes no proof, and says why."""

    async def scenario() -> None:
        text_of = text(**{PEER: f'{PEER}digest_qop = "{agreed}"\n'})
        async with world(link, written=text_of, lower_runs=False) as here:
            wire = Wire(here.network)
            assert await here.lower.membership.register(3600) == 3600
            assert wire.between(OUTER, LOWER, "SIP/2.0 401")[0].count('qop="auth"') == offered_it
            assert wire.between(LOWER, OUTER, "REGISTER")[1].count("qop=auth") == offered_it
            await here.lower.membership.register(0)
            device = Device(here, ("203.0.113.77", 5060))
            challenge = (await device.challenge()).replace(', qop="auth"', "")
            await device.send(proof(challenge))
            answers = wire.between(OUTER, "203.0.113.77", f"SIP/2.0 {without}")
            assert len(answers) == (1 if without == 200 else 2)
            if without == 401:
                _, said = asked(here, LOWER_ID)
                assert "without qop, and its `digest_qop` is auth" in said
            device.close()

    run(scenario())


@pytest.mark.parametrize(("agreed", "counted"), [("both", True), ("none", False), ("auth", True)])
def test_whether_we_count_the_nonce_of_an_upper_is_agreed_with_it(
    link: Link, agreed: str, counted: bool
) -> None:
    """The upper offers qop, and takes a proof without it."""

    async def scenario() -> None:
        upper = f'[[inner.upper]]\nid = "{UPPER_ID}"\n'
        async with world(link, written=text(**{upper: f'{upper}digest_qop = "{agreed}"\n'})) as here:
            wire = Wire(here.network)
            await here.kill()
            await here.shown()
            proofs = [one for one in wire.between(INNER, UPPER, "REGISTER") if "Authorization" in one]
            assert [("qop=auth" in one) for one in proofs] == [counted]
            assert standing(here).sides[1].uppers[0].registered

    run(scenario())


def test_check_warns_where_a_weaker_algorithm_stands_first() -> None:
    for algorithms, better in (
        (("MD5", "SM3"), '["SM3", "MD5"]'),
        (("SHA-256", "MD5", "SM3"), '["SHA-256", "SM3", "MD5"]'),
        (("SM3", "SHA-256", "MD5"), ""),
        (("MD5",), ""),
    ):
        with settings_in(written(*algorithms)) as folder:
            examined = examine(folder / "gateway.toml")
        assert examined.usable
        found = [warning for warning in examined.warnings if warning.key.endswith(".digest")]
        assert [warning.key for warning in found] == ["outer.lower[#1].digest"] * bool(better)
        assert all(better in ENGLISH.render(warning.what) for warning in found)


def test_the_digests_of_a_rule_are_checked_once_and_not_for_each_peer() -> None:
    rule = '\n[[outer.admit]]\nname = "all"\nregion = "34"\ndigest = ["MD5", "SM3"]\n'
    passwords = {LOWER_ID: PASSWORD} | {f"3402000000132{number:07d}": PASSWORD for number in range(5)}
    with settings_in(text(**{"[inner]\n": f"{rule}\n[inner]\n"}), passwords) as folder:
        file = folder / "gateway.toml"
        assert [one.key for one in examine(file).warnings if "digest" in one.key] == [
            "outer.admit[#1].digest"
        ]
        file.write_text(text(**{"[inner]\n": f"{rule.replace('SM3', 'MD5')}\n[inner]\n"}))
        assert [one.key for one in examine(file).problems] == ["outer.admit[#1].digest"]
