"""Two hundred single cameras at the outer side, each registered by itself."""

import asyncio
from contextlib import AsyncExitStack

from interop.sim.camera import CameraSpec, FakeFrames
from interop.sim.device import Devices
from interop.sim.membership import Server
from interop.sim.tasks import Tasks
from sip.endpoint import Party
from tests.clock import run
from tests.gateway.world import (
    LINKS,
    LOWER_ID,
    OUTER,
    OUTER_ID,
    PASSWORD,
    Wire,
    World,
    open_calls,
    text,
    world,
)

COUNT = 200
FIELD = "203.0.113.77"
CAMERAS = [
    CameraSpec(id=f"4401060000132{number:07d}", name=f"Shop {number}", number=number)
    for number in range(1001, 1001 + COUNT)
]


def written() -> str:
    peers = "".join(f'\n[[outer.lower]]\nid = "{camera.id}"\n' for camera in CAMERAS)
    return text().replace("\n[inner]\n", f"{peers}\n[inner]\n")


async def open_devices(held: AsyncExitStack, here: World) -> Devices:
    calls = await open_calls(held, here.network, Party("34020000001320000001", "4401060000"), (FIELD, 5060))
    devices = Devices(
        endpoint=calls.endpoint,
        calls=calls,
        net=here.network,
        server=Server(OUTER_ID, OUTER_ID[:10], (OUTER, 5060)),
        password=PASSWORD,
        media_host=FIELD,
        cameras=CAMERAS,
        open_source=FakeFrames,
    )
    background = await held.enter_async_context(Tasks())
    background.start(devices.run())
    return devices


def test_two_hundred_cameras_register_stay_and_are_shared() -> None:
    async def scenario() -> None:
        passwords = dict.fromkeys([LOWER_ID, *(camera.id for camera in CAMERAS)], PASSWORD)
        async with (
            world(LINKS["encoded"], written=written(), passwords=passwords, lower_runs=False) as here,
            AsyncExitStack() as held,
        ):
            wire = Wire(here.network)
            devices = await open_devices(held, here)
            await devices.all_registered()
            outer = here.gateway.outer.side
            assert outer.as_upper.bound == COUNT
            asked = wire.between(FIELD, OUTER, "REGISTER")
            assert len(asked) == 2 * COUNT  # each is challenged once
            assert sum("Authorization: Digest" in text for text in asked) == COUNT
            await asyncio.sleep(600)
            assert outer.as_upper.bound == COUNT
            assert all(membership.keepalives >= 8 for membership in devices.memberships)
            shared = here.gateway.inner.side.shared
            assert {peer for peer in shared.peers() if shared.count(peer)} == {c.id for c in CAMERAS}
            catalog = await here.upper.catalog()
            assert sorted(catalog.channels()) == sorted(camera.id for camera in CAMERAS)

            async with here.upper.play(CAMERAS[7].id, camera=CAMERAS[7].number) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 40

            here.network.cut(FIELD)
            await asyncio.sleep(200)
            assert outer.as_upper.bound == 0
            items = (await here.upper.catalog()).items
            assert {item["Status"] for item in items if item["DeviceID"][10:13] == "132"} == {"OFF"}
            here.network.mend(FIELD)
            await devices.all_registered()

    run(scenario())
