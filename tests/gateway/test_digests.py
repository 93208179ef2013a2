"""By which digests a peer may prove itself, from the configuration to the wire."""

import asyncio
import re

import pytest

from sip._native import authorize
from tests.clock import run
from tests.gateway.test_bad_input import Caller, register
from tests.gateway.test_rules_reload import keeper_of, write
from tests.gateway.world import LOWER, LOWER_ID, OUTER, OUTER_ID, PASSWORD, Link, Wire, text, world

SERVER = f"sip:{OUTER_ID}@{OUTER_ID[:10]}"


def written(*algorithms: str) -> str:
    listed = ", ".join(f'"{name}"' for name in algorithms)
    peer = f'[[outer.lower]]\nid = "{LOWER_ID}"\n'
    return text(**{peer: f"{peer}digest = [{listed}]\n"})


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
