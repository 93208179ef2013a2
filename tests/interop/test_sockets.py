"""The simulators as a user starts them: real sockets, real encoder and decoder, real time."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from interop.sim.catalog import sample_tree
from interop.sim.listening import Habits
from interop.sim.lower import LowerPlatform
from interop.sim.membership import Server
from interop.sim.station import Station, station
from interop.sim.upper import UpperPlatform
from sip.endpoint import Party

UPPER = Party("44000000002000000001", "4400000000")
LOWER = Party("44010600002000000001", "4401060000")


@asynccontextmanager
async def running(lower: LowerPlatform) -> AsyncIterator[None]:
    task = asyncio.create_task(lower.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def platforms(above: Station, below: Station) -> tuple[UpperPlatform, LowerPlatform]:
    upper = UpperPlatform(
        endpoint=above.endpoint,
        calls=above.calls,
        net=above.net,
        media_host="127.0.0.1",
        passwords={LOWER.user: "Pu-2026"},
        workers=above.workers,
    )
    tree = sample_tree(LOWER.user, "County", 8)
    lower = LowerPlatform(
        endpoint=below.endpoint,
        calls=below.calls,
        net=below.net,
        server=Server(UPPER.user, UPPER.host, above.endpoint.local),
        password="Pu-2026",
        media_host="127.0.0.1",
        cameras=tree.cameras,
        branches=tree.branches,
        workers=below.workers,
    )
    return upper, lower


async def test_two_platforms_over_loopback_show_a_real_picture(tmp_path: Path) -> None:
    async with (
        station(("127.0.0.1", 0), UPPER, UPPER.host) as above,
        station(("127.0.0.1", 0), LOWER, LOWER.host) as below,
    ):
        upper, lower = platforms(above, below)
        async with running(lower):
            await upper.wait_registered(LOWER.user)
            catalog = await upper.catalog()
            assert catalog.complete
            channel = catalog.channels()[4]
            async with upper.play(channel, camera=5, snapshot=tmp_path / "five.png") as playing:
                await playing.reached(40)
                (sent,) = await lower.pause_streams()
                await playing.reached(sent.packets_sent)
                got = await playing.finish()
        assert got.sha256 == sent.sha256
        assert got.frames_decoded == sent.frames_sent > 5
        assert (got.packets_lost, got.frames_lost, got.frames_repeated) == ((), (), 0)
        assert (got.wrong_camera, got.unreadable, got.camera) == (0, 0, 5)
        assert got.snapshot == tmp_path / "five.png"
        assert (tmp_path / "five.png").stat().st_size > 2000
        assert upper.registered() == ()


async def test_the_command_line_registers_reports_and_ends_on_an_interrupt() -> None:
    async with station(("127.0.0.1", 0), UPPER, UPPER.host) as above:
        upper, _ = platforms(above, above)
        host, port = above.endpoint.local
        command = ["lower", "--server", f"{host}:{port}", "--server-id", UPPER.user]
        command += ["--password", "Pu-2026", "--listen", "127.0.0.1:0", "--cameras", "3", "--json"]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "interop.sim",
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await upper.wait_registered(LOWER.user)
        async with upper.play("44010600001320000002", camera=2) as playing:
            await playing.reached(20)
            process.send_signal(2)
            await playing.over.wait()
        out, err = await process.communicate()
        assert (process.returncode, err) == (0, b"")
        assert upper.registered() == ()
        assert re.search(rb'"event": "ended", "registered": false.*"streams": 0', out)


async def test_the_command_line_speaks_to_a_speaker_until_that_hangs_up() -> None:
    command = ["upper", "--platform", LOWER.user, "--id", UPPER.user, "--password", "Pu-2026", "--json"]
    speaker = "44010600001370000001"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "interop.sim",
        *[*command, "--listen", "127.0.0.1:0", "--speak", speaker],
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
            speakers=sample_tree(LOWER.user, "County", 0, speakers=1).speakers,
        )
        lower.listeners.habits[speaker] = Habits(hang_up_packets=25)
        async with running(lower):
            await lower.listeners.ended()
            said: dict[str, Any] = {}
            while said.get("event") != "spoken":
                said = json.loads(await process.stdout.readline())
                assert said["event"] not in ("complaint", "refused"), said
    _, err = await process.communicate()  # nothing is left to be said
    assert (process.returncode, err) == (0, b"")
    (heard,) = lower.listeners.records()
    assert (heard.ssrc, heard.ended) == (said["ssrc"], "left")
    assert (heard.packets_lost, heard.packets_foreign, heard.uneven) == (0, 0, 0)
    assert (said["target"], said["listener"], said["ended"]) == (speaker, speaker, "bye")
    assert said["frames"] >= heard.packets_received >= 25
