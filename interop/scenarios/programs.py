"""Programs that a scenario starts: their lines are awaited, and each is ended by its own handle."""

import asyncio
import os
import signal
import socket
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE: Final = 60.0
"""Seconds that anything at all may take; far beyond what it takes, so that only a hang meets it."""


class Program:
    """One process. `lines` is all it said so far, standard error included."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.lines: list[str] = []
        self._process = process
        self._news = asyncio.Condition()
        self._silent = False
        self._reading = asyncio.get_running_loop().create_task(self._read())

    @property
    def pid(self) -> int:
        return self._process.pid

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._news:
                self.lines.append(line.decode("utf-8", "backslashreplace").rstrip())
                self._news.notify_all()
        async with self._news:
            self._silent = True
            self._news.notify_all()

    async def line(self, wanted: Callable[[str], bool]) -> str:
        """The first line that is wanted, once it is there."""
        seen = 0
        async with asyncio.timeout(PATIENCE), self._news:
            while True:
                for line in self.lines[seen:]:
                    if wanted(line):
                        return line
                seen = len(self.lines)
                assert not self._silent, f"{self.name} ended early:\n{self.told()}"
                await self._news.wait()

    def sockets(self) -> set[str]:
        """The UDP sockets of this process, as address:port."""
        inodes = set()
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
            except OSError:
                continue
        lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return {_address(line[1]) for line in lines if line[9] in inodes}

    async def listens(self, address: str) -> None:
        """Return once it has that UDP socket."""
        await until(lambda: address in self.sockets() or None)

    async def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        async with asyncio.timeout(PATIENCE):
            code = await self._process.wait()
            await self._reading
        return code

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """End it, hard if it does not listen; its exit code."""
        if self._process.returncode is None:
            self._process.send_signal(number)
        try:
            return await self.ended()
        except TimeoutError:
            self._process.kill()
            return await self.ended()

    def told(self) -> str:
        return "\n".join(self.lines[-60:])


def _address(text: str) -> str:
    host, _, port = text.partition(":")
    return f"{socket.inet_ntoa(bytes.fromhex(host)[::-1])}:{int(port, 16)}"


async def until(look: Callable[[], T | None], *, seconds: float = 0.02) -> T:
    """What `look` sees, once it sees something that is true; it looks again each so many seconds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if seen := look():
                return seen
            await asyncio.sleep(seconds)


@asynccontextmanager
async def running(name: str, command: Sequence[str], folder: Path) -> AsyncIterator[Program]:
    """Start it in `folder`; leaving stops it if it is still there."""
    environment = {**os.environ, "HOME": str(folder), "TERM": "dumb", "PYTHONUNBUFFERED": "1"}
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, cwd=folder, env=environment, limit=1 << 20
    )
    program = Program(name, process)
    try:
        yield program
    finally:
        await program.stop()
