"""Kamailio between us and a platform on either side, and as the registrar above us."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from interop.demo.cast import INNER_ID, KEPT, KEPT_BRANCH, LOWER_ID, SHARED, UPPER_ID
from interop.demo.scene import upper_platform
from interop.scenarios.capture import capturing, fields, judge, sent_to
from interop.scenarios.programs import running
from interop.scenarios.stage import PASSWORD, SIP, below, catalog, lockgate, people
from interop.sim.catalog import sample_tree

CONFIG = Path(__file__).parents[1] / "peers" / "kamailio" / "kamailio.cfg"
REGISTRAR = CONFIG.with_name("registrar.cfg")
TREE = sample_tree(LOWER_ID, "County platform", 6, branches=(SHARED, KEPT))
SHOWN = [camera.id for camera in TREE.cameras if camera.parent != KEPT_BRANCH]
PACKETS = 40
KEEPALIVE_SECONDS = 2.0  # of every scenario (stage.IMPATIENT)


def kamailio_at(folder: Path, host: str, script: Path, **words: str) -> list[str]:
    """Its command line; `words` are what the script leaves open."""
    command = ["kamailio", "-DD", "-E", "-f", str(script), "-l", f"udp:{host}:{SIP}", "-m", "32", "-M", "8"]
    return [*command, "-Y", str(folder), *(f'-A{name}="{word}"' for name, word in words.items())]


def between(folder: Path, proxy: str, gateway: str, platform: str) -> list[str]:
    return kamailio_at(folder, proxy, CONFIG, GATEWAY=gateway, UPPER=platform)


async def test_a_proxy_that_records_its_route_is_passed_by_everything(tmp_path: Path) -> None:
    here = people()
    proxy, capture = here.proxy, tmp_path / "wire.pcapng"
    command = between(tmp_path, proxy, here.inner, here.upper)
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


async def test_a_proxy_below_adds_its_path_and_is_passed_by_everything(tmp_path: Path) -> None:
    """The lower platform is bound to the proxy's address; what we ask goes there, dialogs by their route."""
    here = people()
    proxy, capture = here.more_below[0], tmp_path / "wire.pcapng"
    command = between(tmp_path, proxy, here.outer, here.lower)
    with capturing(capture, here.hosts), ThreadPoolExecutor(2) as workers:
        async with AsyncExitStack() as stage:
            kamailio = await stage.enter_async_context(running("kamailio", command, tmp_path))
            await kamailio.listens(f"{proxy}:{SIP}")
            upper = await stage.enter_async_context(upper_platform((here.upper, SIP), PASSWORD, workers))
            gateway = await stage.enter_async_context(lockgate(tmp_path, here))
            async with below(replace(here, outer=proxy), TREE, workers) as lower:
                shown = await catalog(upper, len(SHOWN))
                assert sorted(shown.channels()) == SHOWN
                async with upper.play(SHOWN[0]) as playing:
                    await playing.reached(PACKETS)
                await gateway.settled(here)  # our BYE has gone down
                await lower.stop()
            await gateway.stopped()
    # What is asked of us is answered; whoever has left may leave its proxy waiting.
    judge(capture, sent_to((here.outer, here.inner)), sip=40, sdp=4, rtp=PACKETS)
    around = f"sip && ip.addr == {here.outer} && !ip.addr == {proxy}"
    assert fields(capture, around, "frame.number") == []
    registered = fields(capture, f"sip.Method == REGISTER && ip.src == {proxy}", "sip.Path")
    assert registered
    assert all(proxy in path for (path,) in registered)
    for method in ("ACK", "BYE"):
        sent = fields(
            capture, f'sip.Method == "{method}" && ip.src == {here.outer}', "ip.dst", "sip.Route.uri"
        )
        assert sent
        assert all(to == proxy and proxy in route for to, route in sent), method


async def test_kamailio_is_a_registrar_above_that_has_us_until_we_leave(tmp_path: Path) -> None:
    here, capture = people(), tmp_path / "wire.pcapng"
    command = kamailio_at(tmp_path, here.upper, REGISTRAR, REALM=UPPER_ID[:10], SECRET=PASSWORD)
    with capturing(capture, here.hosts):
        async with running("kamailio", command, tmp_path) as kamailio:
            await kamailio.listens(f"{here.upper}:{SIP}")
            async with lockgate(tmp_path, here) as gateway:
                await gateway.event("upper.registered")
                await asyncio.sleep(2 * KEEPALIVE_SECONDS + 1.0)
                await gateway.settled(here)
                await gateway.stopped()
    judge(capture, sent_to(here.hosts), sip=10)
    answers = fields(
        capture, f"sip.Status-Code && ip.src == {here.upper}", "sip.CSeq.method", "sip.Status-Code"
    )
    assert answers[:2] == [["REGISTER", "401"], ["REGISTER", "200"]]
    assert answers.count(["MESSAGE", "200"]) >= 2
    assert {status for method, status in answers if method == "MESSAGE"} == {"200"}
    asked = fields(capture, f"sip.Method == REGISTER && ip.dst == {here.upper}", "sip.Call-ID", "sip.Expires")
    assert len({call for call, _ in asked}) == 1
    assert asked[-1][1] == "0"
