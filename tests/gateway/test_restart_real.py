"""`lockgate run` as a process of its own, stopped and killed in mid-play. Nothing waits for a duration."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.chamber import chain
from interop.demo.cast import INNER_ID, LOWER_ID, UPPER_ID, quiet_cast, write_config
from interop.demo.scene import open_platforms
from interop.sim.answers import Answers
from interop.sim.lower import LowerPlatform
from interop.sim.sending import Behaviour, Senders
from interop.sim.tasks import Tasks
from interop.sim.upper import PlayRefused, UpperPlatform
from sip.aio.call import Call, Incoming
from sip.events import Event

PATIENCE = 60.0
pytestmark = pytest.mark.usefixtures("alone")
"""Seconds until a test that hangs is given up; nothing is measured by it."""

CAMERAS = 8
SHARED = CAMERAS // 2


class Gateway:
    """One process of the gateway; what it says is read all the time, so that it never has to wait."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.ready = asyncio.Event()
        self.said: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.said.append(line.decode())
            if b"gateway.ready" in line:
                self.ready.set()

    async def end(self, number: signal.Signals) -> int:
        """Send the signal and wait for the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), PATIENCE)
        await self._reading
        return code


class Byes:
    """BYEs that the platforms of this process got: (whose, Reason)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[str, str]] = []
        self._more = asyncio.Event()
        original = Call.on_bye

        def noted(call: Call, event: Event) -> None:
            original(call, event)
            self.seen.append((call._keeper.endpoint.me.user, event.header("Reason") or ""))
            self._more.set()

        monkeypatch.setattr(Call, "on_bye", noted)

    async def of(self, platform: str, count: int) -> list[str]:
        """The Reasons of that platform's, once there are so many."""
        async with asyncio.timeout(PATIENCE):
            while len(found := [reason for user, reason in self.seen if user == platform]) < count:
                self._more.clear()
                await self._more.wait()
        return found


class Scene:
    """Both platforms in this process, the gateway in another."""

    def __init__(self, folder: Path, lower: LowerPlatform, upper: UpperPlatform) -> None:
        self.folder = folder
        self.lower = lower
        self.upper = upper
        self.gateways: list[Gateway] = []

    async def start(self) -> Gateway:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "run", "--config", str(self.folder / "gateway.toml")),
            stderr=asyncio.subprocess.PIPE,
        )
        gateway = Gateway(process)
        self.gateways.append(gateway)
        await asyncio.wait_for(gateway.ready.wait(), PATIENCE)
        return gateway

    async def stop_all(self) -> None:
        for gateway in self.gateways:
            await gateway.end(signal.SIGTERM)

    async def channels(self) -> list[str]:
        """The cameras above, asked for until all that the rules share are there."""
        async with asyncio.timeout(PATIENCE):
            await self.upper.wait_registered(INNER_ID)
            while True:
                catalog = await self.upper.catalog()
                if catalog.complete and len(catalog.channels()) == SHARED:
                    return sorted(catalog.channels())

    def audit(self, side: str, kind: str, door: str) -> list[dict[str, Any]]:
        lines = (self.folder / "state" / side / "audit.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        return [
            record
            for record in records
            if (record.get("kind"), record.get("door"), record.get("verdict")) == (kind, door, "passed")
        ]

    def trails_whole(self) -> bool:
        files = [self.folder / "state" / side / "audit.jsonl" for side in ("outer", "inner")]
        return all(chain.verify(file).whole for file in files)


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    cast = quiet_cast()
    written, _ = write_config(folder, "open-sesame", cast=cast)
    with ThreadPoolExecutor(2) as workers:
        async with AsyncExitStack() as held:
            platforms = await held.enter_async_context(
                open_platforms(written, "open-sesame", CAMERAS, workers, lower_at=cast.lower)
            )
            here = Scene(folder, platforms.lower, platforms.upper)
            held.push_async_callback(here.stop_all)
            background = await held.enter_async_context(Tasks())
            await here.start()
            background.start(platforms.lower.run())
            yield here


