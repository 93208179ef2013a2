"""The first camera where one network or both speak IPv6: signalling, SDP and media, over every link."""

import asyncio
from pathlib import Path

import pytest

from gateway.config import examine
from tests.clock import run
from tests.gateway import world as places
from tests.gateway.test_transports import everything, sip_of
from tests.gateway.world import INNER_ID, By, Link, Wire, settings_in, text, world

SIX = {"203.0.113.": "2001:db8:a::", "198.51.100.": "2001:db8:b::"}
PLACES = {"outer": ("OUTER", "LOWER"), "inner": ("INNER", "UPPER")}


def move(side: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Everybody of that side to IPv6; the gateway's and the platform's address there."""
    for name in PLACES[side]:
        old = getattr(places, name)
        (new,) = (six + old.removeprefix(four) for four, six in SIX.items() if old.startswith(four))
        monkeypatch.setattr(places, name, new)
    ours, theirs = (getattr(places, name) for name in PLACES[side])
    return ours, theirs


@pytest.mark.parametrize("sides", [("outer",), ("inner",), ("outer", "inner")], ids="+".join)
def test_a_camera_is_seen_through_networks_of_ipv6(
    link: Link, sides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = {side: move(side, monkeypatch) for side in sides}

    async def scenario() -> None:
        async with world(link) as here:
            await here.shown()
            await here.upper.wait_registered(INNER_ID)
            wire = Wire(here.network)
            assert (await here.upper.catalog()).complete
            async with here.upper.play(here.shared()[0]) as playing:
                await asyncio.sleep(2.0)
                assert playing.report().frames_decoded > 40
            await here.upper.control(here.shared()[0], "A50F01021F0000D6")
            await asyncio.sleep(130.0)
            assert here.gateway.outer.side.as_upper.state()[0].online
            assert here.gateway.inner.side.as_lower.state()[0].missed == 0
            if "outer" in moved:
                ours, theirs = moved["outer"]
                (invite,) = wire.between(ours, theirs, "INVITE")
                assert f"@[{theirs}]:5060 SIP/2.0" in invite
                assert f"\r\nc=IN IP6 {ours}\r\n" in invite
                assert here.gateway.outer.side.as_upper.state()[0].address == f"[{theirs}]:5060"
            if "inner" in moved:
                ours, theirs = moved["inner"]
                (answer,) = [each for each in wire.between(ours, theirs, "SIP/2.0 200") if "INVITE" in each]
                assert f"\r\nc=IN IP6 {ours}\r\n" in answer

    run(scenario())


def test_the_whole_job_by_tcp_over_ipv6_on_both_sides(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    (outer, _), (inner, upper) = (move(side, monkeypatch) for side in ("outer", "inner"))
    written = text(
        **{
            f'address = "{at}"': f'address = "{at}"\nlisten = [{{ transport = "tcp" }}]'
            for at in (outer, inner)
        },
        **{f'host = "{upper}"': f'host = "{upper}"\ntransport = "tcp"'},
    )
    below, above = (By("tcp", (at, 5060), 5060) for at in (outer, inner))

    async def scenario() -> None:
        async with world(link, written=written, below=below, above=above) as here:
            datagrams = sip_of(here)
            await everything(here)
            assert datagrams == []
            (view,) = here.gateway.outer.side.as_upper.state()
            assert view.address.startswith(f"[{places.LOWER}]:")
            assert here.gateway.outer.side.endpoint.stack.counters()["now_streams"] == 1

    run(scenario())


def problems(written: str) -> list[str]:
    with settings_in(written) as folder:
        examined = examine(Path(folder) / "gateway.toml")
    return [problem.what.key for problem in (*examined.problems, *examined.warnings)]


def test_an_upper_of_another_ip_version_needs_an_address_of_its_kind() -> None:
    six = text(**{'host = "198.51.100.10"': 'host = "2001:db8:b::10"'}).replace(
        'networks = ["198.51.100.0/24"]', 'networks = ["198.51.100.0/24", "2001:db8:b::/64"]'
    )
    assert "config.no_family" in problems(six)
    address = 'address = "198.51.100.20"'
    listening = f'{address}\nlisten = [{{ transport = "udp", address = "2001:db8:b::20" }}]'
    heard = six.replace(address, listening)
    assert problems(heard) == ["config.media_family"]
    assert problems(heard.replace(address, f'{address}\nmedia_address = "2001:db8:b::20"')) == []
