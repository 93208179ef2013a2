"""The local socket, in real time: who may ask, what is answered, and that nobody disturbs who serves."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.local.client import Unanswered, connected
from gateway.local.messages import (
    MAX_REQUEST,
    Misunderstood,
    OnePeer,
    PeerStanding,
    Registration,
    Registrations,
    Standing,
    Status,
    Trace,
    Traced,
    read_response,
)
from gateway.local.place import LONGEST, NAME
from gateway.local.server import LENGTH, MAX_CLIENTS, REST, Turns, serving
from tests.clock import run


class Echo:
    """Answers with what it was asked."""

    def trace(self, wanted: Trace) -> Traced:
        if wanted.what == "bug":
            raise RuntimeError("a bug of ours")
        return Traced(
            what=wanted.what, about="text", now=1.5, names=(), shown={}, facts=(), newest={}, cut=False
        )

    def standing(self, _wanted: Status) -> Generator[None, None, Standing]:
        yield
        return Standing(now=2.0, started=1.0, sides=())

    def peer(self, _wanted: OnePeer) -> PeerStanding:
        return PeerStanding(now=4.0, sides=())

    def registrations(self, wanted: Registration) -> Registrations:
        return Registrations(now=3.0, sides=())


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Path]:
    path = folder / NAME
    async with serving(Echo(), path):
        yield path


def asked(folder: Path, *whats: str) -> list[str]:
    """Ask a program's way, in a thread of its own."""
    with connected(folder) as gateways:
        (gateway,) = gateways
        assert gateway.status() == Standing(now=2.0, started=1.0, sides=())
        assert gateway.registrations("x") == Registrations(now=3.0, sides=())
        return [gateway.trace(Trace(what=what)).what for what in whats]


async def test_requests_are_answered_one_after_the_other(tmp_path: Path) -> None:
    async with served(tmp_path):
        assert await asyncio.to_thread(asked, tmp_path, "one", "二") == ["one", "二"]


async def test_only_the_owner_may_ask_and_nothing_is_left_behind(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_sides_that_run_apart_on_one_machine_are_both_asked(tmp_path: Path) -> None:
    def both() -> int:
        with connected(tmp_path) as gateways:
            return len([gateway.status() for gateway in gateways])

    async with served(tmp_path / "outer"), served(tmp_path / "inner"):
        assert await asyncio.to_thread(both) == 2


async def test_a_folder_with_a_very_long_name_will_do(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 60) / ("y" * 60)
    async with served(folder) as path:
        assert len(os.fsencode(path)) > LONGEST
        assert await asyncio.to_thread(asked, folder, "one") == ["one"]


async def test_the_socket_of_a_gateway_that_died_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / NAME))
    async with served(tmp_path):
        assert await asyncio.to_thread(asked, tmp_path, "one") == ["one"]


async def test_a_second_gateway_leaves_the_socket_to_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path), served(tmp_path):
        assert [record.getMessage() for record in caplog.records] == ["local.unavailable"]
        assert await asyncio.to_thread(asked, tmp_path, "one") == ["one"]


def test_without_a_gateway_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unanswered, match="No gateway runs on this configuration"), connected(tmp_path):
        pass


def test_without_rights_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    with pytest.raises(Unanswered, match="You may not ask this gateway"), connected(tmp_path):
        pass


async def raw(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(str(path))


async def test_what_is_no_request_is_answered_with_our_version(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        reader, writer = await raw(path)
        for nonsense in (b"", b"\xc1", b"\x81\xa4type\xa6Reload", bytes(range(256))):
            writer.write(LENGTH.pack(len(nonsense)) + nonsense)
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            assert isinstance(read_response(await reader.readexactly(length)), Misunderstood)
        writer.close()


async def test_a_request_that_is_too_long_or_cut_off_ends_its_connection_alone(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        reader, writer = await raw(path)
        writer.write(LENGTH.pack(MAX_REQUEST + 1))
        assert await reader.read() == b""
        _, cut = await raw(path)
        cut.write(LENGTH.pack(100) + b"half")
        cut.close()
        assert await asyncio.to_thread(asked, tmp_path, "one") == ["one"]
        writer.close()


async def test_a_bug_costs_one_connection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with served(tmp_path):
        with pytest.raises(Unanswered, match="broke off"):
            await asyncio.to_thread(asked, tmp_path, "bug")
        assert await asyncio.to_thread(asked, tmp_path, "one") == ["one"]
    assert [record.getMessage() for record in caplog.records] == ["local.failed"]


def test_who_asks_all_the_time_leaves_the_loop_to_others() -> None:
    """After an answer the next one waits several times as long as the answer took, whoever asks."""
    spent = 0.0

    class Slow(Echo):
        def standing(self, wanted: Status) -> Generator[None, None, Standing]:
            nonlocal spent
            spent += 0.125
            yield
            spent += 0.125
            return (yield from super().standing(wanted))

    async def scenario() -> None:
        turns = Turns(lambda: spent)
        await asyncio.gather(*(turns.take(Slow(), Status()) for _ in range(8)))
        assert asyncio.get_running_loop().time() == pytest.approx(REST * 8 * 0.25)

    run(scenario())


async def test_there_is_room_for_a_few_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as path:
        waiting = [await raw(path) for _ in range(MAX_CLIENTS)]
        reader, writer = await raw(path)
        assert await reader.read() == b""
        writer.close()
        for _, one in waiting:
            one.close()
            await one.wait_closed()
        await asyncio.sleep(0)
        assert await asyncio.to_thread(asked, tmp_path, "one") == ["one"]
