"""`bindings.log`: who is registered where. A line for each batch of decisions, written before they are told.

What was answered 200 is in the file by then, so it survives the death of the process; not that of the
machine, for which nobody waits (decision 006). A line is a check sum and a list: the fields of a peer that is
registered, its bare id for one that has gone; the last word about a peer stands. The file is
written anew at each start, and while it runs as soon as it is mostly history.
"""

import errno
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec

from cascade.model.ids import PlatformId
from cascade.ports import Binding
from gateway.store.sqlite.writer import StoreUnavailable
from gateway.words import saying
from gateway.words.system import reason

log: Final = logging.getLogger("gateway.store")

TITLE: Final = b"lockgate bindings "
VERSION: Final = 1
ROOM: Final = 16 << 20
"""Bytes of history that are kept in any case: the file is written anew when it has so many more than it
began with, and three times as many."""

LINE_ROWS: Final = 256
PIECE: Final = 1 << 20

Row = Binding | str


class BindingFile:
    """Owns the file; `close` it. `earlier` gives what an earlier version kept elsewhere, if there is no file.

    Raises:
        StoreUnavailable: from the constructor.
    """

    def __init__(
        self, path: Path, earlier: Callable[[], Iterable[Binding]] = tuple, *, room: int = ROOM
    ) -> None:
        self.path = path
        self.unwritten = 0  # lines that the disk did not take; their rows stand in a later one
        self.torn = 0  # lines that could not be read at the start
        self._room = room
        self._owed: dict[str, Row] = {}
        self._lock = threading.Lock()  # held by whoever writes to the file, or puts another in its place
        self._tidying: threading.Thread | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept: Mapping[str, Binding]
            if path.exists():
                kept, self.torn = read(path)
            else:
                kept = {binding.peer: binding for binding in earlier()}
            self._file = _begun(path, kept.values())
            path.with_suffix(".new").replace(path)
        except OSError as error:
            raise StoreUnavailable(saying("store.unusable", file=str(path), reason=reason(error))) from error
        self._began_with = self._size = os.fstat(self._file).st_size
        if self.torn:
            log.warning("store.lines_unreadable", extra={"file": path.name, "count": self.torn})

    def bindings(self) -> list[Binding]:
        """By peer."""
        kept, _ = read(self.path)
        return [kept[peer] for peer in sorted(kept)]

    def write(self, kept: Sequence[Binding], gone: Sequence[PlatformId] = ()) -> None:
        """Write one line. What the disk does not take is told once, and stands in the next line it takes."""
        rows: list[Row] = [*kept, *gone]
        if self._owed:
            self._owe(rows)
            rows = list(self._owed.values())
        line = _line(rows)
        if self.unwritten:
            line = b"\n" + line  # half a line may stand before it
        with self._lock:
            trouble = self._append(line)
        if trouble is None:
            self._owed.clear()
            if self._size - self._began_with > max(self._room, 3 * self._began_with):
                self._tidy()
            return
        if not self._owed:
            log.error("store.write_owed", extra={"file": self.path.name, "reason": reason(trouble)})
        self.unwritten += 1
        self._owe(rows)

    def _owe(self, rows: Iterable[Row]) -> None:
        self._owed |= {row if isinstance(row, str) else row.peer: row for row in rows}

    def _append(self, line: bytes) -> OSError | None:
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            return error
        self._size += len(line)
        return None

    def _tidy(self) -> None:
        """Write the file anew on a thread, while lines go on being added to the old one."""
        if self._tidying is None or not self._tidying.is_alive():
            self._began_with = self._size  # so that the next time is far
            self._tidying = threading.Thread(target=self._write_anew, name="store bindings", daemon=True)
            self._tidying.start()

    def _write_anew(self) -> None:
        try:
            with self._lock:
                upto = self._size
            kept, _ = read(self.path, upto)
            other = _begun(self.path, kept.values())
            try:
                with self._lock:
                    self._began_with = os.fstat(other).st_size
                    _copy(self.path, upto, other)
                    self.path.with_suffix(".new").replace(self.path)
                    self._file, other = other, self._file
                    self._size = os.fstat(self._file).st_size
            finally:
                os.close(other)
        except OSError as error:
            log.warning("store.untidy", extra={"file": self.path.name, "reason": reason(error)})

    def close(self) -> None:
        """Safe to call twice."""
        if self._tidying is not None:
            self._tidying.join()
        if self._owed:
            self.write(())
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read(path: Path, upto: int | None = None) -> tuple[dict[str, Binding], int]:
    """The last word about each peer, and how many lines could not be read.

    Raises:
        OSError: it is not to be read.
        StoreUnavailable: it is no such file.
    """
    found: dict[str, Binding] = {}
    unreadable = 0
    with path.open("rb") as file:
        _check_title(path, file.readline(64))
        for line in file:
            if upto is not None and file.tell() > upto:
                break
            rows = _rows(line)
            unreadable += rows is None
            for row in rows or ():
                if isinstance(row, str):
                    found.pop(row, None)
                else:
                    found[row.peer] = row
    return found, unreadable


def _check_title(path: Path, title: bytes) -> None:
    version = title.removeprefix(TITLE).strip()
    if not title.startswith(TITLE) or not version.isdigit():
        other = saying("store.unusable", file=str(path), reason=saying("system.database_other"))
        raise StoreUnavailable(other)
    if int(version) > VERSION:
        raise StoreUnavailable(saying("store.newer", file=str(path), step=int(version), known=VERSION))


def _rows(line: bytes) -> list[Row] | None:
    """None where the line is not whole; the empty one says nothing."""
    told, _, rows = line.strip().partition(b" ")
    if not told:
        return []
    if told != b"%08x" % crc32(rows):
        return None
    return _decoder.decode(rows)


def _line(rows: Sequence[Row]) -> bytes:
    written = _encoder.encode(rows)
    return b"%08x %b\n" % (crc32(written), written)


def _begun(path: Path, bindings: Iterable[Binding]) -> int:
    """The descriptor of a new file beside `path`, with these; on the disk when this returns."""
    new = os.open(path.with_suffix(".new"), os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_APPEND, 0o644)
    try:
        for piece in _pieces(bindings):
            if os.write(new, piece) != len(piece):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(new)
    except OSError:
        os.close(new)
        raise
    return new


def _pieces(bindings: Iterable[Binding]) -> Iterator[bytes]:
    yield TITLE + b"%d\n" % VERSION
    rest = iter(bindings)
    while rows := list(islice(rest, LINE_ROWS)):
        yield _line(rows)


def _copy(path: Path, start: int, target: int) -> None:
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(PIECE):
            if os.write(target, piece) != len(piece):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read_as(kind: type[Any], value: object) -> object:
    return kind(value)


_encoder: Final = msgspec.json.Encoder(enc_hook=str)
"""Ids are a `str` of ours, which it does not know."""

_decoder: Final = msgspec.json.Decoder(list[Row], dec_hook=_read_as)
