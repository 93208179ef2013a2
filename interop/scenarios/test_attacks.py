"""`lockgate-sim attack` at our own registrar, which stands them all, and at Kamailio's, which is printed."""

import json
import sys
from pathlib import Path
from typing import Any

from interop.demo.cast import LOWER_ID, OUTER_ID
from interop.scenarios.capture import capturing, fields
from interop.scenarios.programs import running
from interop.scenarios.stage import PASSWORD, SIP, People, lockgate, people

REGISTRAR = Path(__file__).parents[1] / "peers" / "kamailio" / "registrar.cfg"
NOT_TRIED = {"other-door"}
"""There is one door to try here; the other one's nonces are held against this one in tests/gateway."""


async def attacked(here: People, at: str, folder: Path, *more: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code, and what was found of each attack."""
    command = [
        sys.executable,
        "-m",
        "interop.sim",
        "attack",
        "--server",
        f"{at}:{SIP}",
        "--server-id",
        OUTER_ID,
    ]
    command += ["--user", LOWER_ID, "--password", PASSWORD, "--listen", here.lower, "--json"]
    command += ["--other-host", here.more_below[0], "--patience", "1.5", *more]
    async with running("attack", command, folder) as attack:
        code = await attack.ended()
        return code, [json.loads(line) for line in attack.lines if line.startswith("{")]


async def test_our_registrar_stands_all_attacks(tmp_path: Path) -> None:
    here, capture = people(), tmp_path / "wire.pcapng"
    with capturing(capture, here.hosts):
        async with lockgate(tmp_path, here) as gateway:
            code, found = await attacked(here, here.outer, tmp_path)
            await gateway.settled(here)
            await gateway.stopped()
    assert {one["attack"]: one["answered"] for one in found if one["passed"] is False} == {}
    assert {one["attack"] for one in found if one["passed"] is None} == {*NOT_TRIED, "stale"}
    assert code == 0
    assert fields(capture, f"_ws.malformed && ip.src == {here.outer}", "frame.number") == []


async def test_the_same_attacks_run_against_kamailio(tmp_path: Path) -> None:
    """Its results are no promise of ours: they are printed (`pytest -s`)."""
    here = people()
    command = ["kamailio", "-DD", "-E", "-f", str(REGISTRAR), "-l", f"udp:{here.outer}:{SIP}", "-m", "32"]
    command += ["-M", "8", "-Y", str(tmp_path)]
    command += ["-A", f'REALM="{OUTER_ID[:10]}"', "-A", f'SECRET="{PASSWORD}"']
    async with running("kamailio", command, tmp_path) as kamailio:
        await kamailio.listens(f"{here.outer}:{SIP}")
        code, found = await attacked(here, here.outer, tmp_path, "--stale-seconds", "7")
    for one in found:
        print("Kamailio:", one["attack"], one["passed"], one["answered"])
    assert {one["attack"] for one in found if one["passed"] is None} == NOT_TRIED
    assert code in (0, 1)
    assert len(found) == 19
