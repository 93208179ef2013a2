"""An alarm of a camera below, as it reaches the platform above, over every kind of link."""

import asyncio
from typing import Final

from gateway.app import SideName
from interop.sim.alarms import AlarmSpec
from tests.clock import run
from tests.gateway.world import INNER, INNER_ID, LOWER_ID, UPPER, Link, Wire, World, text, world

RULE: Final = """[[rule]]
id = "alarms"
direction = "inward"
action = "notice.alarm"
channels = ["*"]
verdict = "allow"

"""
WITH_ALARMS: Final = text().replace("[[rule]]", RULE + "[[rule]]", 1)
DOORS: Final[dict[SideName, tuple[str, str]]] = {"outer": ("send", "receive"), "inner": ("receive", "send")}
SOON: Final = 2.0


async def ready(here: World) -> str:
    await here.shown()
    await here.upper.wait_registered(INNER_ID)
    return here.shared()[0]


def test_an_alarm_crosses_is_answered_and_audited_at_both_doors(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=WITH_ALARMS) as here:
            camera = await ready(here)
            wire = Wire(here.network)
            spec = AlarmSpec(
                device=camera,
                priority="2",
                method="5",
                time="2026-03-01T15:59:58",
                description="有人进入 door",
                longitude="113.3612",
                latitude="23.12468",
                kind="6",
                event="1",
            )
            assert await here.lower.bell.ring(spec) == 200
            await asyncio.sleep(SOON)
            assert here.lower.bell.answers == [("501", camera, "OK")]
            (alarm,) = here.upper.alarms.taken
            assert alarm.device_id == camera
            said = {element.tag: (element.text or "").strip() for element in alarm.tree.iter()}
            assert {
                "AlarmPriority": "2",
                "AlarmMethod": "5",
                "AlarmTime": "2026-03-01T15:59:58",
                "AlarmDescription": "有人进入 door",
                "Longitude": "113.3612",
                "Latitude": "23.12468",
                "AlarmType": "6",
                "EventType": "1",
            }.items() <= said.items()
            assert said["SN"] != "501"
            (message,) = [one for one in wire.between(INNER, UPPER, "MESSAGE") if "<CmdType>Alarm" in one]
            assert message.startswith(f"MESSAGE sip:{here.upper._endpoint.me.user}@")
            for side, doors in DOORS.items():
                records = [each for each in here.audit(side) if each.get("action") == "notice.alarm"]
                assert [(each["kind"], each["door"]) for each in records] == [
                    ("Ask", doors[0]),
                    ("Answer", doors[1]),
                ]
                assert {each["rule"] for each in records} == {"alarms"}
                assert records[0]["subjects"] == [f"{LOWER_ID}/{camera}"]
                assert records[0]["details"]["time"] == "2026-03-01T15:59:58"
            assert here.trails_whole()
            assert all(not store._letters for store in here.stores.values()), "delivered, so nothing is kept"

    run(scenario())
