"""A movement leaves once it is written that its camera moves, and nothing overtakes it."""

import asyncio

from cascade.as_upper.moving import AGAIN_SECONDS, Moving
from cascade.leg import KEPT_SECONDS
from cascade.model.commands.device_control import ControlPtz, Movement
from cascade.model.ids import ChannelId, PeerName, PlatformId
from tests.cascade.ground import NVR, Shelf, cameras
from tests.clock import run

CAMERA, OTHER = (ChannelId(NVR, PeerName(name)) for name in cameras(2))
LEFT = ControlPtz(target=CAMERA, movement=Movement(pan="left", pan_speed=9))
UP = ControlPtz(target=CAMERA, movement=Movement(tilt="up", tilt_speed=9))
STOP = ControlPtz(target=CAMERA, movement=Movement())
ELSEWHERE = ControlPtz(target=OTHER, movement=Movement(pan="left", pan_speed=9))


class SlowShelf(Shelf):
    """Written when somebody says so."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = asyncio.Event()

    async def written(self) -> None:
        await self.disk.wait()


class Ground:
    def __init__(self) -> None:
        self.shelf = SlowShelf()
        self.sent: list[ControlPtz] = []
        self.there = True
        self.moving = Moving(self.shelf, self._send, asyncio.get_running_loop().time)

    def _send(self, control: ControlPtz) -> bool:
        if self.there:
            self.sent.append(control)
        return self.there

    async def written(self) -> None:
        self.shelf.disk.set()
        await self.moving.settled()


def test_it_is_written_before_it_is_sent_and_what_follows_waits_behind_it() -> None:
    async def scenario() -> None:
        here = Ground()
        for control in (LEFT, UP, STOP):
            here.moving.pass_on(control)
        await asyncio.sleep(KEPT_SECONDS / 2)
        assert here.sent == []
        assert here.shelf.turning == {CAMERA}
        await here.written()
        assert here.sent == [LEFT, UP, STOP]
        here.moving.told(STOP, answered=True)
        assert here.shelf.turning == set()
        assert len(here.moving) == 0

    run(scenario())


def test_a_slow_disk_costs_a_tenth_of_a_second_and_no_other_camera_anything() -> None:
    async def scenario() -> None:
        here = Ground()
        here.moving.pass_on(LEFT)
        await asyncio.sleep(KEPT_SECONDS + 0.01)
        assert here.sent == [LEFT]
        here.moving.pass_on(ELSEWHERE)
        here.moving.pass_on(UP)
        assert here.sent == [LEFT, UP]
        await here.written()
        assert here.sent == [LEFT, UP, ELSEWHERE]

    run(scenario())


def test_an_earlier_stop_that_is_answered_late_forgets_nothing() -> None:
    async def scenario() -> None:
        here = Ground()
        here.moving.pass_on(LEFT)
        await here.written()
        here.moving.pass_on(STOP)
        here.moving.pass_on(UP)
        here.moving.told(STOP, answered=True)
        assert here.shelf.turning == {CAMERA}

    run(scenario())


def test_nothing_is_kept_of_a_movement_that_could_not_be_told() -> None:
    async def scenario() -> None:
        here = Ground()
        here.there = False
        here.moving.pass_on(LEFT)
        await here.written()
        assert here.shelf.turning == set()
        assert here.moving.owed() == []

    run(scenario())


def test_a_stop_that_nobody_answered_is_owed_and_tried_again() -> None:
    async def scenario() -> None:
        here = Ground()
        here.moving.pass_on(LEFT)
        await here.written()
        here.moving.pass_on(STOP)
        assert (here.moving.owed(), here.moving.deadline) == ([], None)
        here.moving.told(STOP, answered=False)
        assert here.moving.deadline == asyncio.get_running_loop().time() + AGAIN_SECONDS
        assert here.moving.owed() == [CAMERA]
        here.there = False
        here.moving.pass_on(STOP)
        assert here.moving.owed() == [CAMERA], "its peer was not there"

    run(scenario())


def test_a_movement_that_waits_does_not_leave_any_more_once_all_are_halted() -> None:
    async def scenario() -> None:
        here = Ground()
        here.moving.pass_on(LEFT)
        here.moving.halt()
        await here.written()
        assert here.sent == []
        assert here.shelf.turning == set()

    run(scenario())


def test_what_an_earlier_process_left_behind_is_owed_and_peers_that_are_gone_are_forgotten() -> None:
    async def scenario() -> None:
        shelf = SlowShelf()
        stranger = ChannelId(PlatformId("44010600001180000099"), PeerName(cameras(1)[0]))
        shelf.turning = {CAMERA, stranger}
        here = Ground()
        here.moving = Moving(shelf, here._send, asyncio.get_running_loop().time)
        await here.moving.restore([NVR])
        assert here.moving.owed() == [CAMERA]
        assert shelf.turning == {CAMERA}

    run(scenario())
