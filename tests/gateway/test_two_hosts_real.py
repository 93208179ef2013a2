"""`lockgate run --side` twice, on real sockets, set up as an administrator would. No test waits for time."""

import asyncio
import contextlib
import json
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from certs.identities import SideName
from certs.trust import read_trust
from gateway.chamber import chain
from gateway.config import load
from interop.demo.cast import (
    INNER_ID,
    KEPT_BRANCH,
    LOWER,
    LOWER_ID,
    OUTER_ID,
    UPPER_ID,
    free_port,
    quiet_cast,
    write_config,
)
from interop.demo.halves import OTHER, SIDES, hand_out, write_halves
from interop.demo.scene import Platforms, open_platforms
from interop.sim.queries import QueryFailed
from interop.sim.tasks import Tasks
from interop.sim.upper import PlayRefused
from tests.gateway.test_cli import lockgate

PATIENCE = 60.0
pytestmark = pytest.mark.usefixtures("alone")
"""Seconds until a test that hangs is given up; nothing is measured by it."""

OUTER = "127.0.9.1"
INNER = "127.0.9.2"
PASSWORD = "open-sesame"
IDS: dict[SideName, str] = {"outer": OUTER_ID, "inner": INNER_ID}


class Process:
    """One host; what it logs is read all the time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self._more = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            with contextlib.suppress(ValueError):
                self.lines.append(json.loads(line))
            self._more.set()

    async def says(self, event: str, *, times: int = 1) -> dict[str, Any]:
        """The latest line of that event, once there were so many."""
        async with asyncio.timeout(PATIENCE):
            while len(found := [line for line in self.lines if line["event"] == event]) < times:
                self._more.clear()
                await self._more.wait()
        return found[-1]

    async def end(self, number: int) -> int:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        await asyncio.wait_for(self.process.wait(), PATIENCE)
        await self._reading
        assert self.process.returncode is not None
        return self.process.returncode


class Two:
    def __init__(self, folder: Path, platforms: Platforms) -> None:
        self.folder = folder
        self.lower = platforms.lower
        self.upper = platforms.upper
        self.hosts: dict[SideName, Process] = {}

    async def start(self, side: SideName) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "--lang", "en", "run", "--side", side),
            *("--config", str(self.folder / side / "gateway.toml")),
            stderr=asyncio.subprocess.PIPE,
        )
        self.hosts[side] = Process(process)
        await self.hosts[side].says("gateway.ready")
        return self.hosts[side]

    async def close(self) -> None:
        for host in self.hosts.values():
            await host.end(signal.SIGTERM)

    async def catalog(self, cameras: int) -> tuple[str, ...]:
        """The catalog above, asked for until so many cameras are in it."""
        async with asyncio.timeout(PATIENCE):
            await self.upper.wait_registered(INNER_ID)
            while True:
                catalog = await self.upper.catalog()
                if len(catalog.channels()) == cameras:
                    return catalog.ids()

    async def answered(self, channel: str) -> None:
        """Return once a question about that channel is answered from below."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(QueryFailed):
                    if (await self.upper.device_info(target=channel))["Result"] == "OK":
                        return

    def whole(self) -> bool:
        return all(chain.verify(self.folder / side / "state" / side / "audit.jsonl").whole for side in SIDES)


def free_tcp_port(address: str) -> int:
    with socket.socket() as trial:
        trial.bind((address, 0))
        return int(trial.getsockname()[1])


def free_udp_port() -> int:
    """One that is free on both hosts."""
    while True:
        with (
            socket.socket(type=socket.SOCK_DGRAM) as one,
            socket.socket(type=socket.SOCK_DGRAM) as two,
            contextlib.suppress(OSError),
        ):
            one.bind((OUTER, 0))
            two.bind((INNER, one.getsockname()[1]))
            return int(one.getsockname()[1])


def set_up(folder: Path, dials: str = "inner", more: str = "") -> Path:
    """A folder for each host with what belongs there, and nothing of the other side but ids.

    `more` is said of the link.
    """
    (folder / "whole").mkdir()
    write_config(folder / "whole", PASSWORD, cast=quiet_cast())
    link = f'\n[link]\nouter = "{OUTER}"\ninner = "{INNER}"\ndials = "{dials}"\n{more}'
    link += f"media_port = {free_udp_port()}\n"
    port = free_tcp_port(OUTER)
    whole = folder / "whole" / "gateway.toml"
    written = whole.read_text().replace("[media]", '[log]\nform = "json"\n\n[media]')
    whole.write_text(f"{written}{link}port = {port}\n")
    write_halves(folder / "whole", folder, {LOWER_ID: PASSWORD, UPPER_ID: PASSWORD})
    ca = folder / "ca"
    assert lockgate("certs", "init", "--folder", ca).exit_code == 0
    for side in SIDES:
        assert lockgate("certs", "issue", side, IDS[side], "--folder", ca).exit_code == 0
    hand_out(ca, folder)
    for side in SIDES:
        checked = lockgate("check", "--side", side, "--config", folder / side / "gateway.toml")
        assert (checked.exit_code, checked.stderr) == (0, "")
        assert f"TCP port {port}, {dials} dials" in checked.stdout
    return folder


