"""Alarms and a sudden death of `lockgate run`, a process of its own: none is lost, none comes as another one.

Nothing waits for a duration. What an upper may hear again is the same alarm under the same SN, where we
died between its 200 and our word of it on the disk.
"""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest

from interop.demo.cast import INNER_ID
from interop.sim.alarms import AlarmSpec
from interop.sim.xml import Message
from tests.gateway.test_restart_real import PATIENCE, Scene, scene

pytestmark = pytest.mark.usefixtures("alone")


class Desk:
    """What the upper platform hears, one SN one alarm."""

    def __init__(self, here: Scene) -> None:
        self.came: Counter[tuple[str, str]] = Counter()  # by SN and text
        self._news = asyncio.Event()
        here.upper.alarms.on_alarm = self._hear

    def _hear(self, alarm: Message) -> None:
        self.came[alarm.sn, alarm.text("AlarmDescription")] += 1
        self._news.set()

    @property
    def told(self) -> list[str]:
        return [text for _, text in self.came]

    async def hears(self, count: int) -> None:
        """Return once it has heard so many."""
        async with asyncio.timeout(PATIENCE):
            while len(self.came) < count:
                self._news.clear()
                await self._news.wait()


async def ring(here: Scene, camera: str, numbers: range) -> list[str]:
    """Their texts; each was answered 200 before the next one rings."""
    texts = [f"alarm {number}" for number in numbers]
    for text in texts:
        status = await here.lower.bell.ring(AlarmSpec(device=camera, description=text))
        assert status == 200
    return texts


async def test_a_kill_while_nobody_above_takes_them_loses_none(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        camera = (await here.channels())[0]
        desk = Desk(here)
        here.upper.alarms.status = 503
        rung = await ring(here, camera, range(1, 9))
        await here.gateways[0].end(signal.SIGKILL)
        here.upper.registrar.forget(INNER_ID)
        await here.start()
        rung += await ring(here, camera, range(9, 11))
        here.upper.alarms.status = 200
        await desk.hears(10)
        assert desk.told == rung
        assert set(desk.came.values()) == {1}
        assert here.trails_whole()


@pytest.mark.parametrize("heard", [1, 2, 5])
async def test_a_kill_while_they_are_on_their_way_loses_none_and_doubles_none(
    tmp_path: Path, heard: int
) -> None:
    """The process dies in the moment in which the upper platform hears that one: nobody could tell it so."""
    async with scene(tmp_path) as here:
        camera = (await here.channels())[0]
        desk = Desk(here)
        here.upper.alarms.status = 503
        rung = await ring(here, camera, range(1, 9))
        hear, gateway = here.upper.alarms.on_alarm, here.gateways[0]

        def deadly(alarm: Message) -> None:
            hear(alarm)
            if len(desk.came) == heard and gateway.process.returncode is None:
                gateway.process.send_signal(signal.SIGKILL)

        here.upper.alarms.on_alarm = deadly
        here.upper.alarms.status = 200
        await desk.hears(heard)
        await gateway.end(signal.SIGKILL)
        here.upper.registrar.forget(INNER_ID)
        await here.start()
        rung += await ring(here, camera, range(9, 11))
        await desk.hears(10)
        assert desk.told == rung, "each once by its SN, and in order"
        assert sum(desk.came.values()) <= 11, "only the one that was under way comes again, as itself"
        assert here.trails_whole()


async def test_a_kill_between_an_alarm_and_its_200_leaves_it_to_the_device(tmp_path: Path) -> None:
    """A device that heard no 200 rings again: it is one alarm, kept or not by the process that died."""
    async with scene(tmp_path) as here:
        camera = (await here.channels())[0]
        desk = Desk(here)
        rung = await ring(here, camera, range(1, 2))
        await desk.hears(1)
        spec = AlarmSpec(device=camera, description="alarm 2", time="2026-03-01T16:00:02")
        ringing = asyncio.create_task(here.lower.bell.ring(spec))
        await asyncio.sleep(0)  # it has left
        await here.gateways[0].end(signal.SIGKILL)
        here.upper.registrar.forget(INNER_ID)
        await here.start()
        assert await ringing == 200 or await here.lower.bell.ring(spec) == 200
        rung += ["alarm 2", *await ring(here, camera, range(3, 4))]
        await desk.hears(3)
        assert desk.told == rung
        assert here.trails_whole()
