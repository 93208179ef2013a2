"""`lockgate-sim attack` against our own registrar in virtual time: it falls to none of them."""

from interop.attacks import suite
from interop.attacks.ground import Target, prepared
from interop.attacks.loads import Load
from interop.attacks.suite import Found
from tests.clock import run
from tests.gateway.world import (
    INNER,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    PASSWORD,
    Link,
    text,
    world,
)

PEER_HOST, STRANGER_HOST = "203.0.113.77", "203.0.113.78"
SECOND = "44010600002000000002"
TARGET = Target(
    address=(OUTER, 5060),
    id=OUTER_ID,
    domain=OUTER_ID[:10],
    user=LOWER_ID,
    password=PASSWORD,
    other_user=SECOND,
    other_password="its-own-2026",
    other_door=(INNER, 5060),
    stale_seconds=61.0,
)
LOAD = Load(guesses=40, rate=500, seconds=3.0, echo_seconds=40.0)
WRITTEN = f'{text()}\n[[outer.lower]]\nid = "{SECOND}"\n'


def attacked(link: Link) -> dict[str, Found]:
    """Of a gateway with two lower platforms, the first of which is attacked."""
    found: dict[str, Found] = {}

    async def scenario() -> None:
        passwords = {LOWER_ID: PASSWORD, SECOND: TARGET.other_password}
        async with (
            world(link, written=WRITTEN, passwords=passwords, lower_runs=False) as here,
            prepared(here.network, TARGET, PEER_HOST, STRANGER_HOST) as ground,
        ):
            async for one in suite.run(ground, LOAD):
                found[one.attack.key] = one

    run(scenario())
    return found


def test_it_falls_to_none_of_all_attacks(link: Link) -> None:
    """The other door is that of the inner side, which takes no REGISTER and so gives no nonce away."""
    found = attacked(link)
    assert list(found) == [attack.key for attack in suite.every(LOAD)]
    assert {key for key, one in found.items() if one.outcome.passed is not True} == {"other-door"}
    assert found["other-door"].outcome.passed is None
