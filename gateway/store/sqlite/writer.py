"""One database file with one writer thread behind a bounded queue.

A write is queued and returns at once. When the queue is full the newest write is refused, counted
and logged: whoever wrote it loses, and what was queued before stays in order. Long writes are cut
into slices of about 20 ms, each a transaction of its own, so a reader never waits for a long one.

A write may ask to survive the machine: its commit waits for the disk. Such writes that wait together
share one commit, with what is queued between them, so that a burst of them costs one wait.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from gateway.words import Told, saying
from gateway.words.system import reason

log: Final = logging.getLogger("gateway.store")

SLICE_SECONDS: Final = 0.02
FIRST_SLICE: Final = 100
MAX_SLICE: Final = 5000
QUEUE: Final = 4096
MAX_GROUP: Final = 256
"""Jobs that share one commit at most."""
BUSY_SECONDS: Final = 5.0

Statement = tuple[str, Iterable[Sequence[object]]]
"""SQL, and the parameters of each time it runs; read lazily, on the writer's thread."""


class StoreUnavailable(Told):
    """The file cannot be used. It says what to do."""


@dataclass(slots=True)
class WriterCounters:
    written: int = 0  # writes, not rows
    refused: int = 0  # the queue was full
    failed: int = 0  # the database said no
    synced: int = 0  # commits that waited for the disk
    longest_slice_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Write:
    what: str
    statements: Sequence[Statement]
    durable: bool  # survives the machine
    short: bool  # a row or so: may share a transaction
    done: Callable[[bool], None] | None = None  # told, on the writer's thread, whether it was written


_Job = _Write | Callable[[], None]
"""A write, or whoever wants to hear that those before it are done."""


