"""Kamailio stands between us and the upper platform (interop/peers/kamailio): all goes through it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

from interop.demo.cast import INNER_ID, KEPT, KEPT_BRANCH, LOWER_ID, SHARED
from interop.demo.scene import upper_platform
from interop.scenarios.capture import capturing, fields, judge, sent_to
from interop.scenarios.programs import running
from interop.scenarios.stage import PASSWORD, SIP, below, catalog, lockgate, people
from interop.sim.catalog import sample_tree

CONFIG = Path(__file__).parents[1] / "peers" / "kamailio" / "kamailio.cfg"
TREE = sample_tree(LOWER_ID, "County platform", 6, branches=(SHARED, KEPT))
SHOWN = [camera.id for camera in TREE.cameras if camera.parent != KEPT_BRANCH]
PACKETS = 40


async def test_a_proxy_that_records_its_route_is_passed_by_everything(tmp_path: Path) -> None:
    here = people()
    proxy, capture = here.proxy, tmp_path / "wire.pcapng"
    command = ["kamailio", "-DD", "-E", "-f", str(CONFIG), "-l", f"udp:{proxy}:{SIP}", "-m", "32", "-M", "8"]
    command += ["-Y", str(tmp_path), "-A", f'GATEWAY="{here.inner}"', "-A", f'UPPER="{here.upper}"']
    with capturing(capture, here.hosts), ThreadPoolExecutor(2) as workers:
        async with AsyncExitStack() as stage:
            kamailio = await stage.enter_async_context(running("kamailio", command, tmp_path))
            await kamailio.listens(f"{proxy}:{SIP}")
            upper = await stage.enter_async_context(upper_platform((here.upper, SIP), PASSWORD, workers))
            gateway = await stage.enter_async_context(lockgate(tmp_path, here, next_hop=proxy))
            bound = await upper.wait_registered(INNER_ID)
            assert bound.address == (proxy, SIP)
            async with below(here, TREE, workers) as lower:
                shown = await catalog(upper, len(SHOWN))
                assert sorted(shown.channels()) == SHOWN
                async with upper.play(SHOWN[0]) as hung_up_above:  # its BYE comes down
                    await hung_up_above.reached(PACKETS)
                async with upper.play(SHOWN[1]) as hung_up_below:
                    await hung_up_below.reached(PACKETS)
                    await lower.stop()  # our BYE goes up
                    await hung_up_below.over.wait()
            await gateway.settled(here)
            await gateway.stopped()
    judge(capture, sent_to(here.hosts), sip=60, sdp=8, rtp=PACKETS)
    around = f"sip && ip.addr == {here.inner} && !ip.addr == {proxy}"
    assert fields(capture, around, "frame.number") == []
    for method, sender in (("ACK", here.upper), ("BYE", here.upper), ("BYE", here.inner)):
        sent = fields(capture, f'sip.Method == "{method}" && ip.src == {sender}', "ip.dst", "sip.Route.uri")
        assert sent
        assert all(to == proxy and proxy in route for to, route in sent), (method, sender)
