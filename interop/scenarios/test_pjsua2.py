"""A softphone of PJSIP (pjsua2) is refused whoever it says it is, as baresip is, and leaves nothing."""

import json
import sys
from pathlib import Path

from interop.demo.cast import LOWER_ID, OUTER_ID
from interop.scenarios.capture import capturing, judge, sent_to
from interop.scenarios.programs import running
from interop.scenarios.stage import PASSWORD, lockgate, people

PHONE = Path(__file__).parents[1] / "peers" / "pjsua2" / "phone.py"
STRANGER, CAMERA = "44010600001180000009", "44010600001320000001"


async def test_pjsua2_is_refused_whoever_it_says_it_is(tmp_path: Path) -> None:
    """A stranger, one who has guessed a platform's id, and one that has its password but is no platform."""
    here, capture = people(), tmp_path / "wire.pcapng"
    one, other = here.more_below
    guests = {
        one: (STRANGER, "guessed", {"REGISTER": 401, "MESSAGE": 403, "INVITE": 403}),
        other: (LOWER_ID, "guessed", {"REGISTER": 401, "MESSAGE": 403, "INVITE": 403}),
        here.lower: (LOWER_ID, PASSWORD, {"REGISTER": 200, "MESSAGE": 415, "INVITE": 403}),
    }
    with capturing(capture, here.hosts):
        async with lockgate(tmp_path, here) as gateway:
            for host, (user, password, wanted) in guests.items():
                command = [
                    sys.executable,
                    str(PHONE),
                    host,
                    user,
                    password,
                    here.outer,
                    OUTER_ID,
                    CAMERA,
                    "yes",
                ]
                async with running("pjsua2", command, tmp_path) as phone:
                    assert await phone.ended() == 0, phone.told()
                    said = [json.loads(line) for line in phone.lines if line.startswith("{")]
                assert {one["method"]: one["status"] for one in said} == wanted
            await gateway.settled(here)
            await gateway.stopped()
    judge(capture, sent_to((here.outer, here.inner)), sip=20)