async def test_sigterm_in_mid_play_says_bye_on_both_legs_and_exits_with_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as here:
        byes = Byes(monkeypatch)
        channel = (await here.channels())[0]
        async with here.upper.play(channel) as playing:
            await asyncio.wait_for(playing.reached(50), PATIENCE)
            assert await here.gateways[0].end(signal.SIGTERM) == 0
            for platform in (LOWER_ID, UPPER_ID):
                assert await byes.of(platform, 1) == ['SIP;cause=503;text="the gateway is being stopped"']
        assert here.upper.registered() == ()
        assert here.trails_whole()


async def test_after_a_kill_in_mid_play_everything_is_ended_and_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as here:
        byes = Byes(monkeypatch)
        channels = await here.channels()
        async with here.upper.play(channels[0]) as one, here.upper.play(channels[1]) as two:
            await asyncio.wait_for(asyncio.gather(one.reached(50), two.reached(50)), PATIENCE)
            assert await here.gateways[0].end(signal.SIGKILL) == -signal.SIGKILL
            assert byes.seen == []
            here.upper.registrar.forget(INNER_ID)
            await here.start()
            for platform in (LOWER_ID, UPPER_ID):
                assert await byes.of(platform, 2) == ['SIP;cause=503;text="the gateway was restarted"'] * 2
        assert await here.channels() == channels  # after a registration of the new process
        async with here.upper.play(channels[0]) as playing:
            await asyncio.wait_for(playing.reached(50), PATIENCE)
        assert here.trails_whole()


async def test_an_invite_that_waits_when_the_process_is_killed_is_refused_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invited = asyncio.Event()
    serve = Senders.invited

    def noted(senders: Senders, incoming: Incoming) -> None:
        invited.set()
        serve(senders, incoming)

    monkeypatch.setattr(Senders, "invited", noted)
    async with scene(tmp_path) as here:
        channel = (await here.channels())[0]
        here.lower.senders.behaviours[channel] = Behaviour(answer_seconds=PATIENCE)

        async def watch() -> None:
            async with here.upper.play(channel):
                pass

        watching = asyncio.create_task(watch())
        await asyncio.wait_for(invited.wait(), PATIENCE)
        await here.gateways[0].end(signal.SIGKILL)
        await here.start()
        with pytest.raises(PlayRefused) as refused:
            await asyncio.wait_for(watching, PATIENCE)
        assert refused.value.status == 500


async def test_no_crossing_that_was_delivered_before_a_kill_lacks_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    enough = asyncio.Event()
    answer = Answers._single

    def noted(answers: Answers, tree: Any, query: Any) -> list[bytes]:
        asked.append(query.device_id)
        if len(asked) > 100:
            enough.set()
        return answer(answers, tree, query)

    monkeypatch.setattr(Answers, "_single", noted)
    async with scene(tmp_path) as here:
        channels = await here.channels()
        answered: list[str] = []

        async def ask(channel: str) -> None:
            while True:
                answered.append((await here.upper.device_info(target=channel))["DeviceID"])

        async with here.upper.play(channels[0]) as playing, Tasks() as askers:
            await asyncio.wait_for(playing.reached(50), PATIENCE)
            for channel in channels * 4:
                askers.start(ask(channel))
            await asyncio.wait_for(enough.wait(), PATIENCE)
            await here.gateways[0].end(signal.SIGKILL)
        doors = {"Ask": ("inner", "outer"), "Answer": ("outer", "inner")}
        recorded = {
            kind: (len(here.audit(sender, kind, "send")), len(here.audit(receiver, kind, "receive")))
            for kind, (sender, receiver) in doors.items()
        }
        assert len(here.audit("inner", "StreamOpen", "send")) == 1
        assert len(here.audit("outer", "StreamOpen", "receive")) == 1
        assert len(here.audit("outer", "StreamOffered", "send")) == 1
        assert len(here.audit("inner", "StreamOffered", "receive")) == 1
        await here.start()
        await here.channels()  # by now all that the first process sent is read
        assert min(recorded["Ask"]) >= len(asked) > 100
        assert min(recorded["Answer"]) >= len(answered) > 0
        assert here.trails_whole()
