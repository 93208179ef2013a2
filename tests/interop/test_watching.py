"""What `lockgate-sim upper` says of what it was asked for and did not get."""

import asyncio
import json
import sys

from interop.sim.lower import LowerPlatform
from interop.sim.membership import Server
from interop.sim.station import station
from interop.sim.watching import Owed, Wanted
from interop.words import saying
from sip.endpoint import Party

LOWER = Party("44010600002000000001", "4401060000")
OTHER = "44010700002000000001"
UPPER = Party("44000000002000000001", "4400000000")
CAMERA, SPEAKER = "44010600001320000001", "44010600001370000001"


def owed(*platforms: str, channels: tuple[str, ...] = (), speak: tuple[str, ...] = ()) -> Owed:
    wanted = Wanted(
        me=UPPER,
        listen=("127.0.0.1", 0),
        media_host="127.0.0.1",
        passwords=dict.fromkeys(platforms, "x"),
        channels=channels,
        first=0,
        snapshots=None,
        charset="GB2312",
        seconds=1.0,
        speak=speak,
    )
    return Owed(wanted, "127.0.0.1:5060")


def keys(here: Owed) -> list[str]:
    return [trouble.key for trouble in here.troubles()]


def test_while_nobody_came_that_alone_is_told() -> None:
    here = owed(LOWER.user, OTHER, channels=(CAMERA,))
    assert keys(here) == ["never.came", "never.came"]


def test_who_came_owes_pictures_and_voices_until_they_came_too() -> None:
    here = owed(LOWER.user, OTHER, channels=(CAMERA,), speak=(SPEAKER,))
    here.came(LOWER.user)
    assert keys(here) == ["never.came", "never.sent", "never.spoken"]
    here.settled(CAMERA)
    here.came(OTHER)
    here.failed(SPEAKER, saying("never.fetched", why="403"))
    assert keys(here) == ["never.fetched"]
    here.settled(SPEAKER)
    assert here.troubles() == []


def test_what_one_platform_refused_and_another_gave_is_settled() -> None:
    here = owed(LOWER.user, OTHER, channels=(CAMERA,))
    here.came(LOWER.user)
    here.came(OTHER)
    here.settled(CAMERA)
    here.failed(CAMERA, saying("never.played", why="404"))
    assert here.troubles() == []


async def test_a_platform_without_cameras_leaves_every_wish_open() -> None:
    """Real sockets and a process, as a user would start it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "interop.sim", "upper", "--lang", "zh", "--json"),
        *("--play", CAMERA, "--play-first", "2", "--speak", SPEAKER),
        *("--platform", LOWER.user, "--id", UPPER.user, "--password", "Pu-2026", "--listen", "127.0.0.1:0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    host, _, port = json.loads(await process.stdout.readline())["address"].partition(":")
    async with station(("127.0.0.1", 0), LOWER, LOWER.host) as below:
        lower = LowerPlatform(
            endpoint=below.endpoint,
            calls=below.calls,
            net=below.net,
            server=Server(UPPER.user, UPPER.host, (host, int(port))),
            password="Pu-2026",
            media_host="127.0.0.1",
            workers=below.workers,
        )
        running = asyncio.create_task(lower.run())
        while json.loads(await process.stdout.readline())["event"] != "catalog":
            pass
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    process.terminate()
    _, told = await process.communicate()
    assert process.returncode == 1
    assert [line[:14] for line in told.decode().splitlines()] == [
        "没有收到 440106000",
        "没有人来取 44010600",
        "44010600002000",
    ]
    assert "显示 0 个摄像机，要播放 2 个" in told.decode()