class Database:
    """Owns the file, its thread and a connection for reading; `close` it.

    Raises:
        StoreUnavailable: from the constructor.
    """

    def __init__(self, path: Path, steps: Sequence[str], *, limit: int = QUEUE) -> None:
        self.path = path
        self.counters: Final = WriterCounters()
        self._queue: queue.Queue[_Job | None] = queue.Queue(limit)
        self._put_back: list[_Job | None] = []  # taken from the queue too early
        self._full_sync = False  # as the writing connection is set
        self._slice = FIRST_SLICE
        self._full = False
        self._closed = False
        try:
            with ExitStack() as opened:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = opened.enter_context(closing(connect(path)))
                _migrate(self._connection, steps, path)
                self.reading: Final = opened.enter_context(closing(connect(path)))
                self.reading.execute("PRAGMA query_only = ON")
                opened.pop_all()
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailable(saying("store.unusable", file=str(path), reason=reason(error))) from error
        self._thread = threading.Thread(target=self._work, name=f"store {path.name}", daemon=True)
        self._thread.start()

    def write(self, what: str, *statements: Statement, durable: bool = False, short: bool = False) -> bool:
        """Queue one write; False when it was refused. `what` is named when it is lost.

        `durable`: once it is written it survives the machine, not only this process. `short`: it is
        a row or so, and may share a transaction with its neighbours.
        """
        return self._put(_Write(what, statements, durable, short))

    async def written(self, what: str, *statements: Statement) -> bool:
        """Write what must be whole and survive the machine; return whether it does. One transaction."""
        loop = asyncio.get_running_loop()
        said: asyncio.Future[bool] = loop.create_future()

        def hear(well: bool) -> None:
            if not said.done():
                said.set_result(well)

        def tell(well: bool) -> None:
            with suppress(RuntimeError):  # nobody waits any more: the loop is closed
                loop.call_soon_threadsafe(hear, well)

        if not self._put(_Write(what, statements, durable=True, short=True, done=tell)):
            return False
        return await said

    def _put(self, job: _Write) -> bool:
        what = job.what
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            self.counters.refused += 1
            if not self._full:  # once for each time the queue runs full; the rest is counted
                log.error("store.write_refused", extra={"file": self.path.name, "lost": what})
            self._full = True
            return False
        self._full = False
        return True

    async def flush(self) -> None:
        """Return once everything queued before is written."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def written() -> None:
            if not done.done():
                done.set_result(None)

        def tell() -> None:
            with suppress(RuntimeError):  # nobody waits any more: the loop is closed
                loop.call_soon_threadsafe(written)

        try:
            self._queue.put_nowait(tell)
        except queue.Full:
            await asyncio.to_thread(self._queue.put, tell)
        await done

    async def close(self) -> None:
        """Write what is queued, then close. Safe to call twice."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self.reading.close()

    def _work(self) -> None:
        with closing(self._connection):
            while (job := self._take()) is not None:
                group = [job, *self._neighbours(job)]
                writes = [each for each in group if isinstance(each, _Write)]
                if len(writes) < 2 or not self._carry_out_together(writes):
                    for write in writes:
                        self._carry_out(write)
                for each in group:
                    if not isinstance(each, _Write):
                        each()

    def _take(self) -> _Job | None:
        return self._put_back.pop() if self._put_back else self._queue.get()

    def _neighbours(self, job: _Job) -> Iterator[_Job]:
        """What shares the commit of a short write: all that waits behind it, up to the next long one."""
        if not (isinstance(job, _Write) and job.short):
            return
        with suppress(queue.Empty):
            for _ in range(MAX_GROUP):
                following = self._queue.get_nowait()
                if following is None or (isinstance(following, _Write) and not following.short):
                    self._put_back.append(following)
                    return
                yield following

    def _carry_out_together(self, writes: Sequence[_Write]) -> bool:
        """One transaction; False where it can't be done, so that each has to be tried for itself."""
        try:
            self._commit(
                [(sql, list(rows)) for write in writes for sql, rows in write.statements],
                durable=any(write.durable for write in writes),
            )
        except Exception:  # told of when whoever is to blame is tried alone
            with suppress(sqlite3.Error):
                self._connection.rollback()
            return False
        self.counters.written += len(writes)
        for write in writes:
            _tell(write, True)
        return True

    def _carry_out(self, job: _Write) -> None:
        try:
            if job.short:
                self._commit([(sql, list(rows)) for sql, rows in job.statements], durable=job.durable)
            else:
                for sql, parameters in job.statements:
                    self._run(sql, parameters, durable=job.durable)
        except Exception:  # a full disk or a bug costs this write, not the thread
            self.counters.failed += 1
            with suppress(sqlite3.Error):
                self._connection.rollback()
            log.exception("store.write_failed", extra={"file": self.path.name, "lost": job.what})
            _tell(job, False)
        else:
            self.counters.written += 1
            _tell(job, True)

    def _run(self, sql: str, parameters: Iterable[Sequence[object]], *, durable: bool) -> None:
        waiting = iter(parameters)
        while True:
            start = time.perf_counter()
            part: list[Any] = list(islice(waiting, self._slice))
            if not part:
                return
            self._commit([(sql, part)], durable=durable)
            self._adapt(time.perf_counter() - start, len(part))

    def _commit(self, statements: Sequence[tuple[str, list[Any]]], *, durable: bool) -> None:
        if durable != self._full_sync:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._full_sync = durable
        self._connection.execute("BEGIN IMMEDIATE")
        for sql, parameters in statements:
            self._connection.executemany(sql, parameters)
        self._connection.commit()
        self.counters.synced += durable

    def _adapt(self, seconds: float, rows: int) -> None:
        """Size the next slice by what this one took."""
        self.counters.longest_slice_seconds = max(self.counters.longest_slice_seconds, seconds)
        if rows == self._slice or seconds > SLICE_SECONDS:
            fitting = int(rows * SLICE_SECONDS / 2 / max(seconds, 1e-6))
            self._slice = max(1, min(fitting, self._slice * 2, MAX_SLICE))


def _tell(job: _Write, well: bool) -> None:
    if job.done is not None:
        job.done(well)


def connect(path: Path) -> sqlite3.Connection:
    """Write-ahead log, and no fsync at each commit unless it is asked for (`Database.write`).

    When the machine dies the last moments are lost, never the file.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, steps: Sequence[str], path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(steps):
        raise StoreUnavailable(saying("store.newer", file=str(path), step=version, known=len(steps)))
    for number, step in enumerate(steps[version:], start=version + 1):
        connection.executescript(f"BEGIN;\n{step};\nPRAGMA user_version = {number};\nCOMMIT;")
