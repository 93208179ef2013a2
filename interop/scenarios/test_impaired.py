"""sipp below a network that loses, delays, reorders and doubles: it ends as over a good one, without orphans.

Registration, refresh by keepalives, the catalog, an INVITE with its ladder down to BYE, and the removal all
pass the relay of `lockgate-sim impair`, which is in a process of its own as a user would run it.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from interop.demo.scene import upper_platform
from interop.scenarios.capture import capturing, fields
from interop.scenarios.programs import running, until
from interop.scenarios.sipp_below import TREE, sipp_below
from interop.scenarios.stage import PASSWORD, SIP, catalog, lockgate, people
from interop.sim.upper import PlayRefused

PLANS = {
    "unimpaired": "",
    "loss": "loss = 0.15",
    "delay": "delay = 0.1\njitter = 0.2",
    "reordering": "reorder = 0.3\nhold = 0.15",
    "duplication": "duplicate = 0.5",
    "everything": "loss = 0.05\ndelay = 0.02\njitter = 0.1\nreorder = 0.1\nduplicate = 0.1",
}
FRAMES = 20


@pytest.mark.parametrize("harm", PLANS)
async def test_sipp_ends_as_over_a_good_network(tmp_path: Path, harm: str) -> None:
    here, capture = people(), tmp_path / "wire.pcapng"
    bad = here.more_below[0]
    plan = tmp_path / "plan.toml"
    plan.write_text(f"seed = 28181\n[to_other]\n{PLANS[harm]}\n[to_one]\n{PLANS[harm]}\n")
    command = [sys.executable, "-m", "interop.sim", "impair", "--plan", str(plan), "--listen", f"{bad}:{SIP}"]
    command += ["--one", f"{here.lower}:{SIP}", "--other", f"{here.outer}:{SIP}", "--json"]
    with capturing(capture, here.hosts), ThreadPoolExecutor(2) as workers:
        async with (
            running("impair", command, tmp_path) as relay,
            upper_platform((here.upper, SIP), PASSWORD, workers) as upper,
            lockgate(tmp_path, here) as gateway,
        ):
            await relay.listens(f"{bad}:{SIP}")
            beyond = replace(here, outer=bad)  # what sipp takes for the gateway
            async with sipp_below(tmp_path / "sipp", beyond, patient=True) as lower:
                shown = await catalog(upper, len(SHOWN))
                assert sorted(shown.channels()) == SHOWN
                async with upper.play(SHOWN[0]) as playing:
                    await playing.reached(FRAMES)
                assert await lower.program.ended() == 0, lower.program.told()
            await until(lambda: "removed" in gateway.program.told() or None)
            with pytest.raises(PlayRefused):
                async with upper.play(SHOWN[0]):
                    pass
            await gateway.settled(here)
            await gateway.stopped()
            assert await relay.stop() == 0
    assert fields(capture, "_ws.malformed", "frame.number") == []
    around = f"sip && ip.addr == {here.outer} && ip.addr == {here.lower} && sip.Method == REGISTER"
    assert fields(capture, around, "frame.number") == []
    assert sorted(shown.channels()) == SHOWN


SHOWN = sorted(camera.id for camera in TREE.cameras if camera.parent != TREE.branches[2].id)
