"""`bindings.log` holds it when `write` returns, whatever ends the process, tears a line or fills the disk."""

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cascade.model.ids import PlatformId
from cascade.ports import Binding
from gateway.store.bindings import BindingFile, read
from gateway.store.sqlite import migrations
from gateway.store.sqlite.store import SqliteStore
from gateway.store.sqlite.writer import Database, StoreUnavailable

IDS = tuple(PlatformId(f"4401000000200000000{digit}") for digit in range(5))
ONE, TWO, THREE, *_ = IDS


def binding(peer: PlatformId, port: int = 5060, contact: str = "sip:a@10.1.0.9") -> Binding:
    return Binding(peer, "10.1.0.9", port, contact, 1_700_003_600.5, 1_700_000_000.25, 5061)


def after_death(path: Path) -> list[Binding]:
    """What the next process finds: nothing was closed."""
    other = path.parent / "after" / path.name
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(path.read_bytes())
    file = BindingFile(other)
    file.close()
    return file.bindings()


class Disk:
    """Takes only so many bytes more, as `os.write` meets it."""

    def __init__(self, patch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write = os.write
        patch.setattr(os, "write", self.write)

    def write(self, file: int, data: bytes) -> int:
        taken = data[: self.room]
        self.room -= len(taken)
        if not taken:
            raise OSError(errno.ENOSPC, "full")
        return self._write(file, taken)


def test_what_was_written_is_there_whenever_the_process_dies(tmp_path: Path) -> None:
    file = BindingFile(tmp_path / "bindings.log")
    file.write([binding(ONE), binding(TWO)])
    assert after_death(file.path) == [binding(ONE), binding(TWO)]
    file.write([binding(TWO, 5070, 'sip:\u540d\t\r\n"@[::1]')], [ONE, PlatformId("unknown")])
    assert after_death(file.path) == [binding(TWO, 5070, 'sip:\u540d\t\r\n"@[::1]')]
    assert type(file.bindings()[0].peer) is PlatformId
    file.close()
    file.close()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 400))
def test_whatever_stands_between_lines_costs_only_what_it_hides(
    tmp_path_factory: pytest.TempPathFactory, rubbish: bytes, cut: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "bindings.log"
    file = BindingFile(path)
    file.write([binding(ONE)])
    begun = path.read_bytes()
    file.write([binding(TWO)])
    torn = path.read_bytes()[len(begun) :][:cut]
    whole = torn.endswith(b"\n")
    file.close()
    path.write_bytes(begun + torn + b"\n" + rubbish + b"\n")
    with_rubbish = BindingFile(path)
    kept = {each.peer for each in with_rubbish.bindings()}
    assert kept == {ONE, TWO} if whole else kept >= {ONE}
    with_rubbish.write([binding(THREE)])
    assert {each.peer for each in after_death(path)} == kept | {THREE}
    with_rubbish.close()


def test_a_line_that_was_torn_is_counted_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = BindingFile(tmp_path / "bindings.log")
    file.write([binding(ONE)])
    file.write([binding(TWO)])
    file.close()
    file.path.write_bytes(file.path.read_bytes()[:-20])
    with caplog.at_level(logging.WARNING):
        again = BindingFile(file.path)
    assert (again.bindings(), again.torn) == ([binding(ONE)], 1)
    assert [record.message for record in caplog.records] == ["store.lines_unreadable"]
    again.close()
    third = BindingFile(file.path)
    assert third.torn == 0  # it was written anew
    third.close()


@pytest.mark.parametrize("room", [0, 5, 60])
def test_what_a_full_disk_did_not_take_stands_in_the_next_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, room: int
) -> None:
    file = BindingFile(tmp_path / "bindings.log")
    file.write([binding(ONE), binding(THREE)])
    disk = Disk(monkeypatch, room)
    with caplog.at_level(logging.ERROR):
        file.write([binding(ONE, 5070), binding(TWO)])
        file.write([binding(ONE, 5080)], [THREE])
    assert after_death_with_room(file.path, disk) == [binding(ONE), binding(THREE)]
    assert [record.message for record in caplog.records] == ["store.write_owed"]
    assert file.unwritten == 2
    file.write([])
    assert after_death(file.path) == [binding(ONE, 5080), binding(TWO)]
    file.close()


def after_death_with_room(path: Path, disk: Disk) -> list[Binding]:
    disk.room = 1 << 20
    return after_death(path)


def test_what_is_owed_when_it_is_closed_is_written_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = BindingFile(tmp_path / "bindings.log")
    disk = Disk(monkeypatch, 0)
    file.write([binding(ONE)])
    disk.room = 1 << 20
    file.close()
    assert after_death(file.path) == [binding(ONE)]


def test_history_is_cut_while_lines_go_on_and_nothing_is_lost(tmp_path: Path) -> None:
    file = BindingFile(tmp_path / "bindings.log", room=4000)
    longest = 0
    for number in range(2000):
        file.write([binding(IDS[number % 5], number)], [IDS[(number + 1) % 5]])
        longest = max(longest, file.path.stat().st_size)
        if number % 20 == 19 and file._tidying is not None:
            file._tidying.join()
    assert longest < 12_000  # of 2,000 lines that were longer than 100 bytes
    expected = [binding(IDS[number % 5], number) for number in (1996, 1997, 1998, 1999)]
    assert after_death(file.path) == sorted(expected, key=lambda each: each.peer)
    file.close()
    assert not file.path.with_suffix(".new").exists()


def test_a_file_that_cannot_be_written_anew_goes_on_growing_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = BindingFile(tmp_path / "bindings.log", room=100)

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with caplog.at_level(logging.WARNING):
        for port in range(20):
            file.write([binding(ONE, port)])
            if file._tidying is not None:
                file._tidying.join()
    assert {record.message for record in caplog.records} == {"store.untidy"}
    monkeypatch.undo()
    assert after_death(file.path) == [binding(ONE, 19)]
    file.close()


def spoilt(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (spoilt(b"this is no file of ours\n"), "it is no database. Mend"),
        (spoilt(b""), "it is no database. Mend"),
        (spoilt(b"lockgate bindings 2\n"), "newer Lockgate"),
        (lambda path: path.mkdir(), "Mend its permissions"),
    ],
)
def test_a_file_that_is_not_ours_is_not_touched_and_says_what_to_do(
    tmp_path: Path, spoil: Callable[[Path], object], problem: str
) -> None:
    path = tmp_path / "bindings.log"
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StoreUnavailable, match=problem):
        BindingFile(path)
    assert (path.read_bytes() if path.is_file() else b"") == before


async def test_bindings_of_an_earlier_version_are_taken_over_once(tmp_path: Path) -> None:
    before = Database(tmp_path / "state.db", migrations.STATE)
    before.write(
        "bindings",
        (
            "INSERT INTO binding VALUES (?, ?, ?, ?, ?, ?)",
            [(str(ONE), "10.1.0.9", 5060, "sip:a@10.1.0.9", 1_700_003_600.5, 1_700_000_000.25)],
        ),
    )
    await before.close()
    store = SqliteStore(tmp_path)
    assert await store.bindings() == [replace(binding(ONE), proven=0)]
    store.save_bindings([], [ONE])
    await store.close()
    again = SqliteStore(tmp_path)
    assert await again.bindings() == []
    await again.close()
    assert read(tmp_path / "bindings.log") == ({}, 0)
