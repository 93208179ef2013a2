"""Alarms that nobody should send: each has an answer, a counter and at most one line of the log."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Final

import pytest

from interop.sim.alarms import AlarmSpec
from tests.clock import run
from tests.gateway.test_alarms import RULE, SOON, WITH_ALARMS, ready
from tests.gateway.test_alarms_kept import LONG, kept, told
from tests.gateway.world import LOWER_ID, OUTER, Link, Wire, World, header, text, world

ELSEWHERE: Final = "44010600001329999999"


def below(here: World) -> Counter[str]:
    return here.gateway.outer.side.as_upper.counters()


async def ring(here: World, camera: str, numbers: range) -> list[int]:
    rung = (
        here.lower.bell.ring(AlarmSpec(device=camera, description=f"alarm {number}")) for number in numbers
    )
    return [await each for each in rung]


@pytest.mark.parametrize(
    "body",
    [
        b"<Notify><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>" + b"x" * 65 + b"</DeviceID></Notify>",
        b"<Notify><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>44010600001340000001</DeviceID><Alarm",
        b"<Notify><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>44010600001340000001</DeviceID>"
        b"<AlarmDescription>" + b"x" * 5000 + b"</AlarmDescription></Notify>",
    ],
)
def test_what_cannot_be_read_is_400_and_keeps_nothing(body: bytes) -> None:
    async def scenario() -> None:
        async with world(written=WITH_ALARMS) as here:
            camera = await ready(here)
            assert [await here.lower.bell.send(body) for _ in range(3)] == [400, 400, 400]
            assert kept(here) == {"inner": 0, "outer": 0}
            assert await ring(here, camera, range(1)) == [200]
            await asyncio.sleep(SOON)
            assert here.upper.alarms.told() == told(0)

    run(scenario())


def test_an_id_that_its_peer_does_not_list_is_put_to_the_peer_which_nobody_above_is_shown() -> None:
    async def scenario() -> None:
        async with world(written=WITH_ALARMS) as here:
            await ready(here)
            assert await here.lower.bell.ring(AlarmSpec(device=ELSEWHERE)) == 200
            assert await here.lower.bell.ring(AlarmSpec(device="4401060000")) == 200, "ten digits (annex A)"
            await asyncio.sleep(SOON)
            inner = here.audit("inner")
            named = {
                name for each in inner if each.get("action") == "notice.alarm" for name in each["subjects"]
            }
            assert named == {f"{LOWER_ID}/{LOWER_ID}"}
            assert all(ELSEWHERE not in str(each) for each in inner)
            above = {message.device_id for message in here.upper.alarms.taken}
            assert above <= set((await here.upper.catalog()).ids())

    run(scenario())


def test_one_of_a_camera_that_rules_keep_goes_no_further(link: Link) -> None:
    async def scenario() -> None:
        deny = RULE.replace('"alarms"', '"no-alarms"').replace('"*"', '"branch:44010600002160000002"')
        denied = WITH_ALARMS.replace(RULE, deny.replace('"allow"', '"deny"') + RULE)
        async with world(link, written=denied) as here:
            camera = await ready(here)
            assert await here.lower.bell.ring(AlarmSpec(device=here.kept()[0], description="secret")) == 200
            assert await ring(here, camera, range(1)) == [200]
            await asyncio.sleep(SOON)
            assert here.upper.alarms.told() == told(0), "the one behind it is not held up"
            assert "secret" not in (here.folder / "inner.jsonl").read_text()
            assert below(here)["alarms_refused"] == 1
            assert kept(here) == {"inner": 0, "outer": 0}

    run(scenario())


def test_without_a_rule_nothing_crosses() -> None:
    async def scenario() -> None:
        async with world(written=text()) as here:
            camera = await ready(here)
            assert await ring(here, camera, range(3)) == [200] * 3
            await asyncio.sleep(SOON)
            assert here.upper.alarms.told() == []
            assert below(here)["alarms_refused"] == 3
            assert kept(here) == {"inner": 0, "outer": 0}

    run(scenario())


def test_a_rule_that_lets_so_many_pass_a_minute_delays_the_others_and_loses_none() -> None:
    async def scenario() -> None:
        slow = RULE.replace('verdict = "allow"', 'verdict = "allow"\nquota = { commands = 2 }')
        async with world(written=WITH_ALARMS.replace(RULE, slow)) as here:
            camera = await ready(here)
            await ring(here, camera, range(5))
            await asyncio.sleep(SOON)
            assert here.upper.alarms.told() == told(0, 1)
            await asyncio.sleep(150.0)
            assert here.upper.alarms.told() == told(0, 1, 2, 3, 4)

    run(scenario())


def test_one_that_comes_again_is_the_same_alarm(link: Link) -> None:
    async def scenario() -> None:
        async with world(link, written=WITH_ALARMS) as here:
            camera = await ready(here)
            spec = AlarmSpec(device=camera, description="once", time="2026-03-01T16:00:00")
            other = replace(spec, time="2026-03-01T16:00:01")
            assert [await here.lower.bell.ring(each) for each in (spec, spec, other, spec)] == [200] * 4
            await asyncio.sleep(SOON)
            assert here.upper.alarms.told("AlarmTime") == [spec.time, other.time]
            assert len(here.lower.bell.answers) == 4, "each was received"
            assert below(here)["alarms_repeated"] == 2

    run(scenario())


def test_a_flood_is_refused_before_anybody_reads_it(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        few = WITH_ALARMS.replace(f'id = "{LOWER_ID}"', f'id = "{LOWER_ID}"\nalarms_a_minute = 10', 1)
        async with world(written=few) as here:
            camera = await ready(here)
            wire = Wire(here.network)
            statuses = Counter(await ring(here, camera, range(200)))
            assert 10 <= statuses[200] <= 12
            assert statuses[503] == 200 - statuses[200]
            (first, *_) = wire.between(OUTER, here.lower.bell._endpoint.local[0], "SIP/2.0 503")
            assert 10 <= int(header(first, "Retry-After")) <= 30  # each at another time
            assert below(here)["alarms_flood"] == statuses[503]
            await asyncio.sleep(60.0)
            assert set(await ring(here, camera, range(200, 210))) == {200}

    run(scenario())
    assert [record.getMessage() for record in caplog.records].count("alarms.flood") == 1


def test_when_the_quota_is_full_the_oldest_goes_and_one_line_says_so(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        small = WITH_ALARMS.replace("[media]", "[alarms]\nkept = 3\n\n[media]", 1)
        async with world(link, written=small) as here:
            camera = await ready(here)
            here.network.cut("198.51.100.10")
            await asyncio.sleep(LONG)
            await ring(here, camera, range(8))
            await asyncio.sleep(SOON)
            assert kept(here) == {"inner": 3, "outer": 0}
            here.network.mend("198.51.100.10")
            await asyncio.sleep(LONG)
            assert here.upper.alarms.told() == told(5, 6, 7)

    run(scenario())
    assert [record.getMessage() for record in caplog.records].count("alarms.overflow") == 1


def test_a_disk_that_takes_nothing_is_503_and_the_device_may_tell_it_again() -> None:
    async def scenario() -> None:
        async with world(written=WITH_ALARMS) as here:
            camera = await ready(here)
            spec = AlarmSpec(device=camera, description="again", time="2026-03-01T16:00:00")
            here.stores["outer"].full = True
            assert await here.lower.bell.ring(spec) == 503
            assert below(here)["alarms_not_kept"] == 1
            here.stores["outer"].full = False
            here.stores["inner"].full = True
            assert await here.lower.bell.ring(spec) == 200
            await asyncio.sleep(60.0)
            assert here.upper.alarms.told() == []
            assert kept(here) == {"inner": 0, "outer": 1}, "the other side's disk does not take it"
            here.stores["inner"].full = False
            await asyncio.sleep(SOON)
            assert here.upper.alarms.told() == ["again"]

    run(scenario())


def test_an_upper_that_refuses_alarms_holds_nothing_back_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with world(written=WITH_ALARMS) as here:
            camera = await ready(here)
            here.upper.alarms.status = 501
            await ring(here, camera, range(2))
            await asyncio.sleep(SOON)
            assert here.gateway.inner.side.as_lower.counters()["alarms_refused_above"] == 2
            here.upper.alarms.status = 403  # as one says that does not know us; but it takes our keepalives
            await ring(here, camera, range(2, 3))
            await asyncio.sleep(LONG)
            here.upper.alarms.status = 200
            await ring(here, camera, range(3, 4))
            await asyncio.sleep(SOON)
            assert here.upper.alarms.told() == told(3)

    run(scenario())
    assert [record.getMessage() for record in caplog.records].count("alarm.refused_above") == 2
