"""Kamailio stands between us and the upper platform (interop/peers/kamailio): all goes through it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

from interop.scenarios.capture import capturing, fields, judge, sent_to
from interop.scenarios.programs import running
from interop.scenarios.stage import (
    INNER_ID,
    KEPT,
    LOWER_ID,
    SIP,
    cast,
    catalog,
    lockgate,
    lower_platform,
    upper_platform,
)
from interop.sim.catalog import sample_tree

CONFIG = Path(__file__).parents[1] / "peers" / "kamailio" / "kamailio.cfg"
TREE = sample_tree(LOWER_ID, "County platform", 6)
SHARED = [camera.id for camera in TREE.cameras if camera.id != KEPT]
PACKETS = 40


async def test_a_proxy_that_records_its_route_is_passed_by_everything(tmp_path: Path) -> None:
    people = cast()
    proxy, capture = people.proxy, tmp_path / "wire.pcapng"
    command = ["kamailio", "-DD", "-E", "-f", str(CONFIG), "-l", f"udp:{proxy}:{SIP}", "-m", "32", "-M", "8"]
    command += ["-Y", str(tmp_path), "-A", f'GATEWAY="{people.inner}"', "-A", f'UPPER="{people.upper}"']
    with capturing(capture, people.hosts), ThreadPoolExecutor(2) as workers:
        async with AsyncExitStack() as stage:
            kamailio = await stage.enter_async_context(running("kamailio", command, tmp_path))
            await kamailio.listens(f"{proxy}:{SIP}")
            upper = await stage.enter_async_context(upper_platform(people, workers))
            gateway = await stage.enter_async_context(lockgate(tmp_path, people, next_hop=proxy))
            bound = await upper.wait_registered(INNER_ID)
            assert bound.address == (proxy, SIP)
            async with lower_platform(people, TREE, workers) as lower:
                shown = await catalog(upper, len(SHARED))
                assert sorted(shown.channels()) == SHARED
                async with upper.play(SHARED[0]) as hung_up_above:  # its BYE comes down
                    await hung_up_above.reached(PACKETS)
                async with upper.play(SHARED[1]) as hung_up_below:
                    await hung_up_below.reached(PACKETS)
                    await lower.stop()  # our BYE goes up
                    await hung_up_below.over.wait()
            await gateway.settled(people)
            await gateway.stopped()
    judge(capture, sent_to(people.hosts), sip=60, sdp=8, rtp=PACKETS)
    around = f"sip && ip.addr == {people.inner} && !ip.addr == {proxy}"
    assert fields(capture, around, "frame.number") == []
    for method, sender in (("ACK", people.upper), ("BYE", people.upper), ("BYE", people.inner)):
        sent = fields(capture, f'sip.Method == "{method}" && ip.src == {sender}', "ip.dst", "sip.Route.uri")
        assert sent
        assert all(to == proxy and proxy in route for to, route in sent), (method, sender)
