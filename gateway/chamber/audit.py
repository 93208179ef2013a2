"""The audit file of one side: a record for each door and crossing, before the crossing is delivered.

`Audit.cross` hands the line to the operating system and returns; a thread calls fsync at the
latest `SYNC_SECONDS` later, and then notes in the head file beside it (`head`) which record the disk
has. If either of the former fails nothing may cross (GA/T 1788 boundary rule, and
`gate.py`), until a new attempt, at most one a second, finds the file writable again.
"""

import fcntl
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cascade.crossing import Crossing
from cascade.ports import Verdict
from gateway.chamber import chain, head
from gateway.chamber.head import Anchor
from gateway.chamber.record import Post, scribe
from gateway.words import Saying, Told, saying
from gateway.words.system import reason

log: Final = logging.getLogger("gateway.chamber.audit")

SYNC_SECONDS: Final = 0.1
ANCHOR_SECONDS: Final = 3600.0
"""How often the log names the last record, so that logs kept elsewhere anchor the chain."""
RETRY_SECONDS: Final = 1.0


class AuditUnavailable(Told):
    """The audit cannot be written, so nothing may cross. It says what to do."""


class Audit:
    """An append-only file with one writer, this object; `close` it, or its thread keeps running.

    Raises:
        AuditUnavailable: from the constructor, `cross` and `record`; nothing else leaves them.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._wall = wall
        self._monotonic = monotonic
        self._fd = -1
        self._trouble: Saying | None = None  # why nothing can be written
        self._down = False  # from the first failure to the first record that was written again
        self._retry_at = 0.0
        self._scribe = scribe()
        self._written = threading.Event()
        self._closing = threading.Event()
        self._sync_failed: Saying | None = None
        self._lock = threading.Lock()  # over the descriptor: the thread must not sync a closed one
        self._last: Anchor | None = None  # set as one: the thread reads it
        self._noted: Anchor | None = None  # what the head file says
        self._missed: Anchor | None = None  # what the file was found not to end with
        self._head_down = False
        self._anchored_at = self._monotonic()
        self._open()
        self._syncer = threading.Thread(target=self._sync_forever, name=f"audit {path.name}", daemon=True)
        self._syncer.start()

    @property
    def sequence(self) -> int:
        return 0 if self._last is None else self._last.number

    @property
    def last_hash(self) -> str:
        return chain.GENESIS if self._last is None else self._last.hash

    def cross(self, crossing: Crossing, verdict: Verdict, post: Post) -> bytes:
        """Append the record of a crossing, and return its line; the operating system has it then."""
        if self._trouble or self._sync_failed:
            self._make_ready()
        last = self._last
        sequence, previous = (1, chain.GENESIS) if last is None else (last.number + 1, last.hash)
        chained = (self._wall(), self._monotonic(), sequence, previous)
        line, hashed = self._scribe.tell(crossing, verdict, post, chained)
        if len(line) > chain.MAX_LINE_BYTES:
            line, hashed = self._scribe.tell(crossing, verdict, post, chained, cut=True)
        self._write(line, sequence, hashed)
        return line

    def record(self, entry: Mapping[str, Any]) -> bytes:
        """The same with the record of what does not cross; time, sequence and chain are added here."""
        if self._trouble or self._sync_failed:
            self._make_ready()
        return self._append(entry)

    def close(self) -> None:
        """Sync and close. Safe to call twice."""
        self._closing.set()
        self._written.set()
        self._syncer.join()
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
                log.info("audit.closed", extra={"file": str(self.path), "anchor": str(self._last or "")})
        self._trouble = self._trouble or saying("audit_file.closed", file=str(self.path))
        self._retry_at = float("inf")

    def _make_ready(self) -> None:
        if self._sync_failed and not self._trouble:
            self._fail(self._sync_failed)
        if self._trouble:
            self._try_again(self._trouble)

    def _append(self, entry: Mapping[str, Any], before: bytes = b"") -> bytes:
        full = {**entry, "time": self._scribe.moment(self._wall()), "monotonic": round(self._monotonic(), 6)}
        line, hashed = chain.seal(full, sequence=self.sequence + 1, previous=self.last_hash)
        if len(line) > chain.MAX_LINE_BYTES:
            full |= {"details": {}, "subjects": [], "users": [], "cut": True}
            line, hashed = chain.seal(full, sequence=self.sequence + 1, previous=self.last_hash)
        self._write(before + line, self.sequence + 1, hashed)
        return line

    def _write(self, data: bytes, sequence: int, hashed: str) -> None:
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            raise self._fail(_words(self.path, error)) from error
        if written != len(data):
            raise self._fail(saying("audit_file.torn", file=str(self.path)))
        self._last = Anchor(sequence, hashed)
        if self._down:
            self._down = False
            log.info("audit.resumed", extra={"file": str(self.path), "sequence": sequence})
        if not self._written.is_set():  # the thread clears it before it syncs, so it syncs this too
            self._written.set()

    def _fail(self, trouble: Saying) -> AuditUnavailable:
        if not self._down:
            self._down = True
            log.error("audit.failed", extra={"file": str(self.path), "problem": trouble})
        self._trouble = trouble
        self._retry_at = self._monotonic() + RETRY_SECONDS
        return AuditUnavailable(trouble)

    def _try_again(self, trouble: Saying) -> None:
        if self._monotonic() < self._retry_at:
            raise AuditUnavailable(trouble)
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
        self._sync_failed = None
        try:
            self._open()
        except AuditUnavailable as error:
            raise self._fail(error.said) from error
        self._trouble = None

    def _open(self) -> None:
        """Open, lock and continue the chain; leaves no descriptor behind when it fails."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AuditUnavailable(_words(self.path, error)) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            end, whole = _read_end(fd)
        except OSError as error:
            os.close(fd)
            raise AuditUnavailable(_words(self.path, error)) from error
        with self._lock:
            self._fd = fd
        try:
            self._continue(end, whole=whole)
        except AuditUnavailable:
            with self._lock:
                os.close(fd)
                self._fd = -1
            raise

    def _continue(self, end: bytes, *, whole: bool) -> None:
        """Take up the chain after the last readable record; `end` is the last part of the file, or all."""
        *lines, tail = end.split(b"\n")
        torn: list[bytes] = [tail]
        record = None
        while lines and (record := chain.unseal(lines[-1])) is None:
            torn.insert(0, lines.pop())
        if record is None and (not whole or len(end) > chain.MAX_LINE_BYTES or len(torn) > 2):
            raise AuditUnavailable(saying("audit_file.unreadable_end", file=str(self.path)))
        self._last = Anchor(record["sequence"], record["hash"]) if record else None
        if torn != [b""]:
            self._close_torn(torn)
        self._miss()

    def _miss(self) -> None:
        """Say so in the chain where it ends before what is known: the head file forgets that soon."""
        known = head.known(self.path)
        if known is None or known.number < self.sequence or known == self._last:
            return
        problem = saying(
            "audit_file.records_missing", file=str(self.path), record=self.sequence, known=str(known)
        )
        if known != self._missed:  # once, however often it is tried to write that down
            self._missed = known
            log.error("audit.records_missing", extra={"file": str(self.path), "problem": problem})
        self._append({"action": chain.CUT, chain.KNOWN: str(known)})

    def _close_torn(self, torn: list[bytes]) -> None:
        """End what a crash or a full disk left: at most the last lines, the last one without its newline."""
        ended = torn[-1] == b""
        remains = b"\n".join(torn[:-1] if ended else torn)
        record = chain.unseal(remains)
        if record and record["sequence"] == self.sequence + 1 and record["previous"] == self.last_hash:
            self._write(b"\n", record["sequence"], record["hash"])  # only that was missing
            return
        self._append(
            {"action": chain.MARKER, chain.TORN: sha256(remains).hexdigest(), "torn_bytes": len(remains)},
            before=b"" if ended else b"\n",
        )

    def _sync_forever(self) -> None:
        """fsync soon after each write; the pause afterwards lets writes that follow share one."""
        while self._written.wait():
            self._written.clear()
            self._sync()
            if self._closing.wait(SYNC_SECONDS / 2):
                break
        self._sync()

    def _sync(self) -> None:
        with self._lock:
            last = self._last  # before it is on the disk, so that the head never leads
            try:
                if self._fd < 0 or not stat.S_ISREG(os.fstat(self._fd).st_mode):
                    return
                os.fsync(self._fd)
            except OSError as error:
                self._sync_failed = _words(self.path, error)
                return
            if last is not None and last != self._noted:
                self._note(last)

    def _note(self, last: Anchor) -> None:
        try:
            head.note(self.path, last)
        except OSError as error:  # it only helps to find what is missing: everything goes on
            if not self._head_down:
                path = str(head.beside(self.path))
                problem = saying("audit_file.no_head", file=path, reason=reason(error))
                log.warning("audit.head_failed", extra={"file": path, "problem": problem})
            self._head_down = True
            return
        self._head_down = False
        self._noted = last
        if self._monotonic() - self._anchored_at >= ANCHOR_SECONDS:
            self._anchored_at = self._monotonic()
            log.info("audit.anchor", extra={"file": str(self.path), "anchor": str(last)})


def _read_end(fd: int) -> tuple[bytes, bool]:
    """The last lines of the file, from the start of a line on, and whether these are all: a bounded read."""
    about = os.fstat(fd)
    size = about.st_size if stat.S_ISREG(about.st_mode) else 0
    wanted = min(size, 2 * chain.MAX_LINE_BYTES + 2)
    end = os.pread(fd, wanted, size - wanted)
    if wanted == size:
        return end, True
    return (end.partition(b"\n")[2] if b"\n" in end else end), False


def _words(path: Path, error: OSError) -> Saying:
    if isinstance(error, BlockingIOError):
        return saying("audit_file.in_use", file=str(path))
    return saying("audit_file.unwritable", file=str(path), reason=reason(error))