@asynccontextmanager
async def two(folder: Path, dials: str = "inner", more: str = "") -> AsyncIterator[Two]:
    set_up(folder, dials, more)
    written = load(folder / "whole" / "gateway.toml")
    with ThreadPoolExecutor(1) as workers:
        async with AsyncExitStack() as held:
            platforms = await held.enter_async_context(
                open_platforms(written, PASSWORD, 20, workers, lower_at=(LOWER, free_port(LOWER, 0)))
            )
            here = Two(folder, platforms)
            held.push_async_callback(here.close)
            for side in SIDES:
                await here.start(side)
            background = await held.enter_async_context(Tasks())
            background.start(platforms.lower.run())
            yield here


@pytest.mark.parametrize("dials", ["inner", "outer"])
async def test_two_processes_share_a_catalog_answer_questions_and_show_a_picture(
    tmp_path: Path, dials: str
) -> None:
    async with two(tmp_path, dials) as here:
        ids = await here.catalog(10)
        assert KEPT_BRANCH not in ids
        channel = next(name for name in ids if name[10:13] == "132")
        await here.answered(channel)
        async with here.upper.play(channel) as playing:
            await asyncio.wait_for(playing.reached(50), PATIENCE)
        with pytest.raises(PlayRefused) as refused:
            async with here.upper.play(here.lower.tree.cameras[1].id):
                pass
        assert refused.value.status == 404
        assert [await here.hosts[side].end(signal.SIGTERM) for side in SIDES] == [0, 0]
        assert here.whole()


@pytest.mark.parametrize("dead", SIDES)
async def test_a_host_that_is_killed_is_missed_and_found_again(tmp_path: Path, dead: SideName) -> None:
    async with two(tmp_path) as here:
        ids = await here.catalog(10)
        channel = next(name for name in ids if name[10:13] == "132")
        await here.answered(channel)
        left = here.hosts[OTHER[dead]]
        if dead == "inner":
            here.upper.registrar.forget(INNER_ID)
        await here.hosts[dead].end(signal.SIGKILL)
        assert (await left.says("link.down"))["kind"] == "lost"
        if dead == "outer":
            with pytest.raises(PlayRefused) as refused:
                async with here.upper.play(channel):
                    pass
            assert refused.value.status == 503
            assert (await here.upper.catalog()).complete
        await here.start(dead)
        await left.says("link.up", times=2)
        assert await here.catalog(10) == ids
        await here.answered(channel)
        assert await left.end(signal.SIGTERM) == 0
        assert here.whole()


async def test_a_host_that_stands_still_is_missed_within_three_intervals_and_comes_back(
    tmp_path: Path,
) -> None:
    """SIGSTOP: its kernel still takes what is sent to it, which is the half-open link at its meanest."""
    async with two(tmp_path, more="alive_seconds = 1\n") as here:
        ids = await here.catalog(10)
        here.hosts["outer"].process.send_signal(signal.SIGSTOP)
        assert (await here.hosts["inner"].says("link.down"))["kind"] == "silent"
        here.hosts["outer"].process.send_signal(signal.SIGCONT)
        await here.hosts["inner"].says("link.up", times=2)
        assert await here.catalog(10) == ids


async def test_tls_below_1_3_and_clients_without_a_certificate_get_nothing(tmp_path: Path) -> None:
    async with two(tmp_path) as here:
        await here.catalog(10)
        written = (tmp_path / "outer" / "gateway.toml").read_text()
        port = int(written.rsplit("port = ", 1)[1])
        bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        bare.check_hostname = False
        bare.verify_mode = ssl.CERT_NONE
        old = read_trust(tmp_path / "inner" / "certs", "inner").context(server=False)
        old.minimum_version = ssl.TLSVersion.TLSv1_2
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        for context in (bare, old):
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(
                    OUTER, port, local_addr=(INNER, 0), ssl=context
                )
                assert await reader.read() == b""
                writer.close()
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(OUTER, port, local_addr=("127.0.9.66", 0))
            assert await reader.read() == b""
            writer.close()
        refused = await here.hosts["outer"].says("link.not_up", times=3)
        kinds = {line["kind"] for line in here.hosts["outer"].lines if line["event"] == "link.not_up"}
        assert kinds == {"theirs-none", "tls", "stranger"}
        assert refused["remedy"]


async def test_a_host_without_its_files_or_its_address_says_which(tmp_path: Path) -> None:
    set_up(tmp_path)
    config = tmp_path / "outer" / "gateway.toml"
    (tmp_path / "outer" / "certs" / "outer.key").unlink()
    missing = lockgate("run", "--side", "outer", "--config", config)
    assert missing.exit_code == 2
    assert "link.certs" in missing.stderr
    assert "outer.key" in missing.stderr
    wrong = lockgate("run", "--side", "inner", "--config", config)
    assert wrong.exit_code == 2
    assert "inner.address" not in wrong.stdout
    named = lockgate("run", "--side", "middle", "--config", config)
    assert (named.exit_code, "middle" in named.stderr) == (2, True)
