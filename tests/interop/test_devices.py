"""Many single cameras on one endpoint."""

import asyncio

from interop.sim.camera import CameraSpec, FakeFrames, FakeScreen
from interop.sim.device import WINDOW, Devices
from interop.sim.membership import Server
from interop.sim.upper import UpperPlatform
from sip.aio.calls import Calls
from sip.endpoint import Party
from sip.events import Address
from tests.interop.ground import AT_LOWER, AT_UPPER, PASSWORD, START, TERMS, UPPER, attach, play
from tests.sip.network import Network

CAMERAS = tuple(CameraSpec(f"4401060000132{n:07d}", f"Camera {n}", n) for n in range(1, 201))


def test_two_hundred_register_keep_alive_play_and_leave_in_windows() -> None:
    async def scenario(network: Network) -> None:
        loop = asyncio.get_running_loop()
        open_requests = 0
        most = 0

        def watch(at: float, payload: bytes, source: Address, destination: Address, arrives: bool) -> None:
            nonlocal open_requests, most
            if payload.startswith((b"REGISTER", b"MESSAGE")) and source == AT_LOWER:
                open_requests += 1
                most = max(most, open_requests)
            elif payload.startswith(b"SIP/2.0") and destination == AT_LOWER:
                open_requests -= 1

        network.taps.append(watch)
        above, upper_stack = attach(network, UPPER, AT_UPPER)
        below, lower_stack = attach(network, Party(CAMERAS[0].id, "4401060000"), AT_LOWER)
        async with Calls(above) as upper_calls, Calls(below) as lower_calls:
            upper = UpperPlatform(
                endpoint=above,
                calls=upper_calls,
                net=network,
                media_host=AT_UPPER[0],
                passwords={camera.id: PASSWORD for camera in CAMERAS},
                open_screen=FakeScreen,
                wall=lambda: START + loop.time(),
            )
            devices = Devices(
                endpoint=below,
                calls=lower_calls,
                net=network,
                server=Server(UPPER.user, UPPER.host, AT_UPPER),
                password=PASSWORD,
                media_host=AT_LOWER[0],
                cameras=CAMERAS,
                terms=TERMS,
                open_source=FakeFrames,
                wall=lambda: START + loop.time(),
            )
            running = loop.create_task(devices.run())
            await devices.all_registered()
            assert {bound.id for bound in upper.registered()} == {camera.id for camera in CAMERAS}
            await asyncio.sleep(190.0)
            assert {bound.keepalives for bound in upper.registered()} == {3}
            report = await upper.catalog(CAMERAS[6].id)
            assert [item["Name"] for item in report.items] == ["Camera 7"]
            async with upper.play(CAMERAS[6].id, via=CAMERAS[6].id, camera=7) as playing:
                await asyncio.sleep(1.0)
                got = await playing.finish()
            assert got.frames_decoded >= 25
            assert got.wrong_camera == 0
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert upper.registered() == ()
            assert devices.registered == 0
        lower_stack.close()
        upper_stack.close()
        assert most == WINDOW

    play(scenario)
