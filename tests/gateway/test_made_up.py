"""A crossing is cheap to add: one model, one wire table, and the lock knows the rest by their types.

The gateway that plays here was started with a command that stands nowhere in it (tests/gateway/made_up.py).
Rules judge whatever it names, both audits write it down with its secret covered, ids are those of each
network, and the codec of the link carries it: nothing of that was told anything about it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.gateway.made_up import CODE, ODD
from tests.gateway.world import LINKS, LOWER_ID, UPPER_ID

ROOT: Final = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def played() -> tuple[dict[str, Any], str]:
    """What was found over each link, and everything that was logged meanwhile."""
    command = [sys.executable, "-m", "tests.gateway.made_up", *LINKS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout), done.stderr


@pytest.fixture(params=LINKS)
def found(request: pytest.FixtureRequest, played: tuple[dict[str, Any], str]) -> dict[str, Any]:
    of_link: dict[str, Any] = played[0][request.param]
    return of_link


def test_it_arrives_once_and_each_network_calls_things_its_own_way(found: dict[str, Any]) -> None:
    (below,) = found["below"]
    for element in (
        f"<DeviceID>{found['target']}</DeviceID>",
        f"<DeviceID2>{ODD}</DeviceID2>",
        "<GateCmd>30</GateCmd>",
        f"<Code>{CODE}</Code>",
    ):
        assert element in below
    assert found["shown"] not in below
    assert "<SN>7</SN>" not in below


def test_rules_judge_whatever_it_names(found: dict[str, Any]) -> None:
    """The second is refused for what stands beside its target; of the third nobody shares anything."""
    assert found["statuses"] == [200, 200, 200], "by its head there is nothing to say against any of them"
    verdicts = [(record["verdict"], record["rule"]) for record in found["records"]["inner"]]
    assert verdicts == [("passed", "gates"), ("refused", "gates-but-seen-from")]


def test_both_audits_say_what_it_is_and_cover_its_secret(found: dict[str, Any]) -> None:
    near, far = found["records"]["inner"][0], found["records"]["outer"][0]
    for record, door in ((near, "send"), (far, "receive")):
        assert (record["door"], record["kind"], record["origin"]) == (door, "Notice", UPPER_ID)
        assert record["subjects"] == [f"{LOWER_ID}/{found['target']}", f"{LOWER_ID}/{ODD}"]
        assert record["details"] == {"code": "***", "seconds": 30}
    assert len(found["records"]["outer"]) == 1
    assert CODE not in found["files"]
    assert found["whole"]


def test_no_line_of_the_log_has_its_secret(played: tuple[dict[str, Any], str]) -> None:
    assert "gates-but-seen-from" in played[1]
    assert "is nothing that it was shown" in played[1], "the third"
    assert CODE not in played[1]
